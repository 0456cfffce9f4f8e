//! The life of one connection: it waits for a first byte, speaks HTTP/1.1, and ends so that its last answer arrives.
//!
//! HTTP/1.1 alone: TLS and HTTP/2 end at the proxy that a service on the internet stands behind. Every wait for the other side is bounded, so that
//! silence cannot use up the connections: the head of a request here, bodies in `json_body`, reading the answer in the stream.

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

use super::connections::{ConnectionStatus, Phase, Place};
use super::framing::{self, Refusal};
use super::stream::{LargeHead, Stream};
use super::{House, closing, unread};
use crate::layers::client_address::{Peer, counted_as};
use crate::limits;
use crate::routes::strip_prefix;

/// From the first byte to the last. Each part of it is forgotten when the next one begins, so that a connection that waits is small.
pub(super) async fn lives(socket: TcpStream, peer: IpAddr, place: &Place, house: &House) {
    let (status, mut resting) = (place.status(), Resting { socket, read: Bytes::new() });
    let socket = loop {
        if !Box::pin(says_something(&resting, status, house)).await {
            return;
        }
        // Also when it is to make room: a whole request that has come is answered.
        let buffers = place.buffers().await;
        let spoken = Box::pin(speaks(resting, peer, status, house)).await;
        drop(buffers);
        match spoken {
            Spoken::Rests(rests) => resting = rests,
            Spoken::Ended(socket) => break socket,
            Spoken::CutOff => return,
        }
    };
    let stops = async {
        house.stop.cancelled().await;
        tokio::time::sleep(limits::LAST_WORD).await;
    };
    tokio::select! {
        biased;
        () = closing::closes(socket) => {}
        () = status.is_to_close() => {}
        () = stops => {}
    }
}

/// A connection that waits for a request.
struct Resting {
    socket: TcpStream,
    /// What has been read of it already.
    read: Bytes,
}

/// How speaking came to its end.
enum Spoken {
    /// The connection waits for its next request, and another needs its buffers.
    Rests(Resting),
    /// One side has had enough.
    Ended(TcpStream),
    /// It had to make room.
    CutOff,
}

/// Waits until something comes: hyper takes its buffers before it looks.
async fn says_something(resting: &Resting, status: &ConnectionStatus, house: &House) -> bool {
    if !resting.read.is_empty() {
        return true;
    }
    tokio::select! {
        biased;
        readable = timeout(limits::HEADERS, resting.socket.readable()) => matches!(readable, Ok(Ok(()))),
        () = house.stop.cancelled() => false,
        () = status.is_to_close() => false,
    }
}

/// Speaks HTTP.
async fn speaks(resting: Resting, peer: IpAddr, status: &Arc<ConnectionStatus>, house: &House) -> Spoken {
    let large_head = LargeHead::new(house.large_heads.clone(), peer);
    let stream = Stream::new(resting.socket, resting.read, status.clone(), large_head.clone());
    let service = {
        let visit = Arc::new(Visit { peer, status: status.clone(), large_head, house: house.clone() });
        hyper::service::service_fn(move |request| visit.clone().answers(request))
    };
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADERS)
        .max_buf_size(limits::HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut rests = false;
    let ended = tokio::select! {
        // First, so that a request that has come before the stop is seen.
        biased;
        ended = &mut http => ended,
        () = status.is_to_close() => {
            // A request whose body was waited for is told why; without a request there is nobody to tell.
            if matches!(status.phase(), Phase::Work | Phase::Answer) {
                drop(timeout(limits::LAST_WORD, &mut http).await);
            }
            return Spoken::CutOff;
        }
        () = status.is_to_rest() => {
            // Nothing is in progress, so HTTP ends at once.
            rests = true;
            status.outlives_http(true);
            Pin::new(&mut http).graceful_shutdown();
            (&mut http).await
        }
        () = house.stop.cancelled() => {
            // What is in progress is finished; without anything in progress this is the end.
            Pin::new(&mut http).graceful_shutdown();
            (&mut http).await
        }
    };
    status.outlives_http(false);
    let parts = http.into_parts();
    let socket = parts.io.into_inner().into_socket();
    match ended {
        Ok(()) if rests => Spoken::Rests(Resting { socket, read: parts.read_buf }),
        Ok(()) => Spoken::Ended(socket),
        Err(fault) => {
            // The other side went away or spoke something else than HTTP; it has been told what can be told.
            if tracing::enabled!(tracing::Level::DEBUG)
                && house.anonymous_lines.admit(AnonymousLine::Request, counted_as(peer), 1) > 0
            {
                tracing::debug!(error = %fault, peer.ip = %peer, "a connection ended badly");
            }
            Spoken::Ended(socket)
        }
    }
}

/// What the requests of a connection have in common.
struct Visit {
    peer: IpAddr,
    status: Arc<ConnectionStatus>,
    large_head: Arc<LargeHead>,
    house: House,
}

impl Visit {
    /// What can be done at once is done before the future begins, which would keep room for all of it as long as the request lasts.
    fn answers(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
    ) -> BoxFuture<'static, Result<Answer, Infallible>> {
        self.status.enters(Phase::Work);
        let (mut request, rest) = self.takes_in(request);
        let refusal = framing::fault(&request).or_else(|| self.has_no_room_for(&mut request));
        if let Some(refusal) = refusal {
            request.extensions_mut().insert(refusal);
        }
        let response = self.house.router.clone().oneshot(strip_prefix(request));
        async move {
            let Ok(response) = response.await;
            let is_usable = refusal.is_none() && self.is_read_away(rest).await && !self.status.is_closing();
            Ok(self.sends(response, is_usable))
        }
        .boxed()
    }

    fn sends(&self, mut response: Response, is_usable: bool) -> Answer {
        if !is_usable {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| AnswerBody { body, status: self.status.clone() })
    }

    /// The request as handlers get it, and what is looked at again when they have answered.
    fn takes_in(&self, request: hyper::Request<Incoming>) -> (Request, Option<unread::Rest>) {
        let (head, body) = request.into_parts();
        let (mut request, rest) = if body.is_end_stream() {
            (Request::from_parts(head, Body::empty()), None)
        } else {
            let (lent, rest) = unread::lend(body, head.headers.contains_key(header::EXPECT));
            let mut request = Request::from_parts(head, Body::new(lent));
            request.extensions_mut().insert(self.status.clone());
            (request, Some(rest))
        };
        request.extensions_mut().insert(Peer(self.peer));
        (request, rest)
    }

    /// A large head keeps what it has reserved for as long as it is in memory. Many small fields take as much as a few large ones.
    fn has_no_room_for(&self, request: &mut Request) -> Option<Refusal> {
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

    async fn is_read_away(&self, rest: Option<unread::Rest>) -> bool {
        let Some(rest) = rest else { return true };
        let _waits = self.status.clone().waits_for_body();
        tokio::select! {
            is_read_away = rest.read_away() => is_read_away,
            () = self.status.is_to_close() => false,
        }
    }
}

type Answer = hyper::Response<AnswerBody>;

/// The body of an answer. When it is dropped, all of it is on its way, and the other side is waited for.
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
        self.status.enters(Phase::Answer);
    }
}
