//! The end of a connection. A socket that is closed while the other side still sends takes our last answer with it, so what comes is read on for a
//! while and thrown away.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::limits;

/// Says that nothing more comes from us, and reads until the other side has ended as well: not for long, and not much.
pub(super) async fn closes(mut socket: TcpStream) {
    if socket.shutdown().await.is_ok() {
        // Whether it ends in time makes no difference: the socket is closed now.
        drop(timeout(limits::LINGER, ends(&socket)).await);
    }
}

async fn ends(socket: &TcpStream) {
    let mut left = limits::LINGER_BYTES;
    while let Ok(Ok(())) = timeout(limits::LINGER_PAUSE, socket.readable()).await {
        match throws_away(socket) {
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

/// In a function of its own, so that a connection that waits has no buffer.
fn throws_away(socket: &TcpStream) -> io::Result<usize> {
    socket.try_read(&mut [0; 8 * 1024])
}
