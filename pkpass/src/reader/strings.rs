//! The syntax of `pass.strings`: `"key" = "value";`, with comments, as `NSBundle` reads it (an old-style property list without its braces).

use std::iter::Peekable;
use std::str::Chars;

/// Pairs that are read from one file: far more than a pass has texts.
const MOST_PAIRS: usize = 10_000;

/// A mistake and its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) sentence: &'static str,
}

/// Keys and values, in their order.
///
/// # Errors
/// The first mistake; a phone reads nothing of such a file.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, SyntaxError> {
    let mut reader = Reader { rest: text.chars().peekable(), line: 1, column: 1 };
    let mut pairs = Vec::new();
    loop {
        reader.skip_blank()?;
        if reader.peek().is_none() {
            return Ok(pairs);
        }
        if pairs.len() == MOST_PAIRS {
            return Err(reader.fault("there are more than 10000 texts"));
        }
        pairs.push(pair(&mut reader)?);
    }
}

fn pair(reader: &mut Reader<'_>) -> Result<(String, String), SyntaxError> {
    let key = string(reader, "a key is expected here, in double quotes")?;
    reader.skip_blank()?;
    // A key alone is its own value.
    if reader.take(';') {
        return Ok((key.clone(), key));
    }
    if !reader.take('=') {
        return Err(match reader.peek() {
            Some(':') => reader.fault("a colon is no equals sign: write \"key\" = \"value\";"),
            _ => reader.fault("an equals sign is expected behind the key: write \"key\" = \"value\";"),
        });
    }
    reader.skip_blank()?;
    let value = string(reader, "a value is expected behind the equals sign, in double quotes")?;
    reader.skip_blank()?;
    if reader.take(';') {
        Ok((key, value))
    } else {
        Err(reader.fault("a semicolon is missing behind the value"))
    }
}

/// A string in quotes, or a word without.
fn string(reader: &mut Reader<'_>, expected: &'static str) -> Result<String, SyntaxError> {
    match reader.peek() {
        Some(quote @ ('"' | '\'')) => {
            let opened = reader.fault("a string is not closed: a double quote is missing");
            reader.next();
            quoted(reader, quote).ok_or(opened)
        }
        Some('\u{201c}' | '\u{201d}' | '\u{201e}') => {
            Err(reader.fault("typographic quotes: keys and values are in straight double quotes"))
        }
        Some(first) if is_bare(first) => {
            let mut word = String::new();
            while let Some(next) = reader.peek().filter(|next| is_bare(*next)) {
                word.push(next);
                reader.next();
            }
            Ok(word)
        }
        _ => Err(reader.fault(expected)),
    }
}

/// Characters of a word that needs no quotes.
fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_$./-".contains(character)
}

/// Everything up to the closing quote; `None` when there is none.
fn quoted(reader: &mut Reader<'_>, quote: char) -> Option<String> {
    let mut text = String::new();
    loop {
        match reader.next()? {
            '\\' => text.push(escaped(reader)?),
            end if end == quote => return Some(text),
            other => text.push(other),
        }
    }
}

fn escaped(reader: &mut Reader<'_>) -> Option<char> {
    Some(match reader.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        'u' | 'U' => {
            let mut number = 0;
            for _ in 0..4 {
                let Some(digit) = reader.peek().and_then(|next| next.to_digit(16)) else { break };
                reader.next();
                number = number * 16 + digit;
            }
            char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        other => other,
    })
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    column: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        if next == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.next();
        }
        is_there
    }

    fn fault(&self, sentence: &'static str) -> SyntaxError {
        SyntaxError { line: self.line, column: self.column, sentence }
    }

    /// Spaces and comments.
    fn skip_blank(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.peek() {
                Some(blank) if blank.is_whitespace() || blank == '\u{feff}' => {
                    self.next();
                }
                Some('/') => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), SyntaxError> {
        let opened = self.fault("a comment is not closed: */ is missing");
        self.next();
        match self.peek() {
            Some('/') => {
                while self.peek().is_some_and(|next| next != '\n') {
                    self.next();
                }
                Ok(())
            }
            Some('*') => {
                self.next();
                let mut last = ' ';
                while let Some(next) = self.next() {
                    if last == '*' && next == '/' {
                        return Ok(());
                    }
                    last = next;
                }
                Err(opened)
            }
            _ => Err(SyntaxError {
                sentence: "a slash alone begins nothing: comments are /* … */ or // …",
                ..opened
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_comments_and_escapes_are_read() {
        let text = "/* a \"comment\" */ \"A\" = \"1\\n\\\"2\\\"\\\\\";\n// another\nB=\"\\U00e9\" ;\"C\";\n'D' = 'x';";
        let pairs = parse(text).unwrap();
        let expected = [("A", "1\n\"2\"\\"), ("B", "é"), ("C", "C"), ("D", "x")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(parse(" \n").unwrap(), []);
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, line, column, word) in [
            ("\"OFFER\": \"Angebot\";", 1, 8, "colon"),
            ("\"A\" = \"1\"\n\"B\" = \"2\";", 2, 1, "semicolon"),
            ("\"A\" = \"1\"", 1, 10, "semicolon"),
            ("\"A\" \"1\";", 1, 5, "equals"),
            ("\"A\" = ;", 1, 7, "value"),
            ("\n  \"A = 1;", 2, 3, "not closed"),
            ("/* x", 1, 1, "comment"),
            ("\u{201c}A\u{201d} = \"1\";", 1, 1, "typographic"),
            ("= \"1\";", 1, 1, "key"),
            ("/ x", 1, 1, "slash"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.line, error.column), (line, column), "{text}: {error:?}");
            assert!(error.sentence.contains(word), "{text}: {error:?}");
        }
    }
}
