//! One connection: HTTP/2 (RFC 9113) as far as APNs speaks it, written out so that every frame can be sent at a wrong moment.
//!
//! Here is the socket: bytes are read, handed to the protocol, and written. `protocol.rs` acts on the frames that were read, `answering.rs`
//! answers the requests that were made of them; neither touches the socket. `frame.rs` and `output.rs` are the frames as bytes; `streams.rs`,
//! `stream_limit.rs` and `flow_control.rs` keep the counts of HTTP/2; `schedule.rs` has the answers that come later; and `judge.rs` says how
//! Apple would answer.

mod answering;
mod flow_control;
mod frame;
mod judge;
mod output;
mod over;
mod protocol;
mod schedule;
mod stream_limit;
mod streams;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::UnboundedReceiver;

use self::frame::MAX_FRAME_BYTES;
use self::over::Over;
use self::protocol::Protocol;
use super::control::Control;
use super::server_state::ServerState;

/// Nothing is read while more than this waits for a client that does not read.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// A connection behind its TLS handshake.
pub(super) struct Connection<S> {
    io: S,
    control: UnboundedReceiver<Control>,
    /// Bytes that were read and are not a whole frame yet.
    input: Vec<u8>,
    protocol: Protocol,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(
        io: S,
        server: Arc<ServerState>,
        number: u64,
        certificate_topic: Option<String>,
        control: UnboundedReceiver<Control>,
    ) -> Self {
        let protocol = Protocol::new(server, number, certificate_topic);
        Self { io, control, input: Vec::with_capacity(2 * MAX_FRAME_BYTES), protocol }
    }

    /// Speaks until either side has had enough.
    pub(super) async fn run(mut self) {
        tokio::time::sleep(self.protocol.settings_delay()).await;
        self.protocol.begin();
        std::future::poll_fn(|cx| self.poll(cx)).await;
        self.protocol.tell_arrivals();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            while let Poll::Ready(Some(control)) = self.control.poll_recv(cx) {
                self.protocol.apply(control);
            }
            self.protocol.answer_due(cx);
            self.protocol.tell_arrivals();
            if self.protocol.is_closing() || self.poll_write(cx).is_err() {
                return Poll::Ready(());
            }
            if self.protocol.is_done() {
                return self.poll_end(cx);
            }
            if self.protocol.output.waiting_bytes() > MAX_OUTPUT_BYTES {
                return Poll::Pending;
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Over)) => {
                    // The last frames, a `GOAWAY` for example, are written if that needs no waiting.
                    let _ = self.poll_write(cx);
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Says goodbye and waits for the client to leave: closing while there is something to read would take back the last frames.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if Pin::new(&mut self.io).poll_shutdown(cx).is_pending() {
            return Poll::Pending;
        }
        loop {
            let mut ignored = [0; 4096];
            let mut buffer = ReadBuf::new(&mut ignored);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        self.protocol.output.poll_write(&mut self.io, cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        let filled = self.input.len();
        self.input.resize(filled + 2 * MAX_FRAME_BYTES, 0);
        let mut buffer = ReadBuf::new(&mut self.input[filled..]);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut buffer);
        let count = buffer.filled().len();
        self.input.truncate(filled + count);
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if count > 0 => Poll::Ready(self.protocol.read_frames(&mut self.input)),
            Poll::Ready(_) => Poll::Ready(Err(Over)),
        }
    }
}
