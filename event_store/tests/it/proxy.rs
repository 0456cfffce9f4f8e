//! A network between the event log and its server that loses a connection at the worst moment: while a commit is on its way.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

/// What a client sends to commit: a message of 11 bytes after its type.
const COMMIT: &[u8] = b"Q\0\0\0\x0bcommit\0";

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Carries everything.
    Works,
    /// Cuts the connection instead of carrying the next commit, and then works.
    LosesCommit,
    /// The same, and then carries nothing.
    LosesCommitAndIsGone,
    /// Carries the next commit, cuts the connection instead of carrying the answer, and then works.
    LosesAnswer,
    /// The same, and then carries nothing.
    LosesAnswerAndIsGone,
    /// Keeps the next commit to itself.
    KeepsCommit,
    /// Has kept one; what becomes of the network next cuts its connection.
    HasKeptCommit,
    /// Carries nothing, and cuts every connection.
    IsGone,
}

/// The network, as long as it lives.
pub(crate) struct Proxy {
    url: String,
    network: watch::Sender<Network>,
    _running: DropGuard,
}

impl Proxy {
    /// In front of a database, whose URL this is.
    pub(crate) async fn start(database: &str) -> Self {
        let mut url = Url::parse(database).unwrap();
        let server = (url.host_str().unwrap().to_owned(), url.port().unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let network = watch::Sender::new(Network::Works);
        let stop = CancellationToken::new();
        let carrying = serve(listener, server, network.clone(), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(carrying));
        Self { url: url.into(), network, _running: stop.drop_guard() }
    }

    /// Where clients find the database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on.
    pub(crate) fn becomes(&self, network: Network) {
        self.network.send_replace(network);
    }

    pub(crate) fn network(&self) -> Network {
        *self.network.borrow()
    }
}

async fn serve(
    listener: TcpListener,
    server: (String, u16),
    network: watch::Sender<Network>,
    stop: CancellationToken,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, network) = (server.clone(), network.clone());
        let carrying = async move {
            if *network.borrow() != Network::IsGone
                && let Ok(server) = TcpStream::connect(server).await
            {
                let mut changes = network.subscribe();
                let is_gone = async { drop(changes.wait_for(|network| *network == Network::IsGone).await) };
                tokio::select! {
                    () = is_gone => {}
                    // A connection that ends, for whatever reason, is what this is about.
                    _ = carry(client, server, &network) => {}
                }
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(carrying));
    }
}

/// Carries until one side ends or the network cuts the connection.
async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    network: &watch::Sender<Network>,
) -> io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            bytes = client.read(&mut asked) => {
                let bytes = bytes?;
                // The driver writes a message at once, so a commit is never in two pieces.
                let is_commit = asked[..bytes].ends_with(COMMIT);
                let (carried, then) = match *network.borrow() {
                    Network::LosesCommit if is_commit => (false, Some(Network::Works)),
                    Network::LosesCommitAndIsGone if is_commit => (false, Some(Network::IsGone)),
                    Network::LosesAnswer if is_commit => (true, Some(Network::Works)),
                    Network::LosesAnswerAndIsGone if is_commit => (true, Some(Network::IsGone)),
                    _ => (true, None),
                };
                if bytes == 0 {
                    return Ok(());
                }
                if is_commit && *network.borrow() == Network::KeepsCommit {
                    network.send_replace(Network::HasKeptCommit);
                    let mut changes = network.subscribe();
                    drop(changes.wait_for(|network| *network != Network::HasKeptCommit).await);
                    return Ok(());
                }
                if carried {
                    server.write_all(&asked[..bytes]).await?;
                }
                if let Some(then) = then {
                    if carried {
                        // Whatever comes first, the server has done what it was asked.
                        let _bytes: usize = server.read(&mut answered).await?;
                    }
                    network.send_replace(then);
                    return Ok(());
                }
            }
            bytes = server.read(&mut answered) => match bytes? {
                0 => return Ok(()),
                bytes => client.write_all(&answered[..bytes]).await?,
            },
        }
    }
}
