//! RFC 8785: one text for one JSON value.

use serde_json::{Map, Number, Value};

/// The canonical text of an object.
///
/// The library that knows all rules sorts keys by way of copies of copies. Hardly any content needs them: where keys are in order already and
/// numbers are whole, the usual writer gives the same bytes in a tenth of the time.
pub(crate) fn canonical(object: &Map<String, Value>) -> Vec<u8> {
    let written = if is_written_alike(object) {
        serde_json::to_vec(object)
    } else {
        serde_json_canonicalizer::to_vec(object)
    };
    written.expect("a JSON value has string keys and finite numbers, and a Vec takes all bytes")
}

fn is_written_alike(object: &Map<String, Value>) -> bool {
    object.keys().is_sorted_by(|one, next| one.encode_utf16().lt(next.encode_utf16()))
        && object.values().all(is_plain)
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => is_small_integer(number),
        Value::Array(values) => values.iter().all(is_plain),
        Value::Object(object) => is_written_alike(object),
    }
}

/// Every writer gives whole numbers that a double holds exactly without a point or an exponent.
fn is_small_integer(number: &Number) -> bool {
    const EXACT: u64 = 1 << 53;
    number.as_i64().is_some_and(|integer| integer.unsigned_abs() <= EXACT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let numbers = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            (-1000_i64..1000).prop_map(Value::from),
        ];
        let leaves = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            numbers,
            any::<String>().prop_map(Value::from),
        ];
        leaves.prop_recursive(4, 32, 6, |inner| {
            // Above and below the surrogates of UTF-16, by whose order keys are sorted.
            let keys = prop_oneof![any::<String>(), "[a-c\u{e000}-\u{e002}\u{10000}-\u{10002}]{0,3}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((keys, inner), 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_ways_of_writing_give_the_same_bytes(value in values()) {
            let object = Map::from_iter([("content".to_owned(), value)]);
            let expected = serde_json_canonicalizer::to_vec(&object).unwrap();
            prop_assert_eq!(canonical(&object), expected);
        }
    }

    #[track_caller]
    fn check(value: Value, quick: bool, expected: &str) {
        let object = Map::from_iter([("v".to_owned(), value)]);
        assert_eq!(is_written_alike(&object), quick, "{expected}");
        assert_eq!(String::from_utf8(canonical(&object)).unwrap(), format!(r#"{{"v":{expected}}}"#));
    }

    #[test]
    fn only_what_both_write_alike_goes_the_quick_way() {
        check(
            json!({ "b": [1, -2, null, true], "a": "é\u{1F3AD}\u{7}\"\\/" }),
            true,
            r#"{"a":"é🎭\u0007\"\\/","b":[1,-2,null,true]}"#,
        );
        check(json!(9_007_199_254_740_992_u64), true, "9007199254740992");
        check(json!(9_007_199_254_740_993_u64), false, "9007199254740992");
        check(json!(u64::MAX), false, "18446744073709552000");
        check(json!(1.0), false, "1");
        check(json!(-0.0), false, "0");
        check(json!(1e21), false, "1e+21");
        check(json!({ "\u{e000}": 1, "\u{10000}": 2 }), false, "{\"\u{10000}\":2,\"\u{e000}\":1}");
    }
}
