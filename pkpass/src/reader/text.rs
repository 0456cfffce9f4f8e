//! Decodes the texts of a pass as a phone does: UTF-8, UTF-16 and UTF-32, with a byte order mark or without.
//!
//! Foundation tells the encodings of JSON apart by their zero bytes (RFC 4627, section 3); texts of a language are UTF-16 by Apple's
//! documentation and UTF-8 in practice.

use std::borrow::Cow;

/// How a text was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) name: &'static str,
    pub(super) has_mark: bool,
}

impl Encoding {
    /// UTF-8 without a byte order mark, which everything reads.
    pub(super) fn is_plain(self) -> bool {
        self.name == "UTF-8" && !self.has_mark
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.has_mark { " with a byte order mark" } else { "" };
        write!(formatter, "{}{mark}", self.name)
    }
}

/// A decoded text.
#[derive(Debug)]
pub(super) struct Text<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) encoding: Encoding,
}

#[derive(Debug, Clone, Copy)]
struct Units {
    name: &'static str,
    width: usize,
    is_little: bool,
}

const UTF_8: Units = Units { name: "UTF-8", width: 1, is_little: false };
const UTF_16_BE: Units = Units { name: "UTF-16", width: 2, is_little: false };
const UTF_16_LE: Units = Units { name: "UTF-16", width: 2, is_little: true };
const UTF_32_BE: Units = Units { name: "UTF-32", width: 4, is_little: false };
const UTF_32_LE: Units = Units { name: "UTF-32", width: 4, is_little: true };

/// Byte order marks, the longer ones before those that they begin with.
const MARKS: [(&[u8], Units); 5] = [
    (&[0xff, 0xfe, 0, 0], UTF_32_LE),
    (&[0, 0, 0xfe, 0xff], UTF_32_BE),
    (&[0xff, 0xfe], UTF_16_LE),
    (&[0xfe, 0xff], UTF_16_BE),
    (&[0xef, 0xbb, 0xbf], UTF_8),
];

/// Decodes a text.
///
/// # Errors
/// A sentence without a subject that names the encoding and the byte where it ends to be that.
pub(super) fn decode(bytes: &[u8]) -> Result<Text<'_>, String> {
    let marked = MARKS.iter().find(|(mark, _)| bytes.starts_with(mark));
    let (units, body) = match marked {
        Some((mark, units)) => (*units, &bytes[mark.len()..]),
        None => (by_zero_bytes(bytes), bytes),
    };
    let encoding = Encoding { name: units.name, has_mark: marked.is_some() };
    let skipped = bytes.len() - body.len();
    let text = match units.width {
        1 => match std::str::from_utf8(body) {
            Ok(text) => Cow::Borrowed(text),
            Err(error) => return Err(not_utf_8(&bytes[skipped..], skipped, error.valid_up_to())),
        },
        2 => Cow::Owned(utf_16(body, units).map_err(|at| broken(units, skipped + at))?),
        _ => Cow::Owned(utf_32(body, units).map_err(|at| broken(units, skipped + at))?),
    };
    Ok(Text { text, encoding })
}

/// The first two characters of a text are ASCII in everything that is decoded here, or it has a mark.
fn by_zero_bytes(bytes: &[u8]) -> Units {
    match bytes {
        [0, 0, 0, _, ..] => UTF_32_BE,
        [first, 0, 0, 0, ..] if *first != 0 => UTF_32_LE,
        [0, second, ..] if *second != 0 => UTF_16_BE,
        [first, 0, ..] if *first != 0 => UTF_16_LE,
        _ => UTF_8,
    }
}

fn utf_16(bytes: &[u8], units: Units) -> Result<String, usize> {
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(bytes.len() - 1);
    }
    let read = |pair: &[u8]| {
        let pair = [pair[0], pair[1]];
        if units.is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
    };
    let (mut text, mut at) = (String::with_capacity(bytes.len() / 2), 0);
    for character in char::decode_utf16(pairs.map(read)) {
        let character = character.map_err(|_| at)?;
        at += character.len_utf16() * 2;
        text.push(character);
    }
    Ok(text)
}

fn utf_32(bytes: &[u8], units: Units) -> Result<String, usize> {
    let (fours, remainder) = bytes.as_chunks::<4>();
    if !remainder.is_empty() {
        return Err(bytes.len() - remainder.len());
    }
    let read = |(index, four): (usize, &[u8; 4])| {
        let number = if units.is_little { u32::from_le_bytes(*four) } else { u32::from_be_bytes(*four) };
        char::from_u32(number).ok_or(index * 4)
    };
    fours.iter().enumerate().map(read).collect()
}

fn broken(units: Units, at: usize) -> String {
    format!("looks like {}, and is not from byte {at} on", units.name)
}

fn not_utf_8(bytes: &[u8], skipped: usize, at: usize) -> String {
    let line = 1 + bytes[..at].split(|byte| *byte == b'\n').skip(1).count();
    let byte = bytes.get(at).copied().unwrap_or_default();
    format!(
        "is not UTF-8: byte {} (0x{byte:02x}) on line {line} is a character of another encoding, Latin-1 perhaps: write the file as UTF-8",
        skipped + at
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, units: Units, has_mark: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let text = if has_mark { format!("\u{feff}{text}") } else { text.to_owned() };
        match units.width {
            1 => bytes.extend_from_slice(text.as_bytes()),
            2 => bytes.extend(
                text.encode_utf16()
                    .flat_map(|unit| if units.is_little { unit.to_le_bytes() } else { unit.to_be_bytes() }),
            ),
            _ => bytes.extend(text.chars().flat_map(|character| {
                let number = u32::from(character);
                if units.is_little { number.to_le_bytes() } else { number.to_be_bytes() }
            })),
        }
        bytes
    }

    #[test]
    fn every_encoding_is_told_from_the_others() {
        for text in ["{\"a\": \"Straße 🎫\"}", "/* */\n"] {
            for units in [UTF_8, UTF_16_BE, UTF_16_LE, UTF_32_BE, UTF_32_LE] {
                for has_mark in [true, false] {
                    let bytes = written(text, units, has_mark);
                    let read = decode(&bytes).unwrap();
                    assert_eq!((&*read.text, read.encoding), (text, Encoding { name: units.name, has_mark }));
                }
            }
        }
        assert_eq!(&*decode(b"").unwrap().text, "");
    }

    #[test]
    fn a_text_that_is_none_says_where() {
        assert!(decode(b"{\n\"\xe9\"}").unwrap_err().contains("byte 3 (0xe9) on line 2"));
        assert!(decode(b"\xff\xfe{\0}").unwrap_err().contains("byte 4"));
        assert!(decode(b"\xff\xfe{\0\x00\xd8").unwrap_err().contains("byte 4"));
        assert!(decode(b"\0\0\xfe\xff\0\x11\0\0").unwrap_err().contains("UTF-32"));
    }
}
