//! A way to a server that can be made to stand still, as the connections of a frozen process do, or be cut.

use std::net::Ipv4Addr;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) struct Proxy {
    /// How the server is reached through it.
    pub(crate) options: PgConnectOptions,
    flows: watch::Sender<bool>,
    /// Ends the connections that there are.
    connections: watch::Sender<CancellationToken>,
    open: CancellationToken,
}

impl Proxy {
    pub(crate) async fn to(server: &PgConnectOptions) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let options = server.clone().host("127.0.0.1").port(listener.local_addr().unwrap().port());
        let port = server.get_port();
        let (flows, may_flow) = watch::channel(true);
        let open = CancellationToken::new();
        let (connections, current) = watch::channel(open.child_token());
        let accept = async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let connection = current.borrow().clone();
                let forwards = forwards(client, port, may_flow.clone());
                tokio::spawn(connection.run_until_cancelled_owned(forwards));
            }
        };
        tokio::spawn(open.clone().run_until_cancelled_owned(accept));
        Self { options, flows, connections, open }
    }

    /// From here on nothing comes through in either direction, and nobody is told.
    pub(crate) fn freezes(&self) {
        self.flows.send_replace(false);
    }

    /// What was under way arrives.
    pub(crate) fn thaws(&self) {
        self.flows.send_replace(true);
    }

    /// Ends every connection. New ones can be made.
    pub(crate) fn cuts(&self) {
        self.connections.send_replace(self.open.child_token()).cancel();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.open.cancel();
    }
}

async fn forwards(client: TcpStream, port: u16, mut flows: watch::Receiver<bool>) {
    if flows.wait_for(|flows| *flows).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(copies(from_client, to_server, flows.clone()), copies(from_server, to_client, flows));
}

/// Copies until one side is gone.
async fn copies(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut flows: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        // An end is passed on like a byte: not while nothing flows.
        let read = from.read(&mut bytes).await.unwrap_or(0);
        if flows.wait_for(|flows| *flows).await.is_err() {
            return;
        }
        let written = if read == 0 { to.shutdown().await } else { to.write_all(&bytes[..read]).await };
        if read == 0 || written.is_err() {
            return;
        }
    }
}
