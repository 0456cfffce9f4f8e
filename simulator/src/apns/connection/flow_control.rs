//! Flow control (RFC 9113, section 5.2): how much body either side may send.

use std::collections::VecDeque;

use bytes::Bytes;

use super::frame::MAX_FRAME_BYTES;

/// The window for the bodies of all requests is opened once, and again long before it is used up.
pub(super) const WINDOW_BYTES: u32 = 1 << 30;

/// The windows of one connection, and the bodies of answers that wait until the client takes them.
pub(super) struct FlowControl {
    /// How much the client takes of bodies, of all streams and of each.
    connection_window: i64,
    stream_window: i64,
    blocked: VecDeque<(u32, Bytes)>,
    /// How much was received since the window for requests was opened last.
    received: u32,
}

/// The fate of the body that has waited longest.
pub(super) enum Body {
    Fits(u32, Bytes),
    /// The client would never take a body of this size on this stream.
    NeverFits(u32),
}

impl FlowControl {
    /// The windows before any settings.
    pub(super) fn new() -> Self {
        Self { connection_window: 65_535, stream_window: 65_535, blocked: VecDeque::new(), received: 0 }
    }

    /// Counts bytes of requests. Returns by how much the window is to be opened, when it is time.
    pub(super) fn receive(&mut self, bytes: usize) -> Option<u32> {
        self.received += u32::try_from(bytes).unwrap_or(0);
        (self.received > WINDOW_BYTES / 2).then(|| std::mem::take(&mut self.received))
    }

    /// The client takes more.
    pub(super) fn widen(&mut self, by: u32) {
        self.connection_window += i64::from(by);
    }

    /// The client has said how much it takes of each stream.
    pub(super) fn set_stream_window(&mut self, bytes: u32) {
        self.stream_window = i64::from(bytes);
    }

    /// Adds a body to those that wait.
    pub(super) fn push(&mut self, stream: u32, body: Bytes) {
        self.blocked.push_back((stream, body));
    }

    pub(super) fn has_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// The next body that need not wait any longer. Bodies are small: a frame each, or none.
    pub(super) fn next_body(&mut self) -> Option<Body> {
        let (stream, body) = self.blocked.pop_front()?;
        let length = i64::try_from(body.len()).unwrap_or(i64::MAX);
        if length > self.stream_window || body.len() > MAX_FRAME_BYTES {
            return Some(Body::NeverFits(stream));
        }
        if length > self.connection_window {
            self.blocked.push_front((stream, body));
            return None;
        }
        self.connection_window -= length;
        Some(Body::Fits(stream, body))
    }
}
