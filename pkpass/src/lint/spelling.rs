//! Keys that look like a slip of the pen, and keys that stand where Wallet does not look for them.
//!
//! Wallet ignores an unknown key, and a newer Wallet may know it. So a key is only spoken of when it is nearly one of the known ones, or is one of
//! another place.

use serde_json::{Map, Value};

use crate::finding::{Findings, quoted};
use crate::lint::shape::Shape;
use crate::pointer::at;

/// Unknown keys of one object that are compared. Whoever writes more of them does so on purpose.
const MOST_COMPARED: usize = 16;

/// The longest key that is compared, in bytes; the longest known one is shorter.
const LONGEST: usize = 64;

/// Hints at keys that are nearly one of those of the shapes or of the others. An object that is none is reported elsewhere.
pub(super) fn check_spelling(
    findings: &mut Findings,
    parent: &str,
    object: Option<&Map<String, Value>>,
    shapes: &[Shape],
    others: &[&str],
) {
    let known =
        || shapes.iter().flat_map(|shape| shape.iter().map(|(key, _)| *key)).chain(others.iter().copied());
    let Some(object) = object.filter(|_| findings.has_room()) else { return };
    let unknown =
        object.keys().filter(|key| key.len() <= LONGEST && !known().any(|known| known == key.as_str()));
    for key in unknown.take(MOST_COMPARED) {
        let letters = Letters::of(key);
        // A key that is there in its right spelling was not meant by the other.
        let meant = known().find(|known| letters.are_nearly(known) && !object.contains_key(*known));
        if let Some(meant) = meant {
            let detail = format!("Wallet knows no key {}: did you mean `{meant}`?", quoted(key));
            findings.hint("key_misspelt", &at(parent, key), detail);
        }
    }
}

/// Hints at keys of an object that belong into another place, with the name of that place.
pub(super) fn check_place(
    findings: &mut Findings,
    parent: &str,
    object: &Map<String, Value>,
    keys: impl Iterator<Item = &'static str>,
    place: &str,
) {
    for key in keys.filter(|key| object.contains_key(*key)) {
        let detail = format!("Wallet does not look for `{key}` here: it belongs {place}");
        findings.hint("key_misplaced", &at(parent, key), detail);
    }
}

/// The letters and digits of a key, without case.
struct Letters<'a> {
    key: &'a str,
    length: usize,
    counts: [u8; 36],
}

impl<'a> Letters<'a> {
    fn of(key: &'a str) -> Self {
        Self { key, length: length(key), counts: counts(key) }
    }

    /// Whether the key differs from another in case and separators alone, or in so few letters that one is a slip for the other.
    fn are_nearly(&self, known: &str) -> bool {
        let length = length(known);
        let slips: u8 = if length < 8 { 1 } else { 2 };
        // Nearly all are told apart by this alone, and every command that changes a content comes by here.
        if length.abs_diff(self.length) > usize::from(slips) {
            return false;
        }
        // A slip changes two counts at most. Nearly all keys are told apart by them, so that few are compared letter by letter.
        let changed =
            self.counts.iter().zip(counts(known)).map(|(one, other)| one.abs_diff(other)).sum::<u8>();
        changed <= 2 * slips && {
            let (key, known): (String, String) = (bare(self.key).collect(), bare(known).collect());
            strsim::osa_distance(&key, &known) <= usize::from(slips)
        }
    }
}

/// How many letters and digits are in a text.
fn length(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_alphanumeric).count()
}

fn bare(text: &str) -> impl Iterator<Item = char> {
    text.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| char::from(letter.to_ascii_lowercase()))
}

/// How often each letter and digit is in a text of at most [`LONGEST`] bytes.
fn counts(text: &str) -> [u8; 36] {
    let mut counts = [0; 36];
    let digits = bare(text).take(LONGEST).filter_map(|letter| letter.to_digit(36));
    for count in digits {
        if let Some(count) = counts.get_mut(count as usize) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        for (key, known) in [
            ("backgroundcolor", "backgroundColor"),
            ("background_color", "backgroundColor"),
            ("backgroudColor", "backgroundColor"),
            ("bacgkroundColor", "backgroundColor"),
            ("lable", "label"),
            ("Value", "value"),
            ("barcode_s", "barcodes"),
        ] {
            assert!(Letters::of(key).are_nearly(known), "{key}");
        }
        for (key, known) in [
            ("foregroundColor", "backgroundColor"),
            ("stripColor", "labelColor"),
            ("seat", "section"),
            ("", "key"),
            ("rows", "value"),
        ] {
            assert!(!Letters::of(key).are_nearly(known), "{key}");
        }
    }
}
