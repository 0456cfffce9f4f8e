//! Closes a connection so that the last answer arrives. A socket that is closed while the other side still sends discards that answer, so
//! for a while the incoming bytes are read and discarded first.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::socket::Socket;
use crate::limits;

/// Ends our side of the connection, and reads until the other side has ended its own: for a bounded time and a bounded number of bytes.
pub(super) async fn close(mut socket: Socket) {
    if socket.shutdown().await.is_ok() {
        // It makes no difference whether the other side ends in time: the socket is closed now.
        // What comes now is discarded unread, so TLS does not matter.
        drop(timeout(limits::LINGER, drain(socket.tcp())).await);
    }
}

async fn drain(socket: &TcpStream) {
    let mut left = limits::LINGER_BYTES;
    while let Ok(Ok(())) = timeout(limits::LINGER_PAUSE, socket.readable()).await {
        match discard(socket) {
            Ok(0) => return,
            Ok(bytes) => match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => return,
            },
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// A function of its own, so that a waiting connection holds no buffer.
fn discard(socket: &TcpStream) -> io::Result<usize> {
    socket.try_read(&mut [0; 8 * 1024])
}
