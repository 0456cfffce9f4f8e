//! One connection: HTTP/2 (RFC 9113) as far as APNs speaks it, written out so that every frame can be sent at a wrong moment.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, Sleep};

use super::answer::{Answer, REFUSED_STREAM, What};
use super::hpack::{self, Decoder, Head};
use super::provider_token::Verified;
use super::push::{self, Push};
use super::record::Received;
use super::{Shared, SingleStream};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest frame that was not announced otherwise.
const MAX_FRAME_BYTES: usize = 16_384;

/// More headers than this end the connection.
const MAX_BLOCK_BYTES: usize = 64 * 1024;

/// Nothing is read while more than this waits for a client that does not read.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// The window for bodies of all streams is opened once and again long before it is used up.
const WINDOW_BYTES: u32 = 1 << 30;

mod frame {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PUSH_PROMISE: u8 = 5;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;

    pub(super) const ACK: u8 = 1;
    pub(super) const END_STREAM: u8 = 1;
    pub(super) const END_HEADERS: u8 = 4;
    pub(super) const PADDED: u8 = 8;
    pub(super) const PRIORITY: u8 = 0x20;
}

/// `SETTINGS_MAX_CONCURRENT_STREAMS` and `SETTINGS_INITIAL_WINDOW_SIZE`.
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// What a test tells every connection.
#[derive(Debug, Clone)]
pub(super) enum Control {
    Release,
    Close,
    GoAway { reason: String, leaving: usize },
    MaxStreams(u32),
}

/// The client has broken a rule of HTTP/2, or left.
struct Over;

/// A request that is being read, or waits for its answer.
#[derive(Default)]
struct Stream {
    head: Head,
    body: Vec<u8>,
    answer: Option<What>,
}

pub(super) struct Connection<S> {
    io: S,
    shared: Arc<Shared>,
    number: u64,
    certificate_topic: Option<String>,
    control: UnboundedReceiver<Control>,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    preface_read: bool,
    decoder: Decoder,
    /// Headers that go on in `CONTINUATION`.
    block: Option<(u32, bool, Vec<u8>)>,
    /// Requests that are being read.
    reading: HashMap<u32, Stream>,
    /// Requests that were read and wait for their answer.
    waiting: HashMap<u32, Stream>,
    spare: Vec<Stream>,
    highest: u32,
    most_streams: usize,
    /// What the client has acknowledged, and what it has not yet.
    max_streams: u32,
    announced: VecDeque<u32>,
    due: BinaryHeap<Reverse<(Instant, u32)>>,
    timer: Pin<Box<Sleep>>,
    held: Vec<u32>,
    /// What the client takes of bodies, of all streams and of each.
    window: i64,
    stream_window: i64,
    blocked: VecDeque<(u32, Bytes)>,
    taken_in: u32,
    /// The token that was checked last, as it stood in the header.
    bearer: Vec<u8>,
    verified: Option<Verified>,
    first_key: Option<usize>,
    /// Whether more than one stream is allowed.
    open_to_many: bool,
    last_stream: Option<u32>,
    closing: bool,
    recorded: Vec<Received>,
    arrived: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(
        io: S,
        shared: Arc<Shared>,
        number: u64,
        certificate_topic: Option<String>,
        control: UnboundedReceiver<Control>,
    ) -> Self {
        let by_token = certificate_topic.is_none() && !shared.options.keys.is_empty();
        let open_to_many = !by_token || shared.options.single_stream == SingleStream::No;
        Self {
            io,
            shared,
            number,
            certificate_topic,
            control,
            input: Vec::with_capacity(2 * MAX_FRAME_BYTES),
            output: Vec::new(),
            written: 0,
            preface_read: false,
            decoder: Decoder::new(),
            block: None,
            reading: HashMap::new(),
            waiting: HashMap::new(),
            spare: Vec::new(),
            highest: 0,
            most_streams: 0,
            max_streams: u32::MAX,
            announced: VecDeque::new(),
            due: BinaryHeap::new(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            held: Vec::new(),
            window: 65_535,
            stream_window: 65_535,
            blocked: VecDeque::new(),
            taken_in: 0,
            bearer: Vec::new(),
            verified: None,
            first_key: None,
            open_to_many,
            last_stream: None,
            closing: false,
            recorded: Vec::new(),
            arrived: 0,
        }
    }

    /// Speaks until either side has had enough.
    pub(super) async fn run(mut self) {
        tokio::time::sleep(self.shared.options.settings_delay).await;
        let single = !self.open_to_many && self.announces_single_stream();
        let max_streams = if single { 1 } else { self.shared.max_streams.load(Ordering::Relaxed) };
        self.announce(max_streams);
        self.window_update(0, WINDOW_BYTES);
        std::future::poll_fn(|cx| self.poll(cx)).await;
        self.tell_all();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            while let Poll::Ready(Some(control)) = self.control.poll_recv(cx) {
                self.apply(control);
            }
            self.answer_what_is_due(cx);
            self.tell_all();
            if self.closing || self.poll_write(cx).is_err() {
                return Poll::Ready(());
            }
            if self.is_done() {
                return self.poll_end(cx);
            }
            if self.output.len() - self.written > MAX_OUTPUT_BYTES {
                return Poll::Pending;
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Over)) => {
                    // What is still to be said is said if it can be without waiting, a `GOAWAY` for example.
                    let _ = self.poll_write(cx);
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// After `GOAWAY`, when all that was promised an answer has it.
    fn is_done(&self) -> bool {
        self.last_stream.is_some()
            && self.reading.is_empty()
            && self.waiting.is_empty()
            && self.blocked.is_empty()
            && self.output.is_empty()
    }

    /// Says goodbye and waits for the client to leave: closing while there is something to read would take back what was said last.
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
        while self.written < self.output.len() {
            match Pin::new(&mut self.io).poll_write(cx, &self.output[self.written..]) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(Over),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Pending => return Ok(()),
            }
        }
        self.output.clear();
        self.written = 0;
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Ready(Err(_)) => Err(Over),
            _ => Ok(()),
        }
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
            Poll::Ready(Ok(())) if count > 0 => Poll::Ready(self.read_frames()),
            Poll::Ready(_) => Poll::Ready(Err(Over)),
        }
    }

    fn read_frames(&mut self) -> Result<(), Over> {
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        if !self.preface_read {
            let length = rest.len().min(PREFACE.len());
            if rest[..length] != PREFACE[..length] {
                self.shared.violation("the client does not speak HTTP/2");
                return Err(Over);
            }
            if length == PREFACE.len() {
                self.preface_read = true;
                rest = &rest[length..];
            }
        }
        while self.preface_read && rest.len() >= 9 && !self.closing {
            let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
            if length > MAX_FRAME_BYTES {
                return Err(self.protocol_error("a frame is larger than allowed"));
            }
            if rest.len() < 9 + length {
                break;
            }
            let stream = u32::from_be_bytes([rest[5] & 0x7f, rest[6], rest[7], rest[8]]);
            self.frame(rest[3], rest[4], stream, &rest[9..9 + length])?;
            rest = &rest[9 + length..];
        }
        let left = rest.len();
        let read = input.len() - left;
        self.input = input;
        self.input.drain(..read);
        Ok(())
    }

    fn protocol_error(&mut self, what: &str) -> Over {
        self.shared.violation(what);
        write_frame(&mut self.output, frame::GOAWAY, 0, 0, &[[0; 4], 1_u32.to_be_bytes()].concat());
        Over
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Over> {
        if self.block.is_some() && kind != frame::CONTINUATION {
            return Err(self.protocol_error("headers are interrupted"));
        }
        match kind {
            frame::HEADERS => self.headers(flags, stream, payload),
            frame::CONTINUATION => self.continuation(flags, stream, payload),
            frame::DATA => self.data(flags, stream, payload),
            frame::RST_STREAM => {
                self.forget(stream);
                Ok(())
            }
            frame::SETTINGS => self.settings(flags, payload),
            frame::PING => {
                self.ping(flags, payload);
                Ok(())
            }
            frame::WINDOW_UPDATE => {
                if let Ok(by) = payload.try_into().map(u32::from_be_bytes)
                    && stream == 0
                {
                    self.window += i64::from(by);
                    self.send_blocked();
                }
                Ok(())
            }
            frame::PUSH_PROMISE => Err(self.protocol_error("a client pushes")),
            // `PRIORITY`, a client's `GOAWAY`, and what the standard does not know, which must be ignored.
            _ => Ok(()),
        }
    }

    fn headers(&mut self, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Over> {
        let mut block = payload;
        let mut padding = 0;
        if flags & frame::PADDED != 0 {
            let (first, rest) = block.split_first().ok_or(Over)?;
            (padding, block) = (usize::from(*first), rest);
        }
        if flags & frame::PRIORITY != 0 {
            block = block.get(5..).ok_or(Over)?;
        }
        block = block.len().checked_sub(padding).map(|length| &block[..length]).ok_or(Over)?;
        let end_stream = flags & frame::END_STREAM != 0;
        if flags & frame::END_HEADERS == 0 {
            self.block = Some((stream, end_stream, block.to_vec()));
            return Ok(());
        }
        self.request(stream, end_stream, block)
    }

    fn continuation(&mut self, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Over> {
        let Some((begun, end_stream, mut block)) = self.block.take().filter(|block| block.0 == stream) else {
            return Err(self.protocol_error("headers go on that were not begun"));
        };
        block.extend_from_slice(payload);
        if block.len() > MAX_BLOCK_BYTES {
            return Err(self.protocol_error("headers are larger than allowed"));
        }
        if flags & frame::END_HEADERS == 0 {
            self.block = Some((begun, end_stream, block));
            return Ok(());
        }
        self.request(stream, end_stream, &block)
    }

    /// A whole block of headers has been read.
    fn request(&mut self, id: u32, end_stream: bool, block: &[u8]) -> Result<(), Over> {
        let mut stream = self.spare.pop().unwrap_or_default();
        stream.head.clear();
        stream.body.clear();
        // Even what nobody answers has to be read: it changes the table of headers.
        if self.decoder.decode(block, &mut stream.head).is_none() {
            return Err(self.protocol_error("headers are not readable"));
        }
        if self.reading.contains_key(&id) {
            return Err(self.protocol_error("trailers were sent"));
        }
        if id.is_multiple_of(2) || id <= self.highest {
            return Err(self.protocol_error("the number of a stream is not a new odd one"));
        }
        self.highest = id;
        if self.last_stream.is_some_and(|last| id > last) {
            self.spare.push(stream);
            return Ok(());
        }
        if !self.has_room() {
            self.spare.push(stream);
            self.reset(id, REFUSED_STREAM);
            return Ok(());
        }
        self.reading.insert(id, stream);
        let streams = self.reading.len() + self.waiting.len();
        if streams > self.most_streams {
            self.most_streams = streams;
            self.shared.connection(self.number, |seen| seen.most_streams = streams);
        }
        if end_stream { self.complete(id) } else { Ok(()) }
    }

    /// Whether one more stream is within what was announced; beyond what the client has acknowledged is its fault.
    fn has_room(&self) -> bool {
        let open = self.reading.len() + self.waiting.len();
        let fits = |limit: u32| open < limit as usize;
        if !self.open_to_many && open > 0 {
            self.shared.violation("a second stream before the first provider token was found valid");
            return false;
        }
        if !fits(self.max_streams) {
            self.shared.violation("more streams than SETTINGS allow");
        }
        fits(self.max_streams) && self.announced.iter().all(|limit| fits(*limit))
    }

    fn data(&mut self, flags: u8, id: u32, payload: &[u8]) -> Result<(), Over> {
        self.taken_in += u32::try_from(payload.len()).unwrap_or(0);
        if self.taken_in > WINDOW_BYTES / 2 {
            self.window_update(0, self.taken_in);
            self.taken_in = 0;
        }
        let mut body = payload;
        if flags & frame::PADDED != 0 {
            let (padding, rest) = body.split_first().ok_or(Over)?;
            body = rest.len().checked_sub(usize::from(*padding)).map(|length| &rest[..length]).ok_or(Over)?;
        }
        let Some(stream) = self.reading.get_mut(&id) else { return Ok(()) };
        // One byte more than is allowed is enough to see that it is too much.
        let room = (push::MAX_PAYLOAD_BYTES + 1).saturating_sub(stream.body.len());
        stream.body.extend_from_slice(&body[..body.len().min(room)]);
        let too_large = stream.body.len() > push::MAX_PAYLOAD_BYTES;
        if flags & frame::END_STREAM != 0 || too_large { self.complete(id) } else { Ok(()) }
    }

    fn settings(&mut self, flags: u8, payload: &[u8]) -> Result<(), Over> {
        if flags & frame::ACK != 0 {
            let Some(limit) = self.announced.pop_front() else {
                return Err(self.protocol_error("settings are acknowledged that were not sent"));
            };
            self.max_streams = limit;
            return Ok(());
        }
        for setting in payload.chunks_exact(6) {
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            if u16::from_be_bytes([setting[0], setting[1]]) == INITIAL_WINDOW_SIZE {
                self.stream_window = i64::from(value);
            }
        }
        write_frame(&mut self.output, frame::SETTINGS, frame::ACK, 0, &[]);
        Ok(())
    }

    fn ping(&mut self, flags: u8, payload: &[u8]) {
        if flags & frame::ACK == 0 {
            self.shared.connection(self.number, |seen| seen.pings += 1);
            if self.shared.answers_pings.load(Ordering::Relaxed) {
                write_frame(&mut self.output, frame::PING, frame::ACK, 0, payload);
            }
        }
    }

    fn announces_single_stream(&self) -> bool {
        self.shared.options.single_stream == SingleStream::Announced
    }

    fn announce(&mut self, max_streams: u32) {
        let mut setting = MAX_CONCURRENT_STREAMS.to_be_bytes().to_vec();
        setting.extend_from_slice(&max_streams.to_be_bytes());
        write_frame(&mut self.output, frame::SETTINGS, 0, 0, &setting);
        self.announced.push_back(max_streams);
    }

    fn window_update(&mut self, stream: u32, by: u32) {
        write_frame(&mut self.output, frame::WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    }

    fn reset(&mut self, stream: u32, code: u32) {
        write_frame(&mut self.output, frame::RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    fn forget(&mut self, id: u32) {
        if let Some(stream) = self.reading.remove(&id).or_else(|| self.waiting.remove(&id)) {
            self.spare.push(stream);
        }
    }

    /// A request has been read: decides what is answered, and when.
    fn complete(&mut self, id: u32) -> Result<(), Over> {
        let Some(mut stream) = self.reading.remove(&id) else { return Ok(()) };
        self.arrived += 1;
        let answer = match self.judge(&stream) {
            Err((status, reason)) => Answer::refused(status, reason),
            Ok(()) => self.scripted(&stream.head).unwrap_or_else(Answer::accepted),
        };
        if self.shared.options.records {
            self.recorded.push(self.record(id, &stream, &answer));
        }
        if matches!(answer.what, What::Close) {
            self.closing = true;
            return Err(Over);
        }
        if let What::GoAway(reason) = &answer.what {
            let reason = reason.clone();
            self.spare.push(stream);
            self.go_away(&reason, id.saturating_sub(2));
            return Ok(());
        }
        let delay = answer.delay.unwrap_or_else(|| self.shared.latency());
        if self.shared.holds.load(Ordering::Relaxed) {
            self.held.push(id);
        } else if delay.is_zero() {
            self.answer(id, &answer.what, &stream.head);
            self.spare.push(stream);
            return Ok(());
        } else {
            self.due.push(Reverse((Instant::now() + delay, id)));
        }
        stream.answer = Some(answer.what);
        self.waiting.insert(id, stream);
        Ok(())
    }

    /// What Apple would say without being told to say something else.
    fn judge(&mut self, stream: &Stream) -> Result<(), (u16, &'static str)> {
        if self.shared.is_open() {
            return Ok(());
        }
        let push = Push::read(&stream.head, &stream.body)?;
        match (push.bearer, &self.certificate_topic) {
            (Some(bearer), _) => self.authorize(bearer, push.topic)?,
            (None, None) => return Err((403, "MissingProviderToken")),
            (None, Some(topic)) if push.topic.is_some_and(|given| given != topic.as_bytes()) => {
                return Err((400, "DeviceTokenNotForTopic"));
            }
            (None, Some(_)) => {}
        }
        if !self.open_to_many {
            self.open_to_many = true;
            if self.announces_single_stream() {
                self.announce(self.shared.max_streams.load(Ordering::Relaxed));
            }
        }
        Ok(())
    }

    fn authorize(&mut self, bearer: &[u8], topic: Option<&[u8]>) -> Result<(), (u16, &'static str)> {
        if self.bearer != bearer || self.verified.is_none() {
            self.bearer.clear();
            self.bearer.extend_from_slice(bearer);
            self.verified = None;
            let verified = self.shared.verify(bearer).map_err(|reason| (403, reason))?;
            verified.is_current((self.shared.options.now)()).map_err(|reason| (403, reason))?;
            self.shared.note_moment(&verified).map_err(|reason| (429, reason))?;
            self.verified = Some(verified);
        }
        let Some(verified) = &self.verified else { return Err((403, "InvalidProviderToken")) };
        verified.is_current((self.shared.options.now)()).map_err(|reason| (403, reason))?;
        if *self.first_key.get_or_insert(verified.key) != verified.key {
            return Err((403, "UnrelatedKeyIdInToken"));
        }
        let Some(topic) = topic else { return Err((400, "MissingTopic")) };
        let topics = self.shared.options.keys[verified.key].topics.as_ref();
        if topics.is_some_and(|topics| !topics.iter().any(|allowed| allowed.as_bytes() == topic)) {
            return Err((400, "TopicDisallowed"));
        }
        Ok(())
    }

    fn scripted(&self, head: &Head) -> Option<Answer> {
        if !self.shared.scripted.load(Ordering::Relaxed) {
            return None;
        }
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let topic = head.get("apns-topic").map(<[u8]>::to_vec);
        let topic = topic.or_else(|| self.certificate_topic.clone().map(String::into_bytes));
        self.shared.scripted_answer(&text(push::token(head)), &text(topic.as_deref()))
    }

    fn record(&self, id: u32, stream: &Stream, answer: &Answer) -> Received {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = stream.head.iter().filter(|(name, _)| !name.starts_with(b":"));
        let (status, reason) = match &answer.what {
            What::Status { status, reason, .. } => (Some(*status), reason.clone()),
            _ => (None, None),
        };
        Received {
            number: 0,
            at: self.shared.started.elapsed(),
            connection: self.number,
            stream: id,
            token: text(push::token(&stream.head).unwrap_or_default()),
            headers: headers.map(|(name, value)| (text(name), text(value))).collect(),
            body: Bytes::copy_from_slice(&stream.body),
            status,
            reason,
            woke: answer.taken,
        }
    }

    /// Everything that arrived since the last time becomes visible to the test at once.
    fn tell_all(&mut self) {
        if self.arrived > 0 {
            self.shared.arrived(std::mem::take(&mut self.arrived), &mut self.recorded);
        }
    }

    fn answer_what_is_due(&mut self, cx: &mut Context<'_>) {
        while let Some(Reverse((due, _))) = self.due.peek() {
            if self.timer.deadline() != *due {
                self.timer.as_mut().reset(*due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            let now = Instant::now();
            while let Some(Reverse((due, id))) = self.due.peek().copied()
                && due <= now
            {
                self.due.pop();
                self.answer_waiting(id);
            }
        }
    }

    fn answer_waiting(&mut self, id: u32) {
        // The client may have reset it in the meantime.
        if let Some(mut stream) = self.waiting.remove(&id) {
            if let Some(what) = stream.answer.take() {
                self.answer(id, &what, &stream.head);
            }
            self.spare.push(stream);
        }
    }

    fn answer(&mut self, id: u32, what: &What, head: &Head) {
        match what {
            What::Status { status, headers, body, .. } => {
                self.answer_status(id, *status, headers, body, head.get("apns-id"));
            }
            What::Reset(code) => self.reset(id, *code),
            // The others were dealt with when the request had been read.
            What::GoAway(_) | What::Close => {}
            What::Silence => {
                self.waiting.insert(id, Stream::default());
            }
        }
    }

    fn answer_status(
        &mut self,
        id: u32,
        status: u16,
        headers: &[(String, String)],
        body: &Bytes,
        apns_id: Option<&[u8]>,
    ) {
        let start = self.output.len();
        let end_stream = if body.is_empty() { frame::END_STREAM } else { 0 };
        write_frame(&mut self.output, frame::HEADERS, frame::END_HEADERS | end_stream, id, &[]);
        hpack::encode_status(status, &mut self.output);
        match apns_id {
            Some(apns_id) => hpack::encode("apns-id", apns_id, &mut self.output),
            None => hpack::encode("apns-id", self.shared.new_apns_id().as_bytes(), &mut self.output),
        }
        for (name, value) in headers {
            hpack::encode(name, value.as_bytes(), &mut self.output);
        }
        let length = u32::try_from(self.output.len() - start - 9).unwrap_or(0).to_be_bytes();
        self.output[start..start + 3].copy_from_slice(&length[1..]);
        if !body.is_empty() {
            self.blocked.push_back((id, body.clone()));
            self.send_blocked();
        }
    }

    /// Bodies wait until the client takes them. They are small: a frame each, or none.
    fn send_blocked(&mut self) {
        while let Some((id, body)) = self.blocked.pop_front() {
            let length = i64::try_from(body.len()).unwrap_or(i64::MAX);
            if length > self.stream_window || body.len() > MAX_FRAME_BYTES {
                self.shared.violation("the client takes no body of the size of a reason");
                self.reset(id, 2);
            } else if length > self.window {
                self.blocked.push_front((id, body));
                return;
            } else {
                self.window -= length;
                write_frame(&mut self.output, frame::DATA, frame::END_STREAM, id, &body);
            }
        }
    }

    fn apply(&mut self, control: Control) {
        match control {
            Control::Release => {
                for id in std::mem::take(&mut self.held) {
                    self.answer_waiting(id);
                }
            }
            Control::Close => self.closing = true,
            Control::MaxStreams(max_streams) => self.announce(max_streams),
            Control::GoAway { reason, leaving } => {
                let mut open: Vec<u32> = self.reading.keys().chain(self.waiting.keys()).copied().collect();
                open.sort_unstable_by(|a, b| b.cmp(a));
                open.truncate(leaving);
                let last = open.last().map_or(self.highest, |first_left| first_left.saturating_sub(2));
                self.go_away(&reason, last);
            }
        }
    }

    /// Says which stream is the last that is worked on, and forgets all later ones.
    fn go_away(&mut self, reason: &str, last: u32) {
        if self.last_stream.is_some_and(|before| before <= last) {
            return;
        }
        let mut payload = last.to_be_bytes().to_vec();
        payload.extend_from_slice(&0_u32.to_be_bytes());
        payload.extend_from_slice(serde_json::json!({ "reason": reason }).to_string().as_bytes());
        write_frame(&mut self.output, frame::GOAWAY, 0, 0, &payload);
        let dropped: Vec<u32> = self.waiting.keys().copied().filter(|id| *id > last).collect();
        self.reading.retain(|id, _| *id <= last);
        self.waiting.retain(|id, _| *id <= last);
        self.tell_all();
        self.shared.forget_wakes(self.number, &dropped);
        self.last_stream = Some(last);
    }
}

fn write_frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    output.extend_from_slice(&[length[1], length[2], length[3], kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
    output.extend_from_slice(payload);
}
