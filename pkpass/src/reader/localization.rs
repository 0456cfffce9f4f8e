//! The texts of a pass in several languages: whether each file can be read, whether all have the same keys, and whether the pass uses them.
//!
//! A phone that cannot read a text shows its key instead, so all of this is a warning.
//!
//! <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::given_localizations::{missing_keys, named, texts_of, unused_keys, unused_sentence};
use crate::reader::notes::Notes;
use crate::reader::report::in_archive;
use crate::reader::unpack::Files;
use crate::reader::{strings, text};
use crate::strings_file::STRINGS;

const FOLDER: &str = ".lproj";

/// Languages whose keys are compared: more than a phone knows.
const MOST_LANGUAGES: usize = 100;

/// The language of a localised file and its name.
pub(super) fn localized(path: &str) -> Option<(&str, &str)> {
    let (folder, name) = path.split_once('/')?;
    let language = folder.strip_suffix(FOLDER)?;
    (!name.contains('/')).then_some((language, name))
}

pub(super) fn check(pass: Option<&Map<String, Value>>, files: &Files, notes: &mut Notes) {
    let mut keys: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| is_strings(path)) {
        let place = in_archive(path);
        match localized(path) {
            Some((language, STRINGS)) => {
                if let Some(found) = read(path, bytes, notes).filter(|_| keys.len() < MOST_LANGUAGES) {
                    keys.insert(language, found);
                }
            }
            Some((language, _)) => {
                let detail = format!(
                    "{path} is not read: the texts of a language are in {language}{FOLDER}/{STRINGS}"
                );
                notes.warning("strings_not_read", &place, detail);
            }
            None => {
                let detail = format!(
                    "{path} is not read: texts belong into a folder of their language, like en{FOLDER}/{STRINGS}"
                );
                notes.warning("strings_not_read", &place, detail);
            }
        }
    }
    missing(&keys, notes);
    if let Some(pass) = pass {
        unused(pass, files, &keys, notes);
    }
}

fn is_strings(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("strings"))
}

fn read(path: &str, bytes: &[u8], notes: &mut Notes) -> Option<BTreeSet<String>> {
    let place = in_archive(path);
    if bytes.starts_with(b"bplist") {
        notes.warning(
            "strings_not_checked",
            &place,
            format!("{path} is a binary property list, which is not checked here"),
        );
        return None;
    }
    let decoded = match text::decode(bytes) {
        Ok(decoded) => decoded.text,
        Err(why) => {
            notes.warning(
                "strings_unreadable",
                &place,
                format!("{path} {why}. A phone shows the keys instead of the texts"),
            );
            return None;
        }
    };
    if decoded.trim_start().starts_with('<') {
        notes.warning(
            "strings_not_checked",
            &place,
            format!("{path} is an XML property list, which is not checked here"),
        );
        return None;
    }
    let pairs = match strings::parse(&decoded) {
        Ok(pairs) => pairs,
        Err(error) => {
            let strings::SyntaxError { line, column, sentence } = error;
            let detail = format!(
                "{path}, line {line}, column {column}: {sentence}. A phone shows the keys instead of the texts"
            );
            notes.warning("strings_syntax", &place, detail);
            return None;
        }
    };
    let mut keys = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    for (key, _) in pairs {
        if !keys.insert(key.clone()) {
            repeated.insert(key);
        }
    }
    if !repeated.is_empty() {
        let detail = format!("{path} has {} more than once", named(repeated.iter()));
        notes.warning("strings_key_repeated", &place, detail);
    }
    Some(keys)
}

fn missing(keys: &BTreeMap<&str, BTreeSet<String>>, notes: &mut Notes) {
    for (language, names) in missing_keys(keys) {
        let path = format!("{language}{FOLDER}/{STRINGS}");
        let detail = format!("{path} lacks {names}, which another language has");
        notes.warning("strings_key_missing", &in_archive(&path), detail);
    }
}

fn unused(
    pass: &Map<String, Value>,
    files: &Files,
    keys: &BTreeMap<&str, BTreeSet<String>>,
    notes: &mut Notes,
) {
    let mut used = texts_of(pass);
    let sign_up = files.get(super::personalization::FILE).and_then(|bytes| text::decode(bytes).ok());
    let sign_up: Option<Map<String, Value>> =
        sign_up.and_then(|decoded| serde_json::from_str(&decoded.text).ok());
    if let Some(sign_up) = &sign_up {
        used.extend(texts_of(sign_up));
    }
    if let Some(names) = unused_keys(&used, keys) {
        notes.warning("strings_key_unused", "", unused_sentence(&names));
    }
}
