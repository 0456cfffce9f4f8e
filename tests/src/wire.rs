//! Bytes on a socket, for what no HTTP client would send.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection on which anything can be said.
#[derive(Debug)]
pub struct Wire(TcpStream);

impl Wire {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When nobody listens.
    pub async fn to(address: &str) -> Self {
        Self(TcpStream::connect(address).await.expect("somebody listens"))
    }

    /// Says something. A server that has heard enough may have closed already.
    pub async fn says(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Everything the server says until it closes the connection; `None` when it does not within the limit.
    pub async fn hears(&mut self, limit: Duration) -> Option<String> {
        let mut heard = Vec::new();
        let ended = tokio::time::timeout(limit, async {
            let mut buffer = [0; 4096];
            // An error is an abrupt end: what came before it counts.
            while let Ok(count @ 1..) = self.0.read(&mut buffer).await {
                heard.extend_from_slice(&buffer[..count]);
            }
        });
        ended.await.ok()?;
        Some(String::from_utf8_lossy(&heard).into_owned())
    }
}

/// The status of an answer as it came over the wire; `None` when there is none.
pub fn status(heard: &str) -> Option<u16> {
    heard.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}
