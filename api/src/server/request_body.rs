//! The part of a request's body that a handler leaves unread. A small remainder is read and discarded, so that the connection can be used
//! again; otherwise the answer says that it cannot. A client that is not told would send its next request on a connection that is being
//! closed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::timeout;

use crate::limits;

/// The body as its handler sees it. The handler may drop it at any time.
#[derive(Debug)]
pub(super) struct HandlerBody(Arc<Mutex<SharedBody>>);

/// The same body, kept until the handler has answered.
#[derive(Debug)]
pub(super) struct UnreadBody {
    shared: Arc<Mutex<SharedBody>>,
    /// The caller sends its body only on request (`Expect: 100-continue`).
    expects_continue: bool,
}

#[derive(Debug)]
struct SharedBody {
    /// `None` once it has ended.
    body: Option<Incoming>,
    is_polled: bool,
}

/// Shares a body between the handler and the connection.
pub(super) fn share(body: Incoming, expects_continue: bool) -> (HandlerBody, UnreadBody) {
    let shared = Arc::new(Mutex::new(SharedBody { body: Some(body), is_polled: false }));
    (HandlerBody(shared.clone()), UnreadBody { shared, expects_continue })
}

fn lock(shared: &Mutex<SharedBody>) -> MutexGuard<'_, SharedBody> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Body for HandlerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut shared = lock(&self.0);
        shared.is_polled = true;
        let Some(body) = &mut shared.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            shared.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl UnreadBody {
    /// Reads and discards the rest of the body, if it is small and arrives soon. Returns whether the connection can be used again.
    pub(super) async fn drain(self) -> bool {
        let (body, is_polled) = {
            let mut shared = lock(&self.shared);
            (shared.body.take(), shared.is_polled)
        };
        let Some(body) = body else { return true };
        if body.is_end_stream() {
            return true;
        }
        // The client has not begun to send it, and now need not.
        if self.expects_continue && !is_polled {
            return false;
        }
        if body.size_hint().lower() > limits::DRAIN_BYTES as u64 {
            return false;
        }
        timeout(limits::DRAIN, drain_within_limits(body)).await.unwrap_or(false)
    }
}

async fn drain_within_limits(mut body: Incoming) -> bool {
    let mut left = limits::DRAIN_BYTES;
    loop {
        match timeout(limits::DRAIN_PAUSE, body.frame()).await {
            Ok(None) => return true,
            Ok(Some(Ok(frame))) => match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return false,
            },
            Ok(Some(Err(_))) | Err(_) => return false,
        }
    }
}
