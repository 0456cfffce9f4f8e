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
        // A key that is there in its right spelling was not meant by the other.
        let meant = known().find(|known| !object.contains_key(*known) && is_nearly(key, known));
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

/// Whether two keys differ in case and separators alone, or in so few letters that one is a slip for the other.
fn is_nearly(key: &str, known: &str) -> bool {
    let bare = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let (key, known) = (bare(key), bare(known));
    let slips = if known.len() < 8 { 1 } else { 2 };
    key.len().abs_diff(known.len()) <= slips && strsim::osa_distance(&key, &known) <= slips
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
            assert!(is_nearly(key, known), "{key}");
        }
        for (key, known) in [
            ("foregroundColor", "backgroundColor"),
            ("stripColor", "labelColor"),
            ("seat", "section"),
            ("", "key"),
            ("rows", "value"),
        ] {
            assert!(!is_nearly(key, known), "{key}");
        }
    }
}
