//! Writes `pass.strings`: the texts of a language, as `"key" = "text";` on a line each, in the order of their keys.
//!
//! <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>

use std::fmt::Write;

use honoken_styles::{Language, Localization};

/// The name of the file in the folder of a language.
pub(crate) const STRINGS: &str = "pass.strings";

/// The path of the file within a pass.
pub(crate) fn path(language: &Language) -> String {
    format!("{}/{STRINGS}", language.folder())
}

/// The bytes of the file: ASCII where that is enough, else UTF-16 with a byte order mark, which every reader of such files takes.
pub(crate) fn strings_file(localization: &Localization) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in &localization.strings {
        text.push('"');
        escape(key, &mut text);
        text.push_str("\" = \"");
        escape(value, &mut text);
        text.push_str("\";\n");
    }
    if text.is_ascii() {
        return text.into_bytes();
    }
    let mut bytes = Vec::with_capacity(BYTE_ORDER_MARK.len() + 2 * text.len());
    bytes.extend_from_slice(&BYTE_ORDER_MARK);
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

const BYTE_ORDER_MARK: [u8; 2] = [0xff, 0xfe];

fn escape(from: &str, to: &mut String) {
    // Most texts have nothing to escape.
    let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if !from.bytes().any(is_special) {
        return to.push_str(from);
    }
    for character in from.chars() {
        match character {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                // Writing into a String cannot fail.
                let _ = write!(to, "\\U{:04x}", u32::from(control));
            }
            other => to.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reader::read_strings;

    fn localization(pairs: &[(&str, &str)]) -> Localization {
        Localization {
            strings: pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect(),
        }
    }

    #[test]
    fn ascii_stays_ascii_and_everything_else_is_utf_16_with_a_mark() {
        let plain = strings_file(&localization(&[("Gate", "Tor \"1\"\\\n"), ("A", "")]));
        assert_eq!(
            String::from_utf8(plain).unwrap(),
            "\"A\" = \"\";\n\"Gate\" = \"Tor \\\"1\\\"\\\\\\n\";\n"
        );
        let wide = strings_file(&localization(&[("Seat", "座位 🎫")]));
        assert_eq!(wide[..2], [0xff, 0xfe]);
        let units: Vec<u16> = wide[2..].chunks(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
        assert_eq!(String::from_utf16(&units).unwrap(), "\"Seat\" = \"座位 🎫\";\n");
    }

    proptest! {
        #[test]
        fn every_text_is_read_back_as_it_was(pairs in prop::collection::btree_map("[^\0]{1,12}", "[^\0]{0,20}", 0..6)) {
            let localization = Localization { strings: pairs };
            let bytes = strings_file(&localization);
            let read = read_strings(&bytes).unwrap();
            prop_assert_eq!(read.into_iter().collect::<std::collections::BTreeMap<_, _>>(), localization.strings);
        }
    }
}
