//! Dictionaries of structured fields (RFC 9651 section 3.2), as headers about signatures and digests are written. Dates and display strings (sections
//! 3.3.7 and 3.3.8) are not read: no such header has any.

use std::fmt::Write as _;

/// A value without parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bare {
    /// An integer; of a decimal the whole text is kept, since nothing here needs one.
    Integer(i64),
    Decimal(String),
    String(String),
    Token(String),
    Bytes(Vec<u8>),
    Boolean(bool),
}

/// Parameters, in the order in which they were written.
pub(super) type Parameters = Vec<(String, Bare)>;

/// The value of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Item(Bare),
    InnerList(Vec<(Bare, Parameters)>),
}

/// A member of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) value: Value,
    pub(super) parameters: Parameters,
}

/// The text is no dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads a dictionary. A key that comes twice is refused, where the RFC takes the last one: of two signatures the wrong one could be looked at.
pub(super) fn dictionary(text: &str) -> Result<Vec<(String, Member)>, Malformed> {
    let mut reader = Reader { rest: text.trim_matches(' ') };
    let mut members: Vec<(String, Member)> = Vec::new();
    loop {
        let key = reader.key()?;
        let value =
            if reader.takes('=') { reader.item_or_inner_list()? } else { Value::Item(Bare::Boolean(true)) };
        let member = Member { value, parameters: reader.parameters()? };
        if members.iter().any(|(known, _)| *known == key) {
            return Err(Malformed);
        }
        members.push((key, member));
        reader.skips(&[' ', '\t']);
        if reader.rest.is_empty() {
            return Ok(members);
        }
        if !reader.takes(',') {
            return Err(Malformed);
        }
        reader.skips(&[' ', '\t']);
    }
}

/// A string as section 4.1.6 writes it. It holds visible ASCII and spaces alone, as strings that were read do.
pub(super) fn written(text: &str) -> String {
    let mut written = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            written.push('\\');
        }
        written.push(character);
    }
    written.push('"');
    written
}

/// Bytes as section 4.1.8 writes them.
pub(super) fn written_bytes(bytes: &[u8]) -> String {
    let mut written = String::new();
    let base64 = base64::display::Base64Display::new(bytes, &base64::engine::general_purpose::STANDARD);
    write!(written, ":{base64}:").expect("a string takes everything");
    written
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn takes(&mut self, character: char) -> bool {
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skips(&mut self, characters: &[char]) {
        self.rest = self.rest.trim_start_matches(characters);
    }

    /// Everything before the first character that is none of these.
    fn takes_while(&mut self, is_one: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !is_one(character)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn key(&mut self) -> Result<String, Malformed> {
        let begins =
            self.rest.starts_with(|character: char| character.is_ascii_lowercase() || character == '*');
        if !begins {
            return Err(Malformed);
        }
        let is_one = |character: char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || "_-.*".contains(character)
        };
        Ok(self.takes_while(is_one).to_owned())
    }

    fn parameters(&mut self) -> Result<Parameters, Malformed> {
        let mut parameters = Parameters::new();
        while self.takes(';') {
            self.skips(&[' ']);
            let key = self.key()?;
            let value = if self.takes('=') { self.bare()? } else { Bare::Boolean(true) };
            if parameters.iter().any(|(known, _)| *known == key) {
                return Err(Malformed);
            }
            parameters.push((key, value));
        }
        Ok(parameters)
    }

    fn item_or_inner_list(&mut self) -> Result<Value, Malformed> {
        if !self.takes('(') {
            return Ok(Value::Item(self.bare()?));
        }
        let mut items = Vec::new();
        loop {
            self.skips(&[' ']);
            if self.takes(')') {
                return Ok(Value::InnerList(items));
            }
            let item = self.bare()?;
            items.push((item, self.parameters()?));
            if !self.rest.starts_with([' ', ')']) {
                return Err(Malformed);
            }
        }
    }

    fn bare(&mut self) -> Result<Bare, Malformed> {
        match self.rest.chars().next().ok_or(Malformed)? {
            '"' => self.string(),
            ':' => self.bytes(),
            '?' => self.boolean(),
            '-' | '0'..='9' => self.number(),
            '*' | 'a'..='z' | 'A'..='Z' => {
                let is_one = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(it);
                Ok(Bare::Token(self.takes_while(is_one).to_owned()))
            }
            _ => Err(Malformed),
        }
    }

    fn string(&mut self) -> Result<Bare, Malformed> {
        let mut characters = self.rest.char_indices().skip(1);
        let mut read = String::new();
        while let Some((place, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[place + 1..];
                    return Ok(Bare::String(read));
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => read.push(escaped),
                    _ => return Err(Malformed),
                },
                ' '..='~' => read.push(character),
                _ => return Err(Malformed),
            }
        }
        Err(Malformed)
    }

    fn bytes(&mut self) -> Result<Bare, Malformed> {
        use base64::Engine;
        let (base64, rest) = self.rest[1..].split_once(':').ok_or(Malformed)?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(base64).map_err(|_| Malformed)?;
        self.rest = rest;
        Ok(Bare::Bytes(bytes))
    }

    fn boolean(&mut self) -> Result<Bare, Malformed> {
        for (text, value) in [("?1", true), ("?0", false)] {
            if let Some(rest) = self.rest.strip_prefix(text) {
                self.rest = rest;
                return Ok(Bare::Boolean(value));
            }
        }
        Err(Malformed)
    }

    fn number(&mut self) -> Result<Bare, Malformed> {
        let text = self.rest;
        self.takes('-');
        let whole = self.takes_while(|character| character.is_ascii_digit());
        if self.takes('.') {
            let fraction = self.takes_while(|character| character.is_ascii_digit());
            let is_one = (1..=12).contains(&whole.len()) && (1..=3).contains(&fraction.len());
            let written = &text[..text.len() - self.rest.len()];
            return if is_one { Ok(Bare::Decimal(written.to_owned())) } else { Err(Malformed) };
        }
        let written = &text[..text.len() - self.rest.len()];
        // At most fifteen digits, which an i64 holds.
        if !(1..=15).contains(&whole.len()) {
            return Err(Malformed);
        }
        written.parse().map(Bare::Integer).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(value: Bare) -> Member {
        Member { value: Value::Item(value), parameters: Vec::new() }
    }

    #[test]
    fn a_dictionary_has_members_of_every_kind() {
        let text =
            "a=1, b=-2.5 ,\tc=\"q\\\"\\\\\", d=tok/en:*, e=:AQID:, f, g=?0;x=1;y, h=(\"p\";sf r 7);n=\"\"";
        let read = dictionary(text).unwrap();
        let value = |name: &str| read.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert_eq!(value("a"), item(Bare::Integer(1)));
        assert_eq!(value("b"), item(Bare::Decimal("-2.5".to_owned())));
        assert_eq!(value("c"), item(Bare::String("q\"\\".to_owned())));
        assert_eq!(written("q\"\\"), "\"q\\\"\\\\\"");
        assert_eq!(value("d"), item(Bare::Token("tok/en:*".to_owned())));
        assert_eq!(value("e"), item(Bare::Bytes(vec![1, 2, 3])));
        assert_eq!(written_bytes(&[1, 2, 3]), ":AQID:");
        assert_eq!(value("f"), item(Bare::Boolean(true)));
        let parameters = vec![("x".to_owned(), Bare::Integer(1)), ("y".to_owned(), Bare::Boolean(true))];
        assert_eq!(value("g"), Member { value: Value::Item(Bare::Boolean(false)), parameters });
        let items = vec![
            (Bare::String("p".to_owned()), vec![("sf".to_owned(), Bare::Boolean(true))]),
            (Bare::Token("r".to_owned()), vec![]),
            (Bare::Integer(7), vec![]),
        ];
        let parameters = vec![("n".to_owned(), Bare::String(String::new()))];
        assert_eq!(value("h"), Member { value: Value::InnerList(items), parameters });
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        for text in [
            "",
            " ",
            ",",
            "a=",
            "a,",
            "a b",
            "A=1",
            "a=\"",
            "a=\"\\",
            "a=\"\\n\"",
            "a=\"é\"",
            "a=:AQ",
            "a=:A:",
            "a=?2",
            "a=?",
            "a=-",
            "a=1.",
            "a=1.2345",
            "a=1234567890123456",
            "a=(",
            "a=(1",
            "a=(1,2)",
            "a=(1\t2)",
            "a=(\"x\"\"y\")",
            "a;",
            "a;=1",
            "a;x=1;x=2",
            "a=1, a=2",
            "a=é",
            "a=@1",
            "a=%\"x\"",
            "=1",
            "1=1",
        ] {
            assert_eq!(dictionary(text), Err(Malformed), "{text}");
        }
    }
}
