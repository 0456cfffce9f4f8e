//! The name under which a browser saves a file of a pass: its serial number.

use honoken_domain::ids::SerialNumber;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters of a serial number that end up in the name: with the ending, and four bytes each, no more than the 255 bytes of a file system.
const MOST_CHARACTERS: usize = 60;

/// All characters except those of `attr-char` (RFC 5987 section 3.2.1).
const NOT_ATTR_CHAR: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The value of `Content-Disposition` (RFC 6266) for a file of a pass with this ending: a name in ASCII for old programs, and the one in Unicode that others prefer.
pub fn attachment(serial_number: &SerialNumber, ending: &str) -> HeaderValue {
    let name = safe(serial_number.as_str());
    let ascii: String = name.chars().map(|each| if each.is_ascii() { each } else { '_' }).collect();
    let encoded = utf8_percent_encode(&name, &NOT_ATTR_CHAR);
    let value = format!("attachment; filename=\"{ascii}.{ending}\"; filename*=UTF-8''{encoded}.{ending}");
    HeaderValue::try_from(value).expect("a safe name in ASCII, and letters, digits and percent signs")
}

/// The serial number without the characters that a file system gives a meaning, or that make a name look like another.
fn safe(serial_number: &str) -> String {
    let mut name: String = serial_number
        .chars()
        .take(MOST_CHARACTERS)
        .map(|each| if is_unsafe(each) { '_' } else { each })
        .collect();
    // A hidden file, or the way to another folder.
    if name.starts_with(['.', ' ']) {
        name.replace_range(..1, "_");
    }
    name
}

/// Separators, wildcards and quotes of any system, and characters that are not seen: line ends, directions of writing, joiners.
fn is_unsafe(each: char) -> bool {
    each.is_control()
        || "/\\:*?\"<>|%;".contains(each)
        || matches!(
            each,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(serial_number: &str, ascii: &str, unicode: &str) {
        let value = attachment(&SerialNumber::parse(serial_number).unwrap(), "pkpass");
        let expected = format!("attachment; filename=\"{ascii}.pkpass\"; filename*=UTF-8''{unicode}.pkpass");
        assert_eq!(value.to_str().unwrap(), expected, "{serial_number:?}");
    }

    #[test]
    fn a_file_is_named_after_the_serial_number() {
        check("A-1", "A-1", "A-1");
        check("order 7", "order 7", "order%207");
        check("Müller 座", "M_ller _", "M%C3%BCller%20%E5%BA%A7");
        check("it's (1)", "it's (1)", "it%27s%20%281%29");
    }

    #[test]
    fn a_serial_number_names_no_other_folder_no_other_header_and_no_other_ending() {
        check("../../etc/passwd", "_._.._etc_passwd", "_._.._etc_passwd");
        check("a\"; filename=\"b", "a__ filename=_b", "a__%20filename%3D_b");
        check("C:\\x", "C__x", "C__x");
        check("gpj.\u{202e}a", "gpj._a", "gpj._a");
        check("%2e", "_2e", "_2e");
    }

    #[test]
    fn a_long_serial_number_fits_a_file_system() {
        let value = attachment(&SerialNumber::parse("🎭".repeat(256)).unwrap(), "pkpass");
        let name = value.to_str().unwrap().split("''").nth(1).unwrap();
        assert!(percent_encoding::percent_decode_str(name).count() <= 255, "{name}");
    }

    #[test]
    fn every_character_of_a_serial_number_gives_a_header() {
        let characters: Vec<char> = (' '..=char::MAX).filter(|each| !each.is_control()).collect();
        for some in characters.chunks(MOST_CHARACTERS) {
            let serial_number = SerialNumber::parse(some.iter().collect::<String>()).unwrap();
            let value = attachment(&serial_number, "pkpass");
            let text = value.to_str().unwrap();
            assert_eq!(text.matches('"').count(), 2, "{text}");
            assert!(text.ends_with(".pkpass") && !text.contains(['/', '\\']), "{text}");
        }
    }
}
