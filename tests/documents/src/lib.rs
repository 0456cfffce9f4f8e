//! Parts of pages, and whole files, that are made from the code, and the check that they still are what the code says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Whether the pages are to be written instead. A constant of the build: nothing of the service reads its environment for this.
const WANTED: bool = option_env!("WRITE_DOCS").is_some();

/// Compares what stands between `<!-- generated: NAME -->` and `<!-- end -->` of a page with what the code says; writes it there instead
/// when `WRITE_DOCS` is set.
///
/// # Panics
/// When they differ, or the page cannot be read.
#[track_caller]
pub fn check(page: &str, name: &str, expected: &str) {
    let file = file(page);
    let text = std::fs::read_to_string(&file).expect("the page can be read");
    let start = format!("<!-- generated: {name} -->\n");
    let (before, rest) = text.split_once(&start).unwrap_or_else(|| panic!("{page} has no line {start}"));
    let (found, after) =
        rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("{page} has no end of {name}"));
    if WANTED {
        std::fs::write(&file, format!("{before}{start}{expected}<!-- end -->{after}"))
            .expect("the page can be written");
        return;
    }
    assert!(
        found == expected,
        "{page} does not say what the code does: run `WRITE_DOCS=1 cargo test --workspace the_documented` and commit it"
    );
}

/// Likewise for a file of JSON that is made from the code as a whole.
///
/// # Panics
/// When they differ, or the file cannot be read.
#[track_caller]
pub fn check_json(page: &str, expected: &str) {
    let file = file(page);
    if WANTED {
        std::fs::write(&file, expected).expect("the file can be written");
        return;
    }
    let [found, expected] =
        [std::fs::read_to_string(&file).expect("the file can be read").as_str(), expected].map(|text| {
            serde_json::from_str(text).unwrap_or_else(|fault| panic!("{page} is no JSON: {fault}"))
        });
    let found = differences("", &found, &expected);
    assert!(
        found.is_empty(),
        "{page} does not say what the code does:\n{}\nRun `WRITE_DOCS=1 cargo test --workspace the_documented` and commit it",
        found.join("\n")
    );
}

/// The places where two values differ, with what is there.
fn differences(place: &str, found: &Value, expected: &Value) -> Vec<String> {
    let below = |name: &str, found: Option<&Value>, expected: Option<&Value>| {
        let place = format!("{place}/{name}");
        match (found, expected) {
            (Some(found), Some(expected)) => differences(&place, found, expected),
            (Some(found), None) => vec![format!("{place}: only in the file: {}", excerpt(found))],
            (None, Some(expected)) => vec![format!("{place}: only in the code: {}", excerpt(expected))],
            (None, None) => Vec::new(),
        }
    };
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let names: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
            names.into_iter().flat_map(|name| below(name, found.get(name), expected.get(name))).collect()
        }
        (Value::Array(found), Value::Array(expected)) => {
            let indices = 0..found.len().max(expected.len());
            indices
                .flat_map(|index| below(&index.to_string(), found.get(index), expected.get(index)))
                .collect()
        }
        _ if found == expected => Vec::new(),
        _ => vec![format!("{place}: {} in the file, {} in the code", excerpt(found), excerpt(expected))],
    }
}

fn excerpt(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}

fn file(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page)
}

#[test]
fn a_difference_is_named_by_its_place() {
    let found = serde_json::json!({"paths": {"/a": {"get": [1, 2]}, "/b": {}}, "same": {"a": null}});
    let expected = serde_json::json!({"paths": {"/a": {"get": [1, 3, 4]}, "/c": {}}, "same": {"a": null}});
    assert_eq!(
        differences("", &found, &expected),
        [
            "/paths//a/get/1: 2 in the file, 3 in the code",
            "/paths//a/get/2: only in the code: 4",
            "/paths//b: only in the file: {}",
            "/paths//c: only in the code: {}",
        ]
    );
    assert_eq!(differences("", &found, &found), [""; 0]);
}
