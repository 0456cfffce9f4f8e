//! The byte stream of a connection. One read takes no more than hyper's smallest buffer holds, a large head waits for its share of memory,
//! and an answer that the other side does not read ends the connection.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::time::{Sleep, sleep};

use super::connections::{ConnectionPhase, ConnectionStatus};
use super::socket::Socket;
use crate::layers::body_budget::{Budget, Reservation};
use crate::limits;

/// One byte less than hyper's smallest buffer: a read that fills it makes hyper take twice as much the next time.
const READ: usize = 8 * 1024 - 1;

/// The socket of a connection, with its limits.
pub(super) struct Stream {
    /// `Take` limits how much may be read.
    socket: Take<Socket>,
    status: Arc<ConnectionStatus>,
    large_head: Arc<LargeHead>,
    /// Bytes that were read before the connection released its buffers, and are delivered first.
    before: Bytes,
    /// Bytes of the head that is coming in.
    head: usize,
    reservation: Option<BoxFuture<'static, Option<Reservation>>>,
    /// Runs while the other side accepts no bytes of an answer.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// The memory that a connection has reserved for a large head; it passes to the request that the head becomes.
pub(super) struct LargeHead {
    budget: Arc<Budget>,
    peer: IpAddr,
    reserved: Mutex<Option<Reservation>>,
}

impl LargeHead {
    /// Nothing is reserved yet.
    pub(super) fn new(budget: Arc<Budget>, peer: IpAddr) -> Arc<Self> {
        Arc::new(Self { budget, peer, reserved: Mutex::new(None) })
    }

    /// Takes the reservation of the head that has arrived.
    pub(super) fn take(&self) -> Option<Reservation> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Reserves memory for a head that turns out to be large only once it is complete; `None` when there is no room.
    pub(super) fn reserve_now(&self) -> Option<Reservation> {
        self.budget.try_reserve(self.peer, limits::HEADER_BYTES)
    }

    fn request_reservation(&self) -> BoxFuture<'static, Option<Reservation>> {
        self.budget.clone().reserve(self.peer, limits::HEADER_BYTES).boxed()
    }

    fn is_reserved(&self) -> bool {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn keep(&self, reservation: Reservation) {
        *self.reserved.lock().unwrap_or_else(PoisonError::into_inner) = Some(reservation);
    }
}

impl Stream {
    pub(super) fn new(
        socket: Socket,
        before: Bytes,
        status: Arc<ConnectionStatus>,
        large_head: Arc<LargeHead>,
    ) -> Self {
        Self { socket: socket.take(0), status, large_head, before, head: 0, reservation: None, stalled: None }
    }

    /// The socket, once HTTP has ended.
    pub(super) fn into_socket(self) -> Socket {
        self.socket.into_inner()
    }

    /// How many bytes may be read now, at least one.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !matches!(self.status.phase(), ConnectionPhase::Idle | ConnectionPhase::ReadingHead) {
            self.head = 0;
            return Poll::Ready(Ok(READ));
        }
        let left = limits::SMALL_HEAD_BYTES.saturating_sub(self.head);
        if left > 0 {
            return Poll::Ready(Ok(left));
        }
        if !self.large_head.is_reserved() {
            let reservation = self.reservation.get_or_insert_with(|| self.large_head.request_reservation());
            let reserved = ready!(reservation.as_mut().poll(cx));
            self.reservation = None;
            let reserved = reserved.ok_or_else(|| io::Error::other("no memory for another large head"))?;
            self.large_head.keep(reserved);
        }
        Poll::Ready(Ok(READ))
    }

    /// The result of a write, or a timeout when the other side accepts no bytes for too long.
    fn with_write_limit<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limits::WRITE)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = ready!(self.poll_room(cx))?;
        let before = buffer.filled().len();
        if self.before.is_empty() {
            self.socket.set_limit(room as u64);
            ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        } else {
            let bytes = room.min(buffer.remaining()).min(self.before.len());
            buffer.put_slice(&self.before.split_to(bytes));
        }
        let read = buffer.filled().len() - before;
        if read > 0 && self.status.phase() == ConnectionPhase::Idle {
            self.head = 0;
            self.status.enter(ConnectionPhase::ReadingHead);
        }
        self.head += read;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.socket.get_mut()).poll_write(cx, bytes);
        self.with_write_limit(cx, written)
    }

    /// Called when all of an answer is written, so the connection now waits for a request.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(self.socket.get_mut()).poll_flush(cx);
        if self.status.phase() == ConnectionPhase::WritingAnswer && flushed.is_ready() {
            self.status.enter(ConnectionPhase::Idle);
        }
        self.with_write_limit(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection stays open without buffers.
        if self.status.is_outliving_http() {
            return Poll::Ready(Ok(()));
        }
        let shut = Pin::new(self.socket.get_mut()).poll_shutdown(cx);
        self.with_write_limit(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.socket.get_mut()).poll_write_vectored(cx, bytes);
        self.with_write_limit(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.get_ref().is_write_vectored()
    }
}
