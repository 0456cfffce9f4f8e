//! The column with the content of a pass.
//!
//! The `jsonb` of Postgres cannot hold U+0000, which the message of a barcode may. So it is written as an escape character and `0`, and the escape
//! character, a code point that is no character, as itself and `1`; on SQLite likewise, so that both have the same rows.

use honoken_database::statements::{Row, Value as Column};
use honoken_domain::content::Content;
use serde_json::{Map, Value};

use crate::rows::columns::invalid_value;

/// U+FDD0, which Unicode keeps free for uses like this one.
const ESCAPE: char = '\u{fdd0}';

/// The content as it is stored.
pub(crate) fn content_value(content: &Content) -> serde_json::Result<Column> {
    if content.as_map().values().any(|value| has_any(value, &['\0', ESCAPE])) {
        Column::json(&with_strings(content.as_map(), escaped))
    } else {
        Column::json(content)
    }
}

/// The content that a row has.
pub(crate) fn read_content(row: &Row) -> sqlx::Result<Content> {
    let content: Content = row.json("content")?;
    if content.as_map().values().any(|value| has_any(value, &[ESCAPE])) {
        let unescaped = with_strings(content.as_map(), unescaped);
        return Content::from_value(Value::Object(unescaped)).map_err(invalid_value);
    }
    Ok(content)
}

fn has_any(value: &Value, characters: &[char]) -> bool {
    match value {
        Value::String(text) => text.contains(characters),
        Value::Array(items) => items.iter().any(|item| has_any(item, characters)),
        Value::Object(entries) => {
            entries.iter().any(|(key, value)| key.contains(characters) || has_any(value, characters))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn with_strings(entries: &Map<String, Value>, change: fn(&str) -> String) -> Map<String, Value> {
    entries.iter().map(|(key, value)| (change(key), with_strings_in(value, change))).collect()
}

fn with_strings_in(value: &Value, change: fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| with_strings_in(item, change)).collect(),
        Value::Object(entries) => Value::Object(with_strings(entries, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for each in text.chars() {
        match each {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            other => escaped.push(other),
        }
    }
    escaped
}

/// An escape character before anything else was written before there was an escape, and stays.
fn unescaped(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(each) = characters.next() {
        match (each, characters.peek()) {
            (ESCAPE, Some('0')) => unescaped.push('\0'),
            (ESCAPE, Some('1')) => unescaped.push(ESCAPE),
            (other, _) => {
                unescaped.push(other);
                continue;
            }
        }
        characters.next();
    }
    unescaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_read_as_it_was_written_and_none_is_written_with_a_nul() {
        let parts = ["", "\0", "\u{fdd0}", "0", "1", "\u{fdd0}0", "\0\0", "ü"];
        for one in parts {
            for other in parts {
                let text = [one, other].concat();
                let written = escaped(&text);
                assert!(!written.contains('\0'));
                assert_eq!(unescaped(&written), text);
            }
        }
        assert_eq!(unescaped("\u{fdd0}x"), "\u{fdd0}x", "from before there was an escape");
    }
}
