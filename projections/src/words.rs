//! The words by which a pass is found: in lower case, in one spelling (NFKC), and not too many.
//!
//! A word stands between spaces, without punctuation at its ends: `12A`, `müller-lüdenscheidt`, `2027-03-01t19:30+01:00`. Its parts are
//! words as well where it has no digits (`müller`, `lüdenscheidt`), and always in a serial number (`order-7`, `order`, `7`).

use std::collections::BTreeSet;

use honoken_domain::content::Content;
use honoken_domain::ids::SerialNumber;
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

/// Words of one pass, at most. Those of later texts, the small print on the back, are left out.
const MAX_WORDS: usize = 64;

/// Characters of a word, at most. The others do not count.
const MAX_LENGTH: usize = 64;

/// Words of one question, at most.
pub const ASKED: usize = 8;

/// Top-level texts that do not appear on a pass.
const INVISIBLE: &[&str] = &[
    "associatedStoreIdentifiers",
    "appLaunchURL",
    "authenticationToken",
    "backgroundColor",
    "eventDateISO",
    "expirationDate",
    "footerBackgroundColor",
    "foregroundColor",
    "groupingIdentifier",
    "labelColor",
    "relevantDate",
    "stripColor",
];

/// The words of a pass, sorted.
pub(crate) fn of_pass(serial_number: &SerialNumber, content: &Content) -> BTreeSet<String> {
    let mut words = Words::default();
    words.add(serial_number.as_str(), Parts::Always);
    let content = content.as_map();
    for (key, value) in content {
        if !INVISIBLE.contains(&key.as_str()) && !key.ends_with("URL") {
            words.add_value(value);
        }
    }
    for style in content.values().filter_map(Value::as_object) {
        for fields in ["headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields"] {
            words.add_each(style, fields, "value");
        }
    }
    words.add_each(content, "barcodes", "altText");
    words.0
}

/// The words of a question, each of which must begin a word of the pass. `None` when there are more than [`ASKED`].
pub fn of_question(text: &str) -> Option<Vec<String>> {
    let folded = fold(text);
    let words: BTreeSet<&str> = tokens(&folded).collect();
    (words.len() <= ASKED).then(|| words.into_iter().map(shortened).collect())
}

/// Which words are also divided into their parts.
#[derive(Clone, Copy, PartialEq)]
enum Parts {
    Always,
    WithoutDigits,
}

/// The words of one pass as they are collected.
#[derive(Default)]
struct Words(BTreeSet<String>);

impl Words {
    fn add_each(&mut self, object: &Map<String, Value>, list: &str, key: &str) {
        for entry in object.get(list).and_then(Value::as_array).into_iter().flatten() {
            self.add_value(&entry[key]);
        }
    }

    fn add_value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text, Parts::WithoutDigits),
            Value::Number(number) => self.put(&number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
        }
    }

    fn add(&mut self, text: &str, parts: Parts) {
        let folded = fold(text);
        for token in tokens(&folded) {
            if self.0.len() >= MAX_WORDS {
                return;
            }
            self.put(token);
            let is_split = parts == Parts::Always || !token.contains(|c: char| c.is_ascii_digit());
            if is_split && token.contains(|c: char| !c.is_alphanumeric()) {
                let part = token.split(|c: char| !c.is_alphanumeric());
                part.filter(|part| parts == Parts::Always || part.chars().nth(1).is_some())
                    .for_each(|part| self.put(part));
            }
        }
    }

    fn put(&mut self, word: &str) {
        if self.0.len() < MAX_WORDS && !word.is_empty() && !self.0.contains(word) {
            self.0.insert(shortened(word));
        }
    }
}

fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Twice: a character in its NFKC spelling can have a lower case, and that another spelling.
    let spelled: String = text.nfkc().collect();
    spelled.to_lowercase().nfkc().collect()
}

fn tokens(folded: &str) -> impl Iterator<Item = &str> {
    let tokens =
        folded.split(char::is_whitespace).map(|token| token.trim_matches(|c: char| !c.is_alphanumeric()));
    tokens.filter(|token| !token.is_empty())
}

fn shortened(word: &str) -> String {
    word.chars().take(MAX_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(serial: &str, content: Value) -> Vec<String> {
        let content = Content::from_value(content).unwrap();
        of_pass(&SerialNumber::parse(serial).unwrap(), &content).into_iter().collect()
    }

    #[test]
    fn a_serial_number_is_found_as_a_whole_and_by_its_parts() {
        assert_eq!(words("ORDER-7/b 9", json!({})), ["7", "9", "b", "order", "order-7/b"]);
    }

    #[test]
    fn texts_that_appear_on_a_pass_find_it_and_others_do_not() {
        let content = json!({
            "eventName": "Opening: \"The Tempest\"", "seat": "12A", "gate": 7, "relevantDate": "2027", "websiteURL": "https://example.com",
            "backgroundColor": "rgb(1, 2, 3)", "userInfo": { "note": "hidden" },
            "eventTicket": { "primaryFields": [{ "key": "k", "label": "unseen", "value": "Müller-Lüdenscheidt" }, 5, { "value": 3.5 }] },
            "barcodes": [{ "message": "secret", "altText": "7F3C" }],
        });
        let found = words("S", content);
        let expected = [
            "12a",
            "3.5",
            "7",
            "7f3c",
            "lüdenscheidt",
            "müller",
            "müller-lüdenscheidt",
            "opening",
            "s",
            "tempest",
            "the",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn one_spelling_stands_for_all() {
        assert_eq!(words("CAFE\u{301}", json!({})), ["café"]);
        assert_eq!(of_question("  ＣＡＦÉ "), Some(vec!["café".to_owned()]));
        assert_eq!(words("座席 ΑΘΉΝΑ", json!({})), ["αθήνα", "座席"]);
    }

    #[test]
    fn there_are_only_so_many_words_and_they_are_only_so_long() {
        let long = "x".repeat(200);
        assert_eq!(words(&long, json!({})), ["x".repeat(64)]);
        let many: Vec<String> = (0..500).map(|number| format!("word{number}")).collect();
        let found =
            words("serial", json!({ "eventTicket": { "backFields": [{ "value": many.join(" ") }] } }));
        assert_eq!(found.len(), 64);
        assert!(found.contains(&"serial".to_owned()));
        assert_eq!(of_question("a b c d e f g h i"), None);
        assert_eq!(of_question("a a a a a a a a a a"), Some(vec!["a".to_owned()]));
    }

    #[test]
    fn a_question_of_punctuation_asks_for_nothing() {
        assert_eq!(of_question(" -- \u{0} % _ "), Some(vec![]));
        assert_eq!(of_question("12A bee"), Some(vec!["12a".to_owned(), "bee".to_owned()]));
    }
}
