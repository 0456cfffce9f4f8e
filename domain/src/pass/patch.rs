//! Changes to a content that say what to change: JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902).

use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::Value;

use crate::content::{Content, MAX_CONTENT_BYTES};
use crate::json;
use crate::pass::PassError;

/// The most operations of one JSON Patch; each may have to move all elements of a long array.
pub const MAX_OPERATIONS: usize = 256;

/// A change to a content, applied to whatever the content is when the command is decided.
#[derive(Debug, Clone, PartialEq)]
pub enum ContentPatch {
    /// RFC 7396: members replace members, `null` removes them.
    Merge(Value),
    /// RFC 6902: operations in order, all or none; [`MAX_OPERATIONS`] at most.
    Operations(Vec<PatchOperation>),
}

impl ContentPatch {
    /// The content that the patch leads to.
    ///
    /// # Errors
    /// [`PassError`] names the operation that fails, or says why the outcome cannot be a content.
    pub fn apply(&self, content: &Content) -> Result<Content, PassError> {
        let mut document = Value::Object(content.as_map().clone());
        match self {
            Self::Merge(patch) => {
                json_patch::merge(&mut document, patch);
                if !json::is_at_most_as_deep(&document, json::MAX_DEPTH) {
                    return Err(PassError::ContentTooDeep);
                }
            }
            Self::Operations(operations) => {
                let mut left_to_copy = MAX_CONTENT_BYTES;
                for (at, operation) in operations.iter().enumerate() {
                    apply_one(&mut document, at, operation, &mut left_to_copy)?;
                }
            }
        }
        if json::bytes_left(&document, MAX_CONTENT_BYTES).is_none() {
            return Err(PassError::ContentTooLarge);
        }
        if let Some(pointer) = json::stray_nul(&document) {
            return Err(PassError::StrayNul { pointer });
        }
        Content::from_value(document).map_err(|_| PassError::ContentNotAnObject)
    }
}

/// One at a time, so that what is copied can be measured in between: twenty times `copy` of the whole into itself makes it a million times as
/// large. Only what an operation moves is measured, so that many small ones on a large content take no time. The document is a copy, so that
/// nothing has to be undone when a later operation fails.
fn apply_one(
    document: &mut Value,
    at: usize,
    operation: &PatchOperation,
    left_to_copy: &mut usize,
) -> Result<(), PassError> {
    let put = match operation {
        PatchOperation::Add(add) => Some(&add.value),
        PatchOperation::Replace(replace) => Some(&replace.value),
        PatchOperation::Move(r#move) => document.pointer(r#move.from.as_str()),
        PatchOperation::Copy(copy) => document.pointer(copy.from.as_str()),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
    };
    let levels = json::MAX_DEPTH.checked_sub(operation.path().count());
    let is_too_deep =
        put.is_some_and(|value| levels.is_none_or(|levels| !json::is_at_most_as_deep(value, levels)));
    if let (PatchOperation::Copy(_), Some(value)) = (operation, put) {
        *left_to_copy = json::bytes_left(value, *left_to_copy).ok_or(PassError::ContentTooLarge)?;
    }
    json_patch::patch_unsafe(document, std::slice::from_ref(operation))
        .map_err(|fault| refusal(at, operation, &fault.kind))?;
    if is_too_deep { Err(PassError::ContentTooDeep) } else { Ok(()) }
}

fn refusal(operation: usize, what: &PatchOperation, kind: &PatchErrorKind) -> PassError {
    let (member, reason) = match kind {
        PatchErrorKind::TestFailed => return PassError::PatchTestFailed { operation },
        PatchErrorKind::InvalidFromPointer => ("from", "the content has no value at this place"),
        PatchErrorKind::CannotMoveInsideItself => ("path", "a value cannot be moved into itself"),
        _ if matches!(what, PatchOperation::Add(_) | PatchOperation::Copy(_) | PatchOperation::Move(_)) => {
            ("path", "the content has no such place to put a value")
        }
        _ => ("path", "the content has no value at this place"),
    };
    PassError::PatchFailed { operation, member, reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(value: Value) -> Content {
        Content::from_value(value).unwrap()
    }

    fn operations(value: Value) -> ContentPatch {
        ContentPatch::Operations(serde_json::from_value(value).unwrap())
    }

    #[track_caller]
    fn check(patch: &ContentPatch, before: Value, after: Result<Value, PassError>) {
        assert_eq!(patch.apply(&content(before)), after.map(content));
    }

    /// The table of RFC 7396, appendix A, as far as its documents are objects.
    #[test]
    fn a_merge_patch_does_what_its_rfc_says() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (before, patch, after) in cases {
            check(&ContentPatch::Merge(patch), before, Ok(after));
        }
        check(&ContentPatch::Merge(json!(["c"])), json!({}), Err(PassError::ContentNotAnObject));
        check(&ContentPatch::Merge(json!(null)), json!({}), Err(PassError::ContentNotAnObject));
    }

    /// Examples of RFC 6902, appendix A.
    #[test]
    fn operations_do_what_their_rfc_says() {
        let cases = [
            (
                json!({"foo":["bar","baz"]}),
                json!([{"op":"add","path":"/foo/1","value":"qux"}]),
                json!({"foo":["bar","qux","baz"]}),
            ),
            (
                json!({"foo":["bar"]}),
                json!([{"op":"add","path":"/foo/-","value":["abc"]}]),
                json!({"foo":["bar",["abc"]]}),
            ),
            (
                json!({"foo":["bar","qux","baz"]}),
                json!([{"op":"remove","path":"/foo/1"}]),
                json!({"foo":["bar","baz"]}),
            ),
            (
                json!({"a":1,"b":2}),
                json!([{"op":"replace","path":"/a","value":{"c":null}}]),
                json!({"a":{"c":null},"b":2}),
            ),
            (
                json!({"a":["1","2","3"]}),
                json!([{"op":"move","from":"/a/0","path":"/a/2"}]),
                json!({"a":["2","3","1"]}),
            ),
            (json!({"a":1}), json!([{"op":"move","from":"/a","path":"/ab"}]), json!({"ab":1})),
            (
                json!({"a":{"x":1}}),
                json!([{"op":"copy","from":"/a","path":"/a/y"}]),
                json!({"a":{"x":1,"y":{"x":1}}}),
            ),
            (
                json!({"/":9,"~1":10}),
                json!([{"op":"test","path":"/~01","value":10},{"op":"remove","path":"/~1"}]),
                json!({"~1":10}),
            ),
            (json!({"a":1}), json!([{"op":"add","path":"","value":{"b":2}}]), json!({"b":2})),
            (json!({"a":1}), json!([]), json!({"a":1})),
        ];
        for (before, patch, after) in cases {
            check(&operations(patch), before, Ok(after));
        }
    }

    #[test]
    fn the_operation_that_fails_is_named() {
        let there = json!({"op":"test","path":"/a","value":1});
        let cases = [
            (json!({"op":"remove","path":"/b"}), "path"),
            (json!({"op":"remove","path":""}), "path"),
            (json!({"op":"remove","path":"/list/-"}), "path"),
            (json!({"op":"replace","path":"/b","value":1}), "path"),
            (json!({"op":"test","path":"/b","value":null}), "path"),
            (json!({"op":"add","path":"/b/c","value":1}), "path"),
            (json!({"op":"add","path":"/list/2","value":1}), "path"),
            (json!({"op":"add","path":"/list/00","value":1}), "path"),
            (json!({"op":"add","path":"/a/c","value":1}), "path"),
            (json!({"op":"copy","from":"/b","path":"/c"}), "from"),
            (json!({"op":"move","from":"/b","path":"/c"}), "from"),
            (json!({"op":"move","from":"/list","path":"/list/0"}), "path"),
        ];
        for (operation, member) in cases {
            let found = operations(json!([there, operation])).apply(&content(json!({"a":1,"list":[1]})));
            match found {
                Err(PassError::PatchFailed { operation: 1, member: named, .. }) => {
                    assert_eq!(named, member, "{operation}");
                }
                other => panic!("{operation}: {other:?}"),
            }
        }
        let test = operations(json!([there, {"op":"test","path":"/a","value":"1"}]));
        check(&test, json!({"a":1}), Err(PassError::PatchTestFailed { operation: 1 }));
    }

    #[test]
    fn numbers_that_a_patch_does_not_name_stay_what_they_are() {
        let before = json::parse(br#"{"n":[0.1,1e300,9007199254740991,-0.5e-9,1.0],"a":1}"#).unwrap();
        let mut after = before.clone();
        after["a"] = json!(2);
        for patch in
            [ContentPatch::Merge(json!({"a":2})), operations(json!([{"op":"replace","path":"/a","value":2}]))]
        {
            check(&patch, before.clone(), Ok(after.clone()));
        }
    }

    #[test]
    fn a_nul_reaches_the_message_of_a_barcode_and_nothing_else() {
        let ticket = json!({ "barcodes": [{ "message": "a" }], "seat": "1A" });
        let put = |path: &str| operations(json!([{ "op": "add", "path": path, "value": "\0" }]));
        let mut coded = ticket.clone();
        coded["barcodes"][0]["message"] = json!("\0");
        check(&put("/barcodes/0/message"), ticket.clone(), Ok(coded.clone()));
        let stray = |pointer: &str| Err(PassError::StrayNul { pointer: pointer.to_owned() });
        check(&put("/seat"), ticket, stray("/seat"));
        let copy = operations(json!([{ "op": "copy", "from": "/barcodes/0/message", "path": "/seat" }]));
        check(&copy, coded, stray("/seat"));
    }

    #[test]
    fn an_outcome_that_is_no_object_is_refused() {
        let patch = operations(json!([{"op":"replace","path":"","value":[]}]));
        check(&patch, json!({}), Err(PassError::ContentNotAnObject));
    }

    #[test]
    fn copies_of_copies_end_where_no_content_is_larger_or_deeper() {
        let copy = |at: usize| json!({"op":"copy","from":"/a","path":format!("/a/{at}")});
        let bomb = operations((0..40).map(copy).collect());
        check(&bomb, json!({"a":{"x":"12345678"}}), Err(PassError::ContentTooLarge));
        let deeper = json!({"op":"copy","from":"/a","path":"/a/b"});
        let nested = operations(vec![deeper; 70].into());
        check(&nested, json!({"a":{"x":1}}), Err(PassError::ContentTooDeep));
        let nested = |levels: usize| (0..levels).fold(json!(1), |inside, _| json!([inside]));
        let place = json!({"a":{"a":{"a":1}},"x":nested(json::MAX_DEPTH - 1)});
        let too_deep = [
            json!([{"op":"add","path":"/a/a/a","value":nested(json::MAX_DEPTH - 2)}]),
            json!([{"op":"replace","path":"/a/a/a","value":nested(json::MAX_DEPTH - 2)}]),
            json!([{"op":"move","from":"/x","path":"/a/a"}]),
            json!([{"op":"copy","from":"/x","path":"/a/x"}]),
        ];
        for patch in too_deep {
            check(&operations(patch), place.clone(), Err(PassError::ContentTooDeep));
        }
        let fits = operations(json!([{"op":"add","path":"/a/a/a","value":nested(json::MAX_DEPTH - 3)}]));
        assert!(fits.apply(&content(place)).is_ok());
        let wide = |at: usize| json!({"op":"copy","from":"","path":format!("/x{at}")});
        let text = "x".repeat(MAX_CONTENT_BYTES / 3);
        check(&operations(json!([wide(0), wide(1)])), json!({"a":text}), Err(PassError::ContentTooLarge));
        check(
            &ContentPatch::Merge(json!({"b":text,"c":text})),
            json!({"a":text}),
            Err(PassError::ContentTooLarge),
        );
    }
}
