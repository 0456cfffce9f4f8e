//! The texts of a language, as integrators pack them.

use std::collections::BTreeMap;

use honoken_pkpass::reader::{Trust, inspect_files};

use crate::package::assert_sound;

const PASS: &str = r#"{
    "formatVersion": 1, "passTypeIdentifier": "pass.com.example.museum", "serialNumber": "A-1", "teamIdentifier": "TEAM123456",
    "organizationName": "The Museum", "description": "TITLE", "eventTicket": {"primaryFields": [{"key": "a", "label": "SEAT", "value": "1"}]}
}"#;

const ENGLISH: &str = "\"TITLE\" = \"A ticket\";\n\"SEAT\" = \"Seat\";\n";

/// Reads `pass.strings` beside that of another language.
///
/// # Panics
/// When the report of the pass is not sound.
pub fn strings(bytes: &[u8]) {
    let files = [
        ("pass.json", PASS.as_bytes()),
        ("en.lproj/pass.strings", ENGLISH.as_bytes()),
        ("de.lproj/pass.strings", bytes),
    ];
    let files: BTreeMap<String, Vec<u8>> =
        files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect();
    assert_sound(&inspect_files(&files, &Trust::anyone()));
}
