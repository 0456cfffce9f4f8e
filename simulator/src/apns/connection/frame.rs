//! HTTP/2's frames (RFC 9113, sections 4.1 and 6): their head, types, flags and settings.

/// The bytes of a frame before its payload.
pub(super) const HEAD_BYTES: usize = 9;

/// The largest frame that was not announced otherwise.
pub(super) const MAX_FRAME_BYTES: usize = 16_384;

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

pub(super) const SETTINGS_MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const SETTINGS_INITIAL_WINDOW_SIZE: u16 = 4;

/// `PROTOCOL_ERROR` and `INTERNAL_ERROR`.
pub(super) const PROTOCOL_ERROR: u32 = 1;
pub(super) const INTERNAL_ERROR: u32 = 2;

/// One frame as it was received.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) stream: u32,
    pub(super) payload: &'a [u8],
    flags: u8,
}

/// A frame is larger than [`MAX_FRAME_BYTES`].
pub(super) struct TooLarge;

impl<'a> Frame<'a> {
    /// The first frame of the input, and the rest behind it; `None` while it is not complete.
    pub(super) fn first(input: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, TooLarge> {
        let Some((head, rest)) = input.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(TooLarge);
        }
        let Some((payload, rest)) = rest.split_at_checked(length) else { return Ok(None) };
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Ok(Some((Self { kind: head[3], flags: head[4], stream, payload }, rest)))
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload without padding and, in `HEADERS`, without a priority; `None` when it is too short for them.
    pub(super) fn content(&self) -> Option<&'a [u8]> {
        let (mut padding, mut content) = (0, self.payload);
        if self.has(PADDED) {
            let (first, rest) = content.split_first()?;
            (padding, content) = (usize::from(*first), rest);
        }
        if self.kind == HEADERS && self.has(PRIORITY) {
            content = content.get(5..)?;
        }
        content.get(..content.len().checked_sub(padding)?)
    }
}
