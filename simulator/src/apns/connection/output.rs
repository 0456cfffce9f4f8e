//! The frames that are written, until the socket has taken them.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::frame;
use super::over::Over;
use crate::apns::hpack;

/// Frames that wait for the socket.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    written: usize,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How much waits for the socket.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Writes as much as the socket takes now.
    pub(super) fn poll_write(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Result<(), Over> {
        while self.written < self.bytes.len() {
            match Pin::new(&mut *io).poll_write(cx, &self.bytes[self.written..]) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(Over),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Pending => return Ok(()),
            }
        }
        self.bytes.clear();
        self.written = 0;
        match Pin::new(io).poll_flush(cx) {
            Poll::Ready(Err(_)) => Err(Over),
            _ => Ok(()),
        }
    }

    pub(super) fn max_streams(&mut self, max_streams: u32) {
        let mut setting = frame::SETTINGS_MAX_CONCURRENT_STREAMS.to_be_bytes().to_vec();
        setting.extend_from_slice(&max_streams.to_be_bytes());
        self.frame(frame::SETTINGS, 0, 0, &setting);
    }

    pub(super) fn settings_ack(&mut self) {
        self.frame(frame::SETTINGS, frame::ACK, 0, &[]);
    }

    pub(super) fn ping_ack(&mut self, payload: &[u8]) {
        self.frame(frame::PING, frame::ACK, 0, payload);
    }

    /// Opens the window for the bodies of all streams.
    pub(super) fn window_update(&mut self, by: u32) {
        self.frame(frame::WINDOW_UPDATE, 0, 0, &by.to_be_bytes());
    }

    pub(super) fn reset(&mut self, stream: u32, code: u32) {
        self.frame(frame::RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    pub(super) fn go_away(&mut self, last_stream: u32, code: u32, debug_data: &[u8]) {
        let mut payload = last_stream.to_be_bytes().to_vec();
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(debug_data);
        self.frame(frame::GOAWAY, 0, 0, &payload);
    }

    /// The head of an answer.
    pub(super) fn headers<'a>(
        &mut self,
        stream: u32,
        status: u16,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        has_body: bool,
    ) {
        let start = self.bytes.len();
        let end_stream = if has_body { 0 } else { frame::END_STREAM };
        self.frame(frame::HEADERS, frame::END_HEADERS | end_stream, stream, &[]);
        hpack::encode_status(status, &mut self.bytes);
        for (name, value) in headers {
            hpack::encode(name, value, &mut self.bytes);
        }
        let length = u32::try_from(self.bytes.len() - start - frame::HEAD_BYTES).unwrap_or(0).to_be_bytes();
        self.bytes[start..start + 3].copy_from_slice(&length[1..]);
    }

    /// A whole body, with which the stream ends.
    pub(super) fn body(&mut self, stream: u32, body: &[u8]) {
        self.frame(frame::DATA, frame::END_STREAM, stream, body);
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
        self.bytes.extend_from_slice(&[length[1], length[2], length[3], kind, flags]);
        self.bytes.extend_from_slice(&stream.to_be_bytes());
        self.bytes.extend_from_slice(payload);
    }
}
