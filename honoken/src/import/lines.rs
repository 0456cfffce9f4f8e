//! The lines of the input, read one by one in bounded memory, each with the digest of everything up to its end.

use std::fmt::Write as _;
use std::io::{BufRead, ErrorKind};

use anyhow::{Context, ensure};
use honoken_api::limits;
use openssl::sha::Sha256;

/// The longest line that is sent, in bytes: the service takes no larger body.
pub(super) const LONGEST: usize = limits::JSON_BYTES;

/// What Windows writes before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A place between two lines.
#[derive(Clone)]
pub(super) struct Mark {
    /// The lines before it.
    pub(super) lines: u64,
    /// The bytes before it.
    pub(super) bytes: u64,
    read: Sha256,
}

impl Mark {
    /// The beginning.
    pub(super) fn beginning() -> Self {
        Self { lines: 0, bytes: 0, read: Sha256::new() }
    }

    /// SHA-256 of everything before it, in hex.
    pub(super) fn digest(&self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in self.read.clone().finish() {
            write!(hex, "{byte:02x}").expect("a string takes everything");
        }
        hex
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.read.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

/// A line of the input.
pub(super) struct Line {
    /// Its text without the line feed; `None` when it is longer than [`LONGEST`].
    pub(super) text: Option<Vec<u8>>,
    /// The place behind it.
    pub(super) end: Mark,
}

/// The lines of an input.
pub(super) struct Lines<R> {
    input: R,
    at: Mark,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, at: Mark::beginning() }
    }

    /// Passes over what was done before: so many lines in so many bytes with this digest.
    ///
    /// # Errors
    /// When the input begins with something else.
    pub(super) fn skip(&mut self, lines: u64, bytes: u64, digest: &str) -> anyhow::Result<()> {
        let other = "the input is not the one that was begun: it begins otherwise; --restart sends this one from its first line";
        while self.at.bytes < bytes {
            let available = self.input.fill_buf().context("the input cannot be read")?;
            ensure!(!available.is_empty(), other);
            let left = usize::try_from(bytes - self.at.bytes).unwrap_or(usize::MAX);
            let taken = available.len().min(left);
            self.at.pass(&available[..taken]);
            self.input.consume(taken);
        }
        ensure!(self.at.digest() == digest, other);
        self.at.lines = lines;
        Ok(())
    }

    /// The place that has been reached.
    pub(super) fn mark(&self) -> &Mark {
        &self.at
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Line>> {
        let (mut text, mut is_too_long, start) = (Vec::new(), false, self.at.bytes);
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(fault) if fault.kind() == ErrorKind::Interrupted => continue,
                Err(fault) => return Err(fault).context("the input cannot be read"),
            };
            let line_feed = available.iter().position(|byte| *byte == b'\n');
            let piece = &available[..line_feed.unwrap_or(available.len())];
            is_too_long |= text.len() + piece.len() > LONGEST;
            if is_too_long {
                text = Vec::new();
            } else {
                text.extend_from_slice(piece);
            }
            let taken = line_feed.map_or(available.len(), |at| at + 1);
            self.at.pass(&available[..taken]);
            self.input.consume(taken);
            if line_feed.is_some() || taken == 0 {
                break;
            }
        }
        if self.at.bytes == start {
            return Ok(None);
        }
        if start == 0 && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        self.at.lines += 1;
        Ok(Some(Line { text: (!is_too_long).then_some(text), end: self.at.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// Read in pieces of a few bytes, so that lines lie across them.
    fn lines(text: &[u8]) -> Lines<BufReader<&[u8]>> {
        Lines::new(BufReader::with_capacity(7, text))
    }

    fn texts(mut lines: Lines<BufReader<&[u8]>>) -> Vec<Option<String>> {
        let mut texts = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            texts.push(line.text.map(|text| String::from_utf8(text).unwrap()));
        }
        texts
    }

    fn some(expected: &[&str]) -> Vec<Option<String>> {
        expected.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn lines_end_with_a_line_feed_or_with_the_input() {
        assert_eq!(texts(lines(b"")), some(&[]));
        assert_eq!(texts(lines(b"one\n\nthe third line\n")), some(&["one", "", "the third line"]));
        assert_eq!(texts(lines(b"one\nwithout an end")), some(&["one", "without an end"]));
        assert_eq!(texts(lines(b"\xef\xbb\xbfone\n\xef\xbb\xbf\n")), some(&["one", "\u{feff}"]));
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_kept_in_no_memory() {
        let long = "x".repeat(LONGEST + 1);
        let text = format!("a\n{long}\nb\n{}\n", &long[1..]);
        let found = texts(lines(text.as_bytes()));
        assert_eq!(found, [some(&["a"]), vec![None], some(&["b", &long[1..]])].concat());
    }

    #[test]
    fn what_was_done_is_passed_over_if_it_is_still_there() {
        let text = b"first line\nsecond\nthird";
        let mut begun = lines(text);
        begun.next().unwrap();
        let Line { end, .. } = begun.next().unwrap().unwrap();
        let mut again = lines(text);
        again.skip(end.lines, end.bytes, &end.digest()).unwrap();
        let third = again.next().unwrap().unwrap();
        assert_eq!((third.text.as_deref(), third.end.lines), (Some(&b"third"[..]), 3));
        for other in [&b"First line\nsecond\nthird"[..], b"first line\n", b""] {
            let said = lines(other).skip(end.lines, end.bytes, &end.digest()).unwrap_err().to_string();
            assert!(said.contains("--restart"), "{said}");
        }
    }
}
