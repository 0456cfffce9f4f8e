//! Reads JSON as a phone does, and names the mistake of a text that is none.

use serde_json::Value;

use crate::reader::notes::Notes;
use crate::reader::report::in_archive;
use crate::reader::text;

/// The value of a JSON file, or why there is none: a sentence that begins with the name of the file.
pub(super) fn read(file: &str, bytes: &[u8], notes: &mut Notes) -> Result<Value, String> {
    if bytes.trim_ascii().is_empty() {
        return Err(format!("{file} is empty"));
    }
    let text = text::decode(bytes).map_err(|why| format!("{file} {why}"))?;
    let value = serde_json::from_str(&text.text).map_err(|error| {
        let (line, column, mistake) = mistake(&text.text, &error);
        format!("{file} is not JSON: line {line}, column {column}: {mistake}")
    })?;
    if !text.encoding.is_plain() {
        let encoding = text.encoding;
        let detail = format!(
            "{file} is {encoding}: a phone reads it, other readers stumble: write UTF-8 without a byte order mark"
        );
        notes.warning("json_encoding", &in_archive(file), detail);
    }
    Ok(value)
}

/// Line, column (in characters, both from one) and a sentence. The text itself is not repeated: it may hold secrets.
fn mistake(text: &str, error: &serde_json::Error) -> (usize, usize, String) {
    let at = offset(text, error.line(), error.column());
    if error.is_eof() {
        let (line, column) = place(text, text.len());
        return (line, column, eof(text));
    }
    // The parser stops at the first character that it cannot use, or right behind it.
    let before = text[..at].trim_end();
    let wrong = text[at..].chars().next();
    let (at, sentence) = match wrong {
        Some('}' | ']') if before.ends_with(',') => {
            (before.len() - 1, "a trailing comma: remove the comma before the closing bracket")
        }
        Some(',') if before.ends_with(',') => (at, "two commas in a row: a value is missing between them"),
        Some(',' | '}' | ']') if before.ends_with(':') => (at, "a value is missing behind the colon"),
        Some('/') if text[at..].starts_with("//") || text[at..].starts_with("/*") => {
            (at, "a comment: JSON has none, remove it")
        }
        Some('#') => (at, "a comment: JSON has none, remove it"),
        Some('\'') => (at, "single quotes: JSON strings are in double quotes"),
        Some('\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}') => {
            (at, "typographic quotes: JSON strings are in straight double quotes")
        }
        Some(character) if character.is_control() && !character.is_whitespace() => {
            (at, "a control character: in a string write it as \\u and four digits, elsewhere remove it")
        }
        Some('\n' | '\r') => {
            (at, "a line feed in a string: write \\n, or close the string before the end of the line")
        }
        Some('\t') => (at, "a tab in a string: write \\t"),
        Some('"')
            if before.ends_with(['"', '}', ']']) || before.ends_with(|last: char| last.is_alphanumeric()) =>
        {
            (at, "a comma or a colon is missing before this string")
        }
        Some('=') => (at, "an equals sign: JSON has a colon between key and value"),
        Some(';') => (at, "a semicolon: JSON has commas between members"),
        Some('N' | 'I' | 'u') => {
            (at, "NaN, Infinity and undefined are not JSON: write null or leave the member out")
        }
        Some('T' | 'F') => (at, "true, false and null are in lower case"),
        Some('+' | '.') => (at, "a number begins with a digit or a minus sign"),
        Some(character) if before.ends_with(['{', ',']) && character.is_alphabetic() => {
            (at, "a key without quotes: keys are strings in double quotes")
        }
        Some('<') if before.is_empty() => (at, "this is HTML or XML, not JSON"),
        _ => {
            let (line, column) = place(text, at);
            return (line, column, syntax(error));
        }
    };
    let (line, column) = place(text, at);
    (line, column, sentence.to_owned())
}

fn eof(text: &str) -> String {
    let mut depth = 0_usize;
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if in_string {
        return "the text ends inside a string: a double quote is missing".to_owned();
    }
    match depth {
        0 => "the text ends too early".to_owned(),
        1 => "the text ends too early: a closing bracket is missing".to_owned(),
        many => format!("the text ends too early: {many} closing brackets are missing"),
    }
}

/// What the parser says: for any syntax error a constant sentence, without a word of the text.
fn syntax(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let sentence = message.rsplit_once(" at line ").map_or(&*message, |(sentence, _)| sentence);
    sentence.to_owned()
}

/// The byte of the character at which the parser stopped: it counts lines and, in bytes, the columns it has read.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    // A line feed that cannot be used is counted as the beginning of the next line.
    if column == 0 && at > 0 {
        at -= 1;
    }
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Line and column of a byte, both from one.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let mut notes = Notes::default();
        read("pass.json", text.as_bytes(), &mut notes).expect_err(text)
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_column() {
        for (text, place, word) in [
            ("{\n  \"a\": 1,\n}", "line 2, column 9", "trailing comma"),
            ("{\"ä\": [1, 2 , ]}", "line 1, column 13", "trailing comma"),
            ("{\n  // note\n}", "line 2, column 3", "comment"),
            ("{\"a\": 1 /* b */}", "line 1, column 9", "comment"),
            ("{\"a\": 1} # c", "line 1, column 10", "comment"),
            ("{'a': 1}", "line 1, column 2", "single quotes"),
            ("{\"a\": 'b'}", "line 1, column 7", "single quotes"),
            ("{\"a\": \u{201c}b\u{201d}}", "line 1, column 7", "typographic quotes"),
            ("{\"a\": }", "line 1, column 7", "value is missing"),
            ("{\"a\":, \"b\": 1}", "line 1, column 6", "value is missing"),
            ("[1,,2]", "line 1, column 4", "two commas"),
            ("{\"a\": \"b\nc\"}", "line 1, column 9", "line feed in a string"),
            ("{\"a\": \"b\tc\"}", "line 1, column 9", "tab in a string"),
            ("{\"a\": \"b\u{1}c\"}", "line 1, column 9", "control character"),
            ("{\"a\": 1 \"b\": 2}", "line 1, column 9", "comma or a colon is missing"),
            ("{\"a\" \"b\"}", "line 1, column 6", "comma or a colon is missing"),
            ("{\"a\": 1\n \"b\": 2}", "line 2, column 2", "comma or a colon is missing"),
            ("{a: 1}", "line 1, column 2", "key without quotes"),
            ("{\"a\" = 1}", "line 1, column 6", "equals sign"),
            ("{\"a\": 1; \"b\": 2}", "line 1, column 8", "semicolon"),
            ("{\"a\": NaN}", "line 1, column 7", "NaN"),
            ("{\"a\": True}", "line 1, column 7", "lower case"),
            ("{\"a\": 1", "line 1, column 8", "closing bracket"),
            ("{\"a\": {\"b\": [1", "line 1, column 15", "3 closing brackets"),
            ("{\"a\": \"b", "line 1, column 9", "inside a string"),
            ("<html>", "line 1, column 1", "HTML"),
            ("{} {}", "line 1, column 4", "trailing characters"),
            ("", "", "empty"),
        ] {
            let told = fault(text);
            assert!(told.contains(place) && told.contains(word), "{text}: {told}");
        }
    }

    #[test]
    fn the_content_of_a_broken_file_is_not_repeated() {
        for text in ["{\"authenticationToken\": \"secretsecret\" x", "{\"a\": secretsecret}", "secretsecret"]
        {
            assert!(!fault(text).contains("secretsecret"), "{}", fault(text));
        }
    }
}
