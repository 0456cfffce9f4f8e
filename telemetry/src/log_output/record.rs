//! Limits the length of a line. A longer line is cut; one in JSON stays an object.

use serde_json::{Map, Value};

/// The end of a cut text.
const CUT: char = '…';

/// Cuts a text to so many bytes, at the end of a character.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut cut = text[..text.floor_char_boundary(most.saturating_sub(CUT.len_utf8()))].to_owned();
    cut.push(CUT);
    cut
}

/// Cuts the texts in a JSON object until it has so many bytes at most; without its end of line.
pub fn cut_object(object: &str, most: usize) -> String {
    let Ok(members) = serde_json::from_str::<Map<String, Value>>(object) else { return "{}".to_owned() };
    for longest in [most / 8, most / 64, most / 512] {
        let shorter = Value::Object(
            members.iter().map(|(name, value)| (name.clone(), shortened(value, longest))).collect(),
        );
        let shorter = shorter.to_string();
        if shorter.len() <= most {
            return shorter;
        }
    }
    // There are so many members that they are too long without their texts: keep those that a reader needs to find the place.
    let names = ["timestamp", "level", "target"];
    let known =
        names.iter().filter_map(|name| Some(((*name).to_owned(), shortened(members.get(*name)?, most / 8))));
    Value::Object(known.collect()).to_string()
}

fn shortened(value: &Value, longest: usize) -> Value {
    match value {
        Value::String(text) => cut(text, longest).into(),
        Value::Array(_) | Value::Object(_) => cut(&value.to_string(), longest).into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_cut_at_the_end_of_a_character() {
        assert_eq!(cut("short", 5), "short");
        for most in 3..40 {
            let cut = cut(&"ü🎫".repeat(10), most);
            assert!(cut.len() <= most && cut.ends_with('…'), "{most}: {cut}");
        }
    }

    #[test]
    fn a_record_that_is_too_long_stays_an_object_with_its_short_members() {
        let record = json!({ "level": "ERROR", "http.status": 503, "error": "\"ü\\".repeat(100_000), "message": "words" });
        let cut = cut_object(&record.to_string(), 8192);
        assert!(cut.len() <= 8192, "{}", cut.len());
        let cut: Value = serde_json::from_str(&cut).unwrap();
        assert_eq!(
            (&cut["level"], &cut["http.status"], &cut["message"]),
            (&"ERROR".into(), &503.into(), &"words".into())
        );
        assert!(cut["error"].as_str().unwrap().ends_with('…'));
    }

    #[test]
    fn a_record_of_very_many_members_keeps_its_place() {
        let mut record = json!({ "timestamp": "now", "level": "WARN", "target": "here" });
        for number in 0..1000 {
            record[format!("member-{number}")] = "x".into();
        }
        let cut = cut_object(&record.to_string(), 1024);
        assert_eq!(
            serde_json::from_str::<Value>(&cut).unwrap(),
            json!({ "timestamp": "now", "level": "WARN", "target": "here" })
        );
    }
}
