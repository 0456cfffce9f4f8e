//! Reads JSON as strictly as RFC 8785 needs it, so that two readers of the same text never disagree.
//!
//! Beyond RFC 8259 it refuses what a canonical form cannot carry or a database would mangle: a key that occurs twice, the
//! character U+0000 anywhere but in the message of a barcode, integers beyond ±(2^53 - 1) (RFC 7493 section 2.2), and nesting beyond [`MAX_DEPTH`].

use std::{fmt, io};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may nest. Stored events wrap content a few levels deeper, and must stay below the 128 of `serde_json`.
pub const MAX_DEPTH: usize = 64;

/// The largest integer a double holds exactly without ambiguity, 2^53 - 1.
pub const MAX_SAFE_INTEGER: u64 = 9_007_199_254_740_991;

/// JSON that cannot be read: what is wrong and, where it is known, where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableJson(String);

/// Reads one JSON document.
///
/// Numbers come back in their canonical form: `1.0` is read as `1`, `-0` as `0`, so equal values are equal `Value`s.
///
/// # Errors
/// [`UnreadableJson`] with a sentence for the caller.
pub fn parse(bytes: &[u8]) -> Result<Value, UnreadableJson> {
    let text = std::str::from_utf8(bytes).map_err(|fault| {
        UnreadableJson(format!("the body is not UTF-8 after byte {}", fault.valid_up_to()))
    })?;
    refuse_large_integers(text)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let unreadable = |fault: serde_json::Error| UnreadableJson(fault.to_string());
    let value = Strict { depth: 0, place: Place::Root }.deserialize(&mut deserializer).map_err(unreadable)?;
    deserializer.end().map_err(unreadable)?;
    Ok(value)
}

/// Turns integers that [`parse`] would have refused back into the doubles that they were when they were read.
pub fn restore_doubles(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let is_safe = |integer: i128| integer.unsigned_abs() <= u128::from(MAX_SAFE_INTEGER);
            if number.as_i128().is_some_and(|integer| !is_safe(integer))
                && let Some(double) = number.as_f64().and_then(Number::from_f64)
            {
                *number = double;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(restore_doubles),
        Value::Object(entries) => entries.values_mut().for_each(restore_doubles),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Whether arrays and objects nest at most `levels` deep.
pub fn is_at_most_as_deep(value: &Value, levels: usize) -> bool {
    let inside = |value: &Value| levels > 0 && is_at_most_as_deep(value, levels - 1);
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(inside),
        Value::Object(entries) => levels > 0 && entries.values().all(inside),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// How many of so many bytes are left behind the JSON text of a value; none when it is longer. No more than those are written to find out.
pub fn bytes_left(value: &Value, bytes: usize) -> Option<usize> {
    let mut room = Room(bytes);
    serde_json::to_writer(&mut room, value).is_ok().then_some(room.0)
}

/// Takes so many bytes and no more.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `serde_json` turns an integer beyond 64 bits into the nearest double without a word, so long literals are looked for in the text.
fn refuse_large_integers(text: &str) -> Result<(), UnreadableJson> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at),
            b'0'..=b'9' => {
                let start = at;
                while at < bytes.len() && matches!(bytes[at], b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
                {
                    at += 1;
                }
                let literal = &text[start..at];
                let is_integer = literal.bytes().all(|b| b.is_ascii_digit());
                if is_integer && literal.parse::<u64>().map_or(true, |value| value > MAX_SAFE_INTEGER) {
                    return Err(UnreadableJson(format!(
                        "the integer at byte {start} is beyond ±{MAX_SAFE_INTEGER} and would lose digits (RFC 8785); send it as a string"
                    )));
                }
            }
            _ => at += 1,
        }
    }
    Ok(())
}

/// The index after the closing quote of the string that opens at `start`, or the end of the text.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Where a value stands, as far as it decides whether U+0000 may be in a string. The message of a barcode is bytes, one character each
/// (ISO 8859-1), and tickets of European railways are full of zeros; anywhere else the character is an accident.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The whole document.
    Root,
    /// `barcodes`, `barcode` or an element of it.
    Barcode,
    /// The message of a barcode.
    Message,
    /// An element of a document that is an array: an operation of a JSON Patch.
    Operation,
    /// The value of an operation. Only when it is applied can be said where it ends up, see [`stray_nul`].
    OperationValue,
    /// Anywhere else.
    Other,
}

impl Place {
    /// The place of an element of an array that stands here.
    const fn of_element(self) -> Self {
        match self {
            Self::Root => Self::Operation,
            Self::Barcode | Self::OperationValue => self,
            Self::Message | Self::Operation | Self::Other => Self::Other,
        }
    }

    /// The place of a member of an object that stands here.
    fn of_member(self, key: &str) -> Self {
        match (self, key) {
            (Self::Barcode | Self::OperationValue, "message") => Self::Message,
            (Self::Operation, "value") => Self::OperationValue,
            (_, "barcode" | "barcodes") => Self::Barcode,
            _ => Self::Other,
        }
    }
}

/// The pointer (RFC 6901) to a string that holds U+0000 and is not the message of a barcode.
pub fn stray_nul(content: &Value) -> Option<String> {
    // A content is an object, so no element of it is an operation.
    stray_nul_at(content, Place::Root)
}

fn stray_nul_at(value: &Value, place: Place) -> Option<String> {
    match value {
        Value::String(text) => (place != Place::Message && text.contains('\0')).then(String::new),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| Some(format!("/{index}{}", stray_nul_at(item, place.of_element())?))),
        Value::Object(entries) => entries.iter().find_map(|(key, value)| {
            let below = stray_nul_at(value, place.of_member(key))?;
            Some(format!("/{}{below}", key.replace('~', "~0").replace('/', "~1")))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
    place: Place,
}

impl Strict {
    /// For what is inside a value that stands here.
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("arrays and objects nest deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "checked to be a safe integer"
        )]
        if value.fract() == 0.0 && value.abs() <= MAX_SAFE_INTEGER as f64 {
            return Ok(Value::Number((value as i64).into()));
        }
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is beyond the range of a double"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        if !matches!(self.place, Place::Message | Place::OperationValue) {
            refuse_nul(&value)?;
        }
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let element = Self { place: self.place.of_element(), ..inside };
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(element)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            refuse_nul(&key)?;
            let value = entries.next_value_seed(Self { place: self.place.of_member(&key), ..inside })?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} occurs twice in one object")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

fn refuse_nul<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') {
        Err(E::custom(
            "a string holds the character U+0000, which only the `message` of a barcode may; remove it",
        ))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_come_back_in_canonical_form() {
        assert_eq!(parse(b"[1.0, -0, -0.0, 1e2, 0.5, 1E30]"), Ok(json!([1, 0, 0, 100, 0.5, 1e30])));
    }

    #[test]
    fn the_largest_safe_integers_are_read_and_one_more_is_refused() {
        assert_eq!(parse(b"9007199254740991"), Ok(json!(9_007_199_254_740_991_u64)));
        assert_eq!(parse(b"-9007199254740991"), Ok(json!(-9_007_199_254_740_991_i64)));
        for beyond in ["9007199254740992", "-9007199254740992", "[{\"a\":123456789012345678901234567890}]"] {
            assert!(parse(beyond.as_bytes()).unwrap_err().to_string().contains("RFC 8785"), "{beyond}");
        }
    }

    #[test]
    fn digits_inside_strings_are_not_numbers() {
        assert_eq!(
            parse(br#"["\"99999999999999999999", "\\"]"#),
            Ok(json!(["\"99999999999999999999", "\\"]))
        );
    }

    #[test]
    fn a_key_that_occurs_twice_is_refused() {
        assert!(parse(br#"{"a":1,"b":{"c":1,"c":2}}"#).unwrap_err().to_string().contains("occurs twice"));
    }

    #[test]
    fn the_character_nul_is_refused_in_keys_and_values() {
        for text in [r#"{"a":"x\u0000"}"#, r#"{"a\u0000":1}"#] {
            assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("U+0000"), "{text}");
        }
    }

    #[test]
    fn the_message_of_a_barcode_may_hold_any_character_of_its_encoding() {
        for text in [
            r#"{"barcodes":[{"message":"a\u0000\u0000b"}]}"#,
            r#"{"content":{"barcode":{"message":"\u0000"}}}"#,
            r#"[{"op":"replace","path":"/barcodes/0/message","value":"\u0000"}]"#,
            r#"[{"op":"add","path":"/barcodes","value":[{"message":"\u0000"}]}]"#,
        ] {
            let read = parse(text.as_bytes()).unwrap();
            assert!(read.to_string().contains("\\u0000"), "{text}");
        }
        for text in [
            r#"{"message":"\u0000"}"#,
            r#"{"barcodes":[{"altText":"\u0000"}]}"#,
            r#"{"barcodes":["\u0000"]}"#,
            r#"{"barcodes":[{"message":["\u0000"]}]}"#,
            r#"{"barcodes":[{"more":{"message":"\u0000"}}]}"#,
            r#"[{"op":"replace","path":"\u0000","value":1}]"#,
        ] {
            assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("U+0000"), "{text}");
        }
    }

    #[test]
    fn a_nul_that_a_patch_put_somewhere_else_is_found() {
        assert_eq!(
            stray_nul(&json!({ "barcodes": [{ "message": "\0" }], "barcode": { "message": "\0" } })),
            None
        );
        assert_eq!(stray_nul(&json!({ "a/b": [1, { "c": "\0" }] })), Some("/a~1b/1/c".to_owned()));
        assert_eq!(
            stray_nul(&json!({ "barcodes": [{ "altText": "\0" }] })),
            Some("/barcodes/0/altText".to_owned())
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(parse(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err().to_string().contains("nest deeper"));
        assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn a_value_is_measured_by_its_text_and_its_levels() {
        let value = json!({ "a": [1, "é"] });
        let length = value.to_string().len();
        assert_eq!(
            [length + 3, length, length - 1].map(|bytes| bytes_left(&value, bytes)),
            [Some(3), Some(0), None]
        );
        assert!(is_at_most_as_deep(&value, 2) && !is_at_most_as_deep(&value, 1));
        assert!(is_at_most_as_deep(&json!(1), 0));
    }

    #[test]
    fn broken_text_is_refused_with_its_place() {
        for broken in ["", "{", "{\"a\":}", "[1,]", "1 2", "\"\\ud800\"", "1e400", "nul", "\"a\nb\"", "\"\\"]
        {
            assert!(parse(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(parse(b"\xff").unwrap_err().to_string().contains("UTF-8"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_serde_json_writes_is_read_back_equal(number in -9_007_199_254_740_991_i64..9_007_199_254_740_991, text in "[^\u{0}]{0,40}") {
            let value = json!({ "n": number, "t": text, "l": [null, true] });
            proptest::prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
        }
    }
}
