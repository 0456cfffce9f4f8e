//! One connection from start to end: it waits for a first byte, serves HTTP/1.1, and closes so that its last answer arrives.
//!
//! Only HTTP/1.1: HTTP/2 ends at the proxy that a service on the internet stands behind, and TLS does too, unless files for it are configured. Every wait for the other side is bounded,
//! so that silent clients cannot use up the connections: the head of a request here, bodies in `json_body`, reading the answer in the
//! stream.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use honoken_telemetry::metrics::AnonymousLine;
use http::{HeaderValue, header};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt;

use super::connections::{ConnectionPhase, ConnectionStatus, Slot};
use super::framing::{self, Refusal};
use super::socket::Socket;
use super::stream::{LargeHead, Stream};
use super::{Shared, lingering_close, request_body};
use crate::layers::client_address::{Peer, counted_as};
use crate::limits;
use crate::routes::strip_prefix;

/// Serves a connection until it closes. Each part is dropped when the next one begins, so that a waiting connection is small.
pub(super) async fn run(socket: TcpStream, peer: IpAddr, slot: &Slot, shared: &Shared) {
    let Some(socket) = Box::pin(secured(socket, slot, shared)).await else { return };
    let (status, mut resting) = (slot.status(), Resting { socket, read: Bytes::new() });
    let socket = loop {
        if !Box::pin(wait_for_first_byte(&mut resting, status, shared)).await {
            return;
        }
        // This also happens when the connection is to make room: a whole request that has arrived is answered.
        let buffers = slot.buffers().await;
        let end = Box::pin(serve_http(resting, peer, status, shared)).await;
        drop(buffers);
        match end {
            HttpEnd::Resting(rested) => resting = rested,
            HttpEnd::Ended(socket) => break socket,
            HttpEnd::CutOff => return,
        }
    };
    let stops = async {
        shared.stop.cancelled().await;
        tokio::time::sleep(limits::LAST_ANSWER).await;
    };
    tokio::select! {
        biased;
        () = lingering_close::close(socket) => {}
        () = status.close_requested() => {}
        () = stops => {}
    }
}

/// The socket, with TLS where it ends here. `None` when the other side does not get that far in time.
async fn secured(socket: TcpStream, slot: &Slot, shared: &Shared) -> Option<Socket> {
    let Some(tls) = &shared.tls else { return Some(Socket::Plain(socket)) };
    let mut resting = Resting { socket: Socket::Plain(socket), read: Bytes::new() };
    if !wait_for_first_byte(&mut resting, slot.status(), shared).await {
        return None;
    }
    let Socket::Plain(socket) = resting.socket else { return None };
    let _buffers = slot.buffers().await;
    let accepted = tokio::select! {
        accepted = timeout(limits::HEADERS, tls.acceptor().accept(socket)) => accepted.ok()?,
        () = slot.status().close_requested() => return None,
        () = shared.stop.cancelled() => return None,
    };
    slot.status().enter(ConnectionPhase::Idle);
    match accepted {
        Ok(stream) => Some(Socket::Tls(Box::new(stream))),
        Err(fault) => {
            tracing::debug!(error = %fault, "a connection did not get as far as TLS");
            None
        }
    }
}

/// A connection that waits for a request, without buffers.
struct Resting {
    socket: Socket,
    /// The bytes of it that have been read already.
    read: Bytes,
}

/// Why serving HTTP ended.
enum HttpEnd {
    /// The connection waits for its next request, and another needs its buffers.
    Resting(Resting),
    /// One side ended the connection.
    Ended(Socket),
    /// It had to make room.
    CutOff,
}

/// Waits for the first byte, because hyper allocates its buffers before it reads. Returns `false` when the connection is to end.
async fn wait_for_first_byte(resting: &mut Resting, status: &ConnectionStatus, shared: &Shared) -> bool {
    if !resting.read.is_empty() {
        return true;
    }
    tokio::select! {
        biased;
        readable = timeout(limits::HEADERS, resting.socket.readable()) => matches!(readable, Ok(Ok(()))),
        () = shared.stop.cancelled() => false,
        () = status.close_requested() => false,
    }
}

/// Serves HTTP until the connection ends or releases its buffers.
async fn serve_http(
    resting: Resting,
    peer: IpAddr,
    status: &Arc<ConnectionStatus>,
    shared: &Shared,
) -> HttpEnd {
    let large_head = LargeHead::new(shared.large_heads.clone(), peer);
    let stream = Stream::new(resting.socket, resting.read, status.clone(), large_head.clone());
    let service = {
        let service =
            Arc::new(RequestService { peer, status: status.clone(), large_head, shared: shared.clone() });
        hyper::service::service_fn(move |request| service.clone().respond(request))
    };
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADERS)
        .max_buf_size(limits::HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut is_resting = false;
    let ended = tokio::select! {
        // Polled first, so that a request that arrived before the stop is seen.
        biased;
        ended = &mut http => ended,
        () = status.close_requested() => {
            // A request whose body was awaited is answered with the reason; without a request there is nothing to answer.
            if matches!(status.phase(), ConnectionPhase::Handling | ConnectionPhase::WritingAnswer) {
                drop(timeout(limits::LAST_ANSWER, &mut http).await);
            }
            return HttpEnd::CutOff;
        }
        () = status.rest_requested() => {
            // No request is in progress, so HTTP ends at once.
            is_resting = true;
            status.outlives_http(true);
            Pin::new(&mut http).graceful_shutdown();
            (&mut http).await
        }
        () = shared.stop.cancelled() => {
            // A request in progress is finished; without one this ends the connection.
            Pin::new(&mut http).graceful_shutdown();
            (&mut http).await
        }
    };
    status.outlives_http(false);
    let parts = http.into_parts();
    let socket = parts.io.into_inner().into_socket();
    match ended {
        Ok(()) if is_resting => HttpEnd::Resting(Resting { socket, read: parts.read_buf }),
        Ok(()) => HttpEnd::Ended(socket),
        Err(fault) => {
            // The other side disconnected or did not speak HTTP; it has had whatever answer was possible.
            if tracing::enabled!(tracing::Level::DEBUG)
                && shared.anonymous_lines.admit(AnonymousLine::Request, counted_as(peer), 1) > 0
            {
                tracing::debug!(error = %fault, peer.ip = %peer, "a connection ended with an error");
            }
            HttpEnd::Ended(socket)
        }
    }
}

/// The data that the requests of a connection share.
struct RequestService {
    peer: IpAddr,
    status: Arc<ConnectionStatus>,
    large_head: Arc<LargeHead>,
    shared: Shared,
}

impl RequestService {
    /// Work that needs no waiting is done before the future begins: inside it, its variables would take memory as long as the request
    /// lasts.
    fn respond(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
    ) -> BoxFuture<'static, Result<Answer, Infallible>> {
        self.status.enter(ConnectionPhase::Handling);
        let (mut request, rest) = self.prepare(request);
        let refusal = framing::fault(&request).or_else(|| self.reserve_large_head(&mut request));
        if let Some(refusal) = refusal {
            request.extensions_mut().insert(refusal);
        }
        let response = self.shared.router.clone().oneshot(strip_prefix(request));
        async move {
            let Ok(response) = response.await;
            let is_usable = refusal.is_none() && self.drain(rest).await && !self.status.is_closing();
            Ok(self.finish(response, is_usable))
        }
        .boxed()
    }

    fn finish(&self, mut response: Response, is_usable: bool) -> Answer {
        if !is_usable {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| AnswerBody { body, status: self.status.clone() })
    }

    /// The request as handlers get it, and the part of its body that is drained once they have answered.
    fn prepare(&self, request: hyper::Request<Incoming>) -> (Request, Option<request_body::UnreadBody>) {
        let (head, body) = request.into_parts();
        let (mut request, rest) = if body.is_end_stream() {
            (Request::from_parts(head, Body::empty()), None)
        } else {
            let (lent, rest) = request_body::share(body, head.headers.contains_key(header::EXPECT));
            let mut request = Request::from_parts(head, Body::new(lent));
            request.extensions_mut().insert(self.status.clone());
            (request, Some(rest))
        };
        request.extensions_mut().insert(Peer(self.peer));
        (request, rest)
    }

    /// Reserves memory for a large head, which keeps it for as long as the head is in memory. Many small fields take as much as a few large
    /// ones.
    fn reserve_large_head(&self, request: &mut Request) -> Option<Refusal> {
        let mut reserved = self.large_head.take();
        if reserved.is_none() && request.headers().len() > limits::SMALL_HEAD_FIELDS {
            reserved = self.large_head.reserve_now();
            if reserved.is_none() {
                return Some(Refusal::NoRoom);
            }
        }
        if let Some(reserved) = reserved {
            request.extensions_mut().insert(Arc::new(reserved));
        }
        None
    }

    async fn drain(&self, rest: Option<request_body::UnreadBody>) -> bool {
        let Some(rest) = rest else { return true };
        let _waits = self.status.clone().wait_for_body();
        tokio::select! {
            is_drained = rest.drain() => is_drained,
            () = self.status.close_requested() => false,
        }
    }
}

type Answer = hyper::Response<AnswerBody>;

/// The body of an answer. When it is dropped, all of it has been handed to hyper, and the connection waits for the other side.
struct AnswerBody {
    body: Body,
    status: Arc<ConnectionStatus>,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.status.enter(ConnectionPhase::WritingAnswer);
    }
}
