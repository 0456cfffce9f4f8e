//! The streams of a connection: requests that are being read, and requests that wait for their answer.

use std::collections::HashMap;

use crate::apns::answer::Action;
use crate::apns::hpack::Head;

/// A request that is being read, or waits for its answer.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    pub(super) answer: Option<Action>,
}

/// All streams of a connection that are open.
#[derive(Default)]
pub(super) struct Streams {
    reading: HashMap<u32, Stream>,
    waiting: HashMap<u32, Stream>,
    /// Buffers of streams that have ended, to be used again.
    spare: Vec<Stream>,
    /// The highest number so far.
    highest: u32,
    most_open: usize,
}

impl Streams {
    pub(super) fn open(&self) -> usize {
        self.reading.len() + self.waiting.len()
    }

    pub(super) fn highest(&self) -> u32 {
        self.highest
    }

    /// A stream with empty buffers, which is not open yet.
    pub(super) fn unused(&mut self) -> Stream {
        let mut stream = self.spare.pop().unwrap_or_default();
        stream.head.clear();
        stream.body.clear();
        stream
    }

    /// Gives the buffers of a stream back.
    pub(super) fn recycle(&mut self, stream: Stream) {
        self.spare.push(stream);
    }

    pub(super) fn is_read(&self, id: u32) -> bool {
        self.reading.contains_key(&id)
    }

    /// Takes note of the number of a new stream. Whether it is odd and higher than all before, as a client's must be.
    pub(super) fn number(&mut self, id: u32) -> bool {
        let is_new = !id.is_multiple_of(2) && id > self.highest;
        if is_new {
            self.highest = id;
        }
        is_new
    }

    /// Opens a stream. Returns how many are open when that is more than ever before.
    pub(super) fn start(&mut self, id: u32, stream: Stream) -> Option<usize> {
        self.reading.insert(id, stream);
        let open = self.open();
        if open <= self.most_open {
            return None;
        }
        self.most_open = open;
        Some(open)
    }

    /// The stream while its body is being read.
    pub(super) fn being_read(&mut self, id: u32) -> Option<&mut Stream> {
        self.reading.get_mut(&id)
    }

    /// Takes a stream out whose request has been read.
    pub(super) fn take_read(&mut self, id: u32) -> Option<Stream> {
        self.reading.remove(&id)
    }

    /// Keeps a stream until it is answered.
    pub(super) fn wait(&mut self, id: u32, stream: Stream) {
        self.waiting.insert(id, stream);
    }

    /// Takes a stream out that waits for its answer. The client may have reset it in the meantime.
    pub(super) fn take_waiting(&mut self, id: u32) -> Option<Stream> {
        self.waiting.remove(&id)
    }

    /// The client has reset a stream.
    pub(super) fn forget(&mut self, id: u32) {
        if let Some(stream) = self.reading.remove(&id).or_else(|| self.waiting.remove(&id)) {
            self.spare.push(stream);
        }
    }

    /// The numbers of all open streams, the newest first.
    pub(super) fn newest_first(&self) -> Vec<u32> {
        let mut open: Vec<u32> = self.reading.keys().chain(self.waiting.keys()).copied().collect();
        open.sort_unstable_by(|a, b| b.cmp(a));
        open
    }

    /// Drops all streams behind the last one that is worked on. Returns those of them that had been read.
    pub(super) fn drop_behind(&mut self, last: u32) -> Vec<u32> {
        let dropped = self.waiting.keys().copied().filter(|id| *id > last).collect();
        self.reading.retain(|id, _| *id <= last);
        self.waiting.retain(|id, _| *id <= last);
        dropped
    }
}
