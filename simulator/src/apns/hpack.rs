//! Header blocks (RFC 7541): reading those of any client, and writing the few headers of a fake.

use std::collections::VecDeque;

use super::huffman;

/// The default, since no SETTINGS announce another size.
const TABLE_BYTES: usize = 4096;

/// RFC 7541, appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"),
    (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""), ("accept-encoding", "gzip, deflate"), ("accept-language", ""),
    ("accept-ranges", ""), ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
    ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""),
    ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
    ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""),
    ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];

/// The headers of one request, in one buffer that is used again.
#[derive(Debug, Default)]
pub(super) struct Head {
    text: Vec<u8>,
    /// Ends of names and values in `text`, in turn.
    ends: Vec<(usize, usize)>,
}

impl Head {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        self.text.extend_from_slice(name);
        let name_end = self.text.len();
        self.text.extend_from_slice(value);
        self.ends.push((name_end, self.text.len()));
    }

    /// Names and values, as they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        starts
            .zip(&self.ends)
            .map(|(start, (name, value))| (&self.text[start..*name], &self.text[*name..*value]))
    }

    /// The first header of that name.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }
}

/// One direction of one connection.
#[derive(Debug)]
pub(super) struct Decoder {
    dynamic: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    limit: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { dynamic: VecDeque::new(), size: 0, limit: TABLE_BYTES, name: Vec::new(), value: Vec::new() }
    }

    /// Reads a whole block; `None` when it breaks the standard, which ends the connection.
    pub(super) fn decode(&mut self, mut block: &[u8], head: &mut Head) -> Option<()> {
        while let Some(&first) = block.first() {
            if first & 0x80 != 0 {
                let index = integer(&mut block, 7)?;
                let (name, value) = self.entry(index)?;
                head.push(name, value);
            } else if first & 0x40 != 0 {
                self.literal(&mut block, 6)?;
                head.push(&self.name, &self.value);
                self.remember();
            } else if first & 0x20 != 0 {
                let limit = integer(&mut block, 5)?;
                self.limit = (limit <= TABLE_BYTES).then_some(limit)?;
                self.shrink(self.limit);
            } else {
                self.literal(&mut block, 4)?;
                head.push(&self.name, &self.value);
            }
        }
        Some(())
    }

    /// Reads name and value into `self.name` and `self.value`.
    fn literal(&mut self, block: &mut &[u8], prefix: u8) -> Option<()> {
        let index = integer(block, prefix)?;
        let mut name = std::mem::take(&mut self.name);
        name.clear();
        if index == 0 {
            string(block, &mut name)?;
        } else {
            name.extend_from_slice(self.entry(index)?.0);
        }
        self.name = name;
        self.value.clear();
        string(block, &mut self.value)
    }

    fn entry(&self, index: usize) -> Option<(&[u8], &[u8])> {
        match index.checked_sub(1)? {
            index if index < STATIC.len() => {
                let (name, value) = STATIC[index];
                Some((name.as_bytes(), value.as_bytes()))
            }
            index => self.dynamic.get(index - STATIC.len()).map(|(name, value)| (&**name, &**value)),
        }
    }

    fn remember(&mut self) {
        let size = self.name.len() + self.value.len() + 32;
        self.shrink(self.limit.saturating_sub(size));
        if size <= self.limit {
            self.size += size;
            self.dynamic.push_front((self.name.clone(), self.value.clone()));
        }
    }

    fn shrink(&mut self, to: usize) {
        while self.size > to
            && let Some((name, value)) = self.dynamic.pop_back()
        {
            self.size -= name.len() + value.len() + 32;
        }
    }
}

fn integer(block: &mut &[u8], prefix: u8) -> Option<usize> {
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(next(block)?) & mask;
    if value < mask {
        return Some(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = usize::from(next(block)?);
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn string(block: &mut &[u8], into: &mut Vec<u8>) -> Option<()> {
    let coded = block.first()? & 0x80 != 0;
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    if coded {
        huffman::decode(text, into)
    } else {
        into.extend_from_slice(text);
        Some(())
    }
}

fn next(block: &mut &[u8]) -> Option<u8> {
    let (first, rest) = block.split_first()?;
    *block = rest;
    Some(*first)
}

/// Appends one header in the plainest form, which leaves no trace in the client's table.
pub(super) fn encode(name: &str, value: &[u8], into: &mut Vec<u8>) {
    let whole = STATIC.iter().position(|entry| entry.0 == name && entry.1.as_bytes() == value);
    if let Some(index) = whole {
        write_integer(0x80, 7, index + 1, into);
        return;
    }
    if let Some(index) = STATIC.iter().position(|entry| entry.0 == name) {
        write_integer(0, 4, index + 1, into);
    } else {
        into.push(0);
        write_integer(0, 7, name.len(), into);
        into.extend_from_slice(name.as_bytes());
    }
    write_integer(0, 7, value.len(), into);
    into.extend_from_slice(value);
}

/// Appends the status, which comes first.
pub(super) fn encode_status(status: u16, into: &mut Vec<u8>) {
    if status == 200 {
        into.push(0x88);
    } else {
        encode(":status", status.to_string().as_bytes(), into);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each byte is cut to its bits before")]
fn write_integer(flags: u8, prefix: u8, value: usize, into: &mut Vec<u8>) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        into.push(flags | value as u8);
        return;
    }
    into.push(flags | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        into.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Head, encode};

    fn read(decoder: &mut Decoder, hex: &str) -> Option<Vec<(String, String)>> {
        let mut head = Head::default();
        decoder.decode(&hex::decode(hex).unwrap(), &mut head)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Some(head.iter().map(|(name, value)| (text(name), text(value))).collect())
    }

    /// RFC 7541, appendix C.4: three requests on one connection.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let mut decoder = Decoder::new();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let common = |scheme, path| {
            vec![
                pair(":method", "GET"),
                pair(":scheme", scheme),
                pair(":path", path),
                pair(":authority", "www.example.com"),
            ]
        };
        let first = read(&mut decoder, "828684418cf1e3c2e5f23a6ba0ab90f4ff").unwrap();
        assert_eq!(first, common("http", "/"));
        let second = read(&mut decoder, "828684be5886a8eb10649cbf").unwrap();
        assert_eq!(second[..4], common("http", "/"));
        assert_eq!(second[4], pair("cache-control", "no-cache"));
        let third = read(&mut decoder, "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf").unwrap();
        assert_eq!(third[..4], common("https", "/index.html"));
        assert_eq!(third[4], pair("custom-key", "custom-value"));
        assert_eq!(decoder.size, 164);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut block = Vec::new();
        let long = "x".repeat(300);
        let headers =
            [(":status", "200"), (":status", "410"), ("apns-id", long.as_str()), ("retry-after", "7")];
        for (name, value) in headers {
            encode(name, value.as_bytes(), &mut block);
        }
        let expected: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        assert_eq!(read(&mut Decoder::new(), &hex::encode(block)), Some(expected));
    }

    #[test]
    fn nonsense_is_refused() {
        for hex in ["80", "be", "418c", "ffffffffffff7f", "3fe21f00"] {
            assert_eq!(read(&mut Decoder::new(), hex), None, "{hex}");
        }
    }
}
