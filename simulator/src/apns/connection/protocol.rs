//! The protocol of one connection without its socket: the agreements and promises of both sides, and how each frame that is read changes them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::flow_control::{FlowControl, WINDOW_BYTES};
use super::frame::{self, Frame};
use super::judge::Judge;
use super::output::Output;
use super::over::Over;
use super::schedule::Schedule;
use super::stream_limit::StreamLimit;
use super::streams::Streams;
use crate::apns::answer::REFUSED_STREAM;
use crate::apns::hpack::Decoder;
use crate::apns::options::SingleStream;
use crate::apns::push;
use crate::apns::record::Received;
use crate::apns::server_state::ServerState;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// More headers than this end the connection.
const MAX_BLOCK_BYTES: usize = 64 * 1024;

/// The state of one connection.
pub(super) struct Protocol {
    pub(super) server: Arc<ServerState>,
    pub(super) number: u64,
    pub(super) output: Output,
    pub(super) streams: Streams,
    pub(super) flow: FlowControl,
    pub(super) judge: Judge,
    /// Answers that come later, and those that come when the test says so.
    pub(super) schedule: Schedule,
    pub(super) held: Vec<u32>,
    /// Whether the client has one stream only, until its first valid provider token.
    pub(super) one_stream_only: bool,
    /// The last stream that is worked on, once a `GOAWAY` has said so.
    pub(super) last_stream: Option<u32>,
    pub(super) closing: bool,
    /// Pushes that the test has not been told of: those that are recorded, and the count of all.
    pub(super) recorded: Vec<Received>,
    pub(super) arrived: u64,
    preface_read: bool,
    decoder: Decoder,
    unfinished: Option<HeaderBlock>,
    limit: StreamLimit,
}

/// Headers that go on in `CONTINUATION`.
struct HeaderBlock {
    stream: u32,
    end_stream: bool,
    bytes: Vec<u8>,
}

impl Protocol {
    pub(super) fn new(server: Arc<ServerState>, number: u64, certificate_topic: Option<String>) -> Self {
        let by_token = certificate_topic.is_none() && !server.options.keys.is_empty();
        let one_stream_only = by_token && server.options.single_stream != SingleStream::No;
        Self {
            judge: Judge::new(Arc::clone(&server), certificate_topic),
            server,
            number,
            output: Output::default(),
            streams: Streams::default(),
            flow: FlowControl::new(),
            schedule: Schedule::new(),
            held: Vec::new(),
            one_stream_only,
            last_stream: None,
            closing: false,
            recorded: Vec::new(),
            arrived: 0,
            preface_read: false,
            decoder: Decoder::new(),
            unfinished: None,
            limit: StreamLimit::new(),
        }
    }

    pub(super) fn settings_delay(&self) -> Duration {
        self.server.options.settings_delay
    }

    /// Sends the first frames of a server.
    pub(super) fn begin(&mut self) {
        let single = self.one_stream_only && self.announces_single_stream();
        let max_streams = if single { 1 } else { self.server.max_streams.load(Ordering::Relaxed) };
        self.announce(max_streams);
        self.output.window_update(WINDOW_BYTES);
    }

    /// Whether the connection ends at once.
    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// After `GOAWAY`, when everything that was promised an answer has it.
    pub(super) fn is_done(&self) -> bool {
        self.last_stream.is_some()
            && self.streams.open() == 0
            && !self.flow.has_blocked()
            && self.output.is_empty()
    }

    pub(super) fn announce(&mut self, max_streams: u32) {
        self.output.max_streams(max_streams);
        self.limit.announce(max_streams);
    }

    /// The first valid provider token lifts the limit of one stream.
    pub(super) fn lift_single_stream(&mut self) {
        if self.one_stream_only {
            self.one_stream_only = false;
            if self.announces_single_stream() {
                self.announce(self.server.max_streams.load(Ordering::Relaxed));
            }
        }
    }

    fn announces_single_stream(&self) -> bool {
        self.server.options.single_stream == SingleStream::Announced
    }

    /// Acts on all frames of the input that are complete, and takes them out of it.
    pub(super) fn read_frames(&mut self, input: &mut Vec<u8>) -> Result<(), Over> {
        let mut rest = input.as_slice();
        if !self.preface_read {
            let length = rest.len().min(PREFACE.len());
            if rest[..length] != PREFACE[..length] {
                self.server.violation("the client does not speak HTTP/2");
                return Err(Over);
            }
            if length == PREFACE.len() {
                self.preface_read = true;
                rest = &rest[length..];
            }
        }
        while self.preface_read && !self.closing {
            match Frame::first(rest) {
                Ok(Some((frame, behind))) => {
                    self.act_on(frame)?;
                    rest = behind;
                }
                Ok(None) => break,
                Err(frame::TooLarge) => return Err(self.protocol_error("a frame is larger than allowed")),
            }
        }
        let read = input.len() - rest.len();
        input.drain(..read);
        Ok(())
    }

    fn protocol_error(&mut self, violation: &str) -> Over {
        self.server.violation(violation);
        self.output.go_away(0, frame::PROTOCOL_ERROR, &[]);
        Over
    }

    fn act_on(&mut self, frame: Frame<'_>) -> Result<(), Over> {
        if self.unfinished.is_some() && frame.kind != frame::CONTINUATION {
            return Err(self.protocol_error("headers are interrupted"));
        }
        match frame.kind {
            frame::HEADERS => self.headers(frame),
            frame::CONTINUATION => self.continuation(frame),
            frame::DATA => self.data(frame),
            frame::RST_STREAM => {
                self.streams.forget(frame.stream);
                Ok(())
            }
            frame::SETTINGS => self.settings(frame),
            frame::PING => {
                self.ping(frame);
                Ok(())
            }
            frame::WINDOW_UPDATE => {
                if let Ok(by) = frame.payload.try_into().map(u32::from_be_bytes)
                    && frame.stream == 0
                {
                    self.flow.widen(by);
                    self.send_bodies();
                }
                Ok(())
            }
            frame::PUSH_PROMISE => Err(self.protocol_error("a client pushes")),
            // `PRIORITY`, a client's `GOAWAY`, and types that the standard does not know, which must be ignored.
            _ => Ok(()),
        }
    }

    fn headers(&mut self, frame: Frame<'_>) -> Result<(), Over> {
        let bytes = frame.content().ok_or(Over)?;
        let (stream, end_stream) = (frame.stream, frame.has(frame::END_STREAM));
        if !frame.has(frame::END_HEADERS) {
            self.unfinished = Some(HeaderBlock { stream, end_stream, bytes: bytes.to_vec() });
            return Ok(());
        }
        self.request(stream, end_stream, bytes)
    }

    fn continuation(&mut self, frame: Frame<'_>) -> Result<(), Over> {
        let Some(mut block) = self.unfinished.take().filter(|block| block.stream == frame.stream) else {
            return Err(self.protocol_error("headers go on that were not begun"));
        };
        block.bytes.extend_from_slice(frame.payload);
        if block.bytes.len() > MAX_BLOCK_BYTES {
            return Err(self.protocol_error("headers are larger than allowed"));
        }
        if !frame.has(frame::END_HEADERS) {
            self.unfinished = Some(block);
            return Ok(());
        }
        self.request(block.stream, block.end_stream, &block.bytes)
    }

    /// A whole block of headers has been read.
    fn request(&mut self, id: u32, end_stream: bool, block: &[u8]) -> Result<(), Over> {
        let mut stream = self.streams.unused();
        // Even headers that get no answer have to be read: they change the table of headers.
        if self.decoder.decode(block, &mut stream.head).is_none() {
            return Err(self.protocol_error("headers are not readable"));
        }
        if self.streams.is_read(id) {
            return Err(self.protocol_error("trailers were sent"));
        }
        if !self.streams.number(id) {
            return Err(self.protocol_error("the number of a stream is not a new odd one"));
        }
        if self.last_stream.is_some_and(|last| id > last) {
            self.streams.recycle(stream);
            return Ok(());
        }
        if !self.has_room() {
            self.streams.recycle(stream);
            self.output.reset(id, REFUSED_STREAM);
            return Ok(());
        }
        if let Some(most) = self.streams.start(id, stream) {
            self.server.connection(self.number, |seen| seen.most_streams = most);
        }
        if end_stream { self.complete(id) } else { Ok(()) }
    }

    /// Whether one more stream is within the announced limits; beyond a limit that the client has acknowledged it is its fault.
    fn has_room(&self) -> bool {
        let open = self.streams.open();
        if self.one_stream_only && open > 0 {
            self.server.violation("a second stream before the first provider token was found valid");
            return false;
        }
        if !self.limit.is_acknowledged_for(open) {
            self.server.violation("more streams than SETTINGS allow");
        }
        self.limit.allows(open)
    }

    fn data(&mut self, frame: Frame<'_>) -> Result<(), Over> {
        if let Some(received) = self.flow.receive(frame.payload.len()) {
            self.output.window_update(received);
        }
        let body = frame.content().ok_or(Over)?;
        let Some(stream) = self.streams.being_read(frame.stream) else { return Ok(()) };
        // One byte more than is allowed is enough to see that it is too much.
        let room = (push::MAX_PAYLOAD_BYTES + 1).saturating_sub(stream.body.len());
        stream.body.extend_from_slice(&body[..body.len().min(room)]);
        let too_large = stream.body.len() > push::MAX_PAYLOAD_BYTES;
        if frame.has(frame::END_STREAM) || too_large { self.complete(frame.stream) } else { Ok(()) }
    }

    fn settings(&mut self, frame: Frame<'_>) -> Result<(), Over> {
        if frame.has(frame::ACK) {
            if !self.limit.acknowledge() {
                return Err(self.protocol_error("settings are acknowledged that were not sent"));
            }
            return Ok(());
        }
        for setting in frame.payload.chunks_exact(6) {
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            if u16::from_be_bytes([setting[0], setting[1]]) == frame::SETTINGS_INITIAL_WINDOW_SIZE {
                self.flow.set_stream_window(value);
            }
        }
        self.output.settings_ack();
        Ok(())
    }

    fn ping(&mut self, frame: Frame<'_>) {
        if !frame.has(frame::ACK) {
            self.server.connection(self.number, |seen| seen.pings += 1);
            if self.server.answers_pings.load(Ordering::Relaxed) {
                self.output.ping_ack(frame.payload);
            }
        }
    }
}
