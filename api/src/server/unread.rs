//! What a handler leaves of the body of its request: a small rest is read away, so that the connection can be used again; else the answer says
//! that it cannot. A client that is not told sends its next request into a connection that is being closed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::timeout;

use crate::limits;

/// The body of a request in the hands of its handler, who may drop it whenever it likes.
#[derive(Debug)]
pub(super) struct Lent(Arc<Mutex<Held>>);

/// The same body, for when the handler has answered.
#[derive(Debug)]
pub(super) struct Rest {
    held: Arc<Mutex<Held>>,
    /// The caller sends its body only when it is asked for (`Expect: 100-continue`).
    waits_for_go_ahead: bool,
}

#[derive(Debug)]
struct Held {
    /// `None` when it has ended.
    body: Option<Incoming>,
    is_asked_for: bool,
}

/// Lends a body to a handler.
pub(super) fn lend(body: Incoming, waits_for_go_ahead: bool) -> (Lent, Rest) {
    let held = Arc::new(Mutex::new(Held { body: Some(body), is_asked_for: false }));
    (Lent(held.clone()), Rest { held, waits_for_go_ahead })
}

fn locked(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut held = locked(&self.0);
        held.is_asked_for = true;
        let Some(body) = &mut held.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            held.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        locked(&self.0).body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        locked(&self.0).body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Rest {
    /// Reads away what is left, if it is little and comes soon. Whether the connection can be used again.
    pub(super) async fn read_away(self) -> bool {
        let (body, is_asked_for) = {
            let mut held = locked(&self.held);
            (held.body.take(), held.is_asked_for)
        };
        let Some(body) = body else { return true };
        if body.is_end_stream() {
            return true;
        }
        // It has not begun to come, and now it need not.
        if self.waits_for_go_ahead && !is_asked_for {
            return false;
        }
        if body.size_hint().lower() > limits::READ_AWAY_BYTES as u64 {
            return false;
        }
        timeout(limits::READ_AWAY, ends_soon(body)).await.unwrap_or(false)
    }
}

async fn ends_soon(mut body: Incoming) -> bool {
    let mut left = limits::READ_AWAY_BYTES;
    loop {
        match timeout(limits::PAUSE, body.frame()).await {
            Ok(None) => return true,
            Ok(Some(Ok(frame))) => match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return false,
            },
            Ok(Some(Err(_))) | Err(_) => return false,
        }
    }
}
