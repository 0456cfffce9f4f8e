//! As much BER (X.690) as it takes to find the statements of a signature: OpenSSL verifies it, but its safe Rust interface does not show
//! them. BER, not DER, because CMS is defined on it (RFC 5652), and Apple's own tool and Java's write indefinite lengths.

use std::borrow::Cow;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0]`, primitive.
pub(super) const CONTEXT_0_PRIMITIVE: u8 = 0x80;
/// `[0]`, constructed.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[1]`, constructed.
pub(super) const CONTEXT_1: u8 = 0xa1;

const CONSTRUCTED: u8 = 0x20;
/// All five bits of the tag number: it goes on in the next bytes.
const LONG_TAG: u8 = 0x1f;
/// Levels of elements inside each other. A signature has about ten.
const DEEPEST: usize = 32;

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    /// The first byte of its tag.
    pub(super) tag: u8,
    /// Its bytes with tag and length.
    pub(super) whole: &'a [u8],
    content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The bytes of a primitive element.
    pub(super) const fn content(&self) -> &'a [u8] {
        self.content
    }

    /// The elements inside.
    pub(super) const fn children(&self) -> Ber<'a> {
        Ber(self.content)
    }

    /// The bytes of a string, which may come in pieces.
    pub(super) fn octets(&self) -> Option<Cow<'a, [u8]>> {
        if self.tag & CONSTRUCTED == 0 {
            return Some(Cow::Borrowed(self.content));
        }
        let mut all = Vec::new();
        collect(self.children(), &mut all, 0)?;
        Some(Cow::Owned(all))
    }
}

fn collect(mut pieces: Ber<'_>, all: &mut Vec<u8>, depth: usize) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    while !pieces.is_empty() {
        let piece = pieces.any()?;
        if piece.tag & CONSTRUCTED == 0 {
            all.extend_from_slice(piece.content);
        } else {
            collect(piece.children(), all, depth + 1)?;
        }
    }
    Some(())
}

/// Reads elements one after the other. Everything is `None` as soon as something does not fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ber<'a>(&'a [u8]);

impl<'a> Ber<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, of any tag.
    pub(super) fn any(&mut self) -> Option<Element<'a>> {
        let (element, rest) = element(self.0, 0)?;
        self.0 = rest;
        Some(element)
    }

    /// The next element, which has to have this tag.
    pub(super) fn take(&mut self, expected: u8) -> Option<Element<'a>> {
        self.any().filter(|element| element.tag == expected)
    }

    /// The elements inside the next one, which has to have this tag.
    pub(super) fn enter(&mut self, expected: u8) -> Option<Self> {
        self.take(expected).map(|element| element.children())
    }

    /// The next element if it has this tag; otherwise it stays where it is.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() == Some(&tag) { self.take(tag) } else { None }
    }
}

fn element(bytes: &[u8], depth: usize) -> Option<(Element<'_>, &[u8])> {
    if depth > DEEPEST {
        return None;
    }
    let (tag, after_tag) = tag(bytes)?;
    let (length, body) = length(after_tag)?;
    let (content, rest) = match length {
        Some(length) => body.split_at_checked(length)?,
        // Only what holds elements can end with one.
        None if tag & CONSTRUCTED == 0 => return None,
        None => until_end(body, depth)?,
    };
    Some((Element { tag, whole: &bytes[..bytes.len() - rest.len()], content }, rest))
}

/// The content of an element of indefinite length: everything before the two zero bytes that end it.
fn until_end(body: &[u8], depth: usize) -> Option<(&[u8], &[u8])> {
    let mut rest = body;
    loop {
        if let Some(behind) = rest.strip_prefix(&[0, 0]) {
            return Some((&body[..body.len() - rest.len()], behind));
        }
        (_, rest) = element(rest, depth + 1)?;
    }
}

/// The first byte of a tag. The further bytes of a large one are passed over: nothing here asks for such a tag.
fn tag(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    if first & LONG_TAG == LONG_TAG {
        loop {
            let (next, behind) = rest.split_first()?;
            rest = behind;
            if next & 0x80 == 0 {
                break;
            }
        }
    }
    Some((*first, rest))
}

/// A length of at most eight bytes; `None` inside for one that is indefinite.
fn length(bytes: &[u8]) -> Option<(Option<usize>, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0x80 => Some((None, rest)),
        0..0x80 => Some((Some(usize::from(*first)), rest)),
        _ => {
            let (digits, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
            // Leading zeros are allowed in BER.
            let significant = &digits[digits.iter().take_while(|digit| **digit == 0).count()..];
            if significant.len() > size_of::<u32>() {
                return None;
            }
            let length = significant.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            Some((Some(length), rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indefinite_and_long_lengths_are_read() {
        let mut outer =
            Ber::new(&[0x30, 0x80, 0x02, 0x83, 0, 0, 1, 7, 0x24, 0x80, 4, 1, 1, 4, 1, 2, 0, 0, 0, 0]);
        let mut inner = outer.enter(SEQUENCE).unwrap();
        assert!(outer.is_empty());
        assert_eq!(inner.take(INTEGER).unwrap().content(), [7]);
        assert_eq!(&*inner.any().unwrap().octets().unwrap(), [1, 2]);
        assert!(inner.is_empty());
    }

    #[test]
    fn an_element_without_an_end_and_one_that_is_too_deep_are_none() {
        assert!(Ber::new(&[0x30, 0x80, 2, 1, 7]).any().is_none());
        assert!(Ber::new(&[0x04, 0x80, 0, 0]).any().is_none(), "a primitive one has a length");
        assert!(Ber::new(&[0x30, 0x80].repeat(1000)).any().is_none());
        assert!(Ber::new(&[0x30, 0x85, 1, 0, 0, 0, 0]).any().is_none());
    }
}
