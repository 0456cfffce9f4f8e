//! Many connections that keep the service waiting: opened by this program, from as many addresses of this machine as are asked for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Open files of this program beside those connections.
const OTHER_FILES: u64 = 200;

/// Connections that are opened at a time: fewer than fit into the queue of the system.
const AT_A_TIME: usize = 256;

/// What each connection of a crowd says.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// At once; one for each connection, in turn.
    pub(crate) first: Vec<Vec<u8>>,
    /// Again and again with pauses, if anything.
    pub(crate) then: Option<(Vec<u8>, Duration)>,
    /// Whether one that was closed comes again.
    pub(crate) comes_again: bool,
}

/// Connections that are open until this is dropped, or until the service closes them.
pub(crate) struct Crowd {
    tasks: JoinSet<()>,
    said: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

/// Whether this program may open as many connections; else it says that it cannot.
pub(crate) fn may_open(connections: usize, name: &str) -> bool {
    let needed = connections as u64 + OTHER_FILES;
    let may = rlimit::increase_nofile_limit(needed).is_ok_and(|files| files >= needed);
    if !may {
        println!("\n{name}: left out, since this program may not open {needed} files (ulimit -Hn)");
    }
    may
}

impl Crowd {
    /// Comes, and has said its first words when this returns, as far as they were taken.
    pub(crate) async fn comes(host: &str, connections: usize, addresses: usize, said: &Said) -> Self {
        let host: SocketAddr = host.parse().expect("an address and a port");
        let (doors, all_said) = (Arc::new(Semaphore::new(AT_A_TIME)), Arc::new(Notify::new()));
        let mut crowd = Self { tasks: JoinSet::new(), said: Arc::default(), closed: Arc::default() };
        for number in 0..connections {
            let (said, doors, all_said) = (said.clone(), doors.clone(), all_said.clone());
            let (has_said, closed) = (crowd.said.clone(), crowd.closed.clone());
            let first = said.first[number % said.first.len()].clone();
            let from = [127, 0, 1, u8::try_from(number % addresses + 1).expect("few addresses")];
            crowd.tasks.spawn(async move {
                let mut is_first = true;
                while is_first || said.comes_again {
                    let permit = doors.acquire().await.expect("it is never closed");
                    let opened = opens(from.into(), host, &first).await;
                    drop(permit);
                    if std::mem::take(&mut is_first)
                        && has_said.fetch_add(1, Ordering::Relaxed) + 1 == connections
                    {
                        all_said.notify_one();
                    }
                    if let Ok(stream) = opened {
                        stays(stream, &said).await;
                    }
                    closed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        all_said.notified().await;
        crowd
    }

    /// Connections that were closed, or could not be opened.
    pub(crate) fn closed(&self) -> usize {
        self.closed.load(Ordering::Relaxed)
    }

    /// All of them go.
    pub(crate) async fn goes(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn opens(from: std::net::IpAddr, host: SocketAddr, first: &[u8]) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(from, 0))?;
    let mut stream = socket.connect(host).await?;
    // What the service does not read fits into the buffers of the system, or is said later or never.
    drop(timeout(Duration::from_secs(1), stream.write_all(first)).await);
    Ok(stream)
}

/// Until the service closes the connection.
async fn stays(mut stream: TcpStream, said: &Said) {
    let mut buffer = [0; 512];
    loop {
        let pause = said.then.as_ref().map_or(Duration::MAX, |(_, pause)| *pause);
        match timeout(pause, stream.read(&mut buffer)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return,
            Err(_) => {
                if let Some((piece, _)) = &said.then {
                    // A service that reads no more is waited for.
                    drop(timeout(Duration::from_millis(1), stream.write_all(piece)).await);
                }
            }
        }
    }
}
