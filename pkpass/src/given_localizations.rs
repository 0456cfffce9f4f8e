//! What a phone makes of the texts that a pass is given in other languages.

use std::collections::{BTreeMap, BTreeSet};

use honoken_styles::Localizations;
use serde_json::{Map, Value};

use crate::PassKind;
use crate::finding::{Finding, quoted};
use crate::pass_json::loose;
use crate::pointer::at;

/// Keys that a sentence names.
const MOST_NAMED: usize = 5;

/// Warnings about texts that a pass with this content, and these texts in the form of a rewards programme, never shows, and about languages in which it shows keys instead of texts. Pointers are like
/// `/localizations/de`.
///
/// <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>
pub fn lint_localizations(
    kind: PassKind,
    content: &Map<String, Value>,
    form: &[&str],
    localizations: &Localizations,
) -> Vec<Finding> {
    if localizations.is_empty() {
        return Vec::new();
    }
    // The loose fields bring labels of their own.
    let mut pass = content.clone();
    loose::map_loose_fields(&mut pass, kind.style);
    let mut texts = texts_of(&pass);
    texts.extend(form);
    let keys = |strings: &BTreeMap<String, String>| strings.keys().cloned().collect();
    let keys: BTreeMap<&str, BTreeSet<String>> = localizations
        .iter()
        .map(|(language, localization)| (language.as_str(), keys(&localization.strings)))
        .collect();
    let missing = missing_keys(&keys).into_iter().map(|(language, names)| {
        let detail = format!("the language {language} lacks {names}, which another language has");
        Finding::warning("strings_key_missing", &at("/localizations", language), detail)
    });
    let unused = unused_keys(&texts, &keys)
        .map(|names| Finding::warning("strings_key_unused", "/localizations", unused_sentence(&names)));
    missing.chain(unused).collect()
}

/// The texts of a JSON object, wherever in it they are: those that a phone looks up in its language.
pub(crate) fn texts_of(object: &Map<String, Value>) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    object.values().for_each(|value| add_texts(value, &mut found));
    found
}

fn add_texts<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => {
            found.insert(text);
        }
        Value::Array(elements) => elements.iter().for_each(|element| add_texts(element, found)),
        Value::Object(members) => members.values().for_each(|member| add_texts(member, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The languages that lack keys of another one, with the names of these.
pub(crate) fn missing_keys<'a>(keys: &BTreeMap<&'a str, BTreeSet<String>>) -> Vec<(&'a str, String)> {
    let all: BTreeSet<&String> = keys.values().flatten().collect();
    let missing = |(language, own): (&&'a str, &BTreeSet<String>)| {
        let missing: Vec<&String> = all.iter().filter(|key| !own.contains(**key)).copied().collect();
        (!missing.is_empty()).then(|| (*language, named(missing.into_iter())))
    };
    keys.iter().filter_map(missing).collect()
}

/// The names of the keys that are no text of the pass, if there are any.
pub(crate) fn unused_keys(texts: &BTreeSet<&str>, keys: &BTreeMap<&str, BTreeSet<String>>) -> Option<String> {
    let unused: BTreeSet<&String> =
        keys.values().flatten().filter(|key| !texts.contains(key.as_str())).collect();
    (!unused.is_empty()).then(|| named(unused.into_iter()))
}

/// The sentence about keys that are no text of the pass.
pub(crate) fn unused_sentence(names: &str) -> String {
    format!("no text of pass.json is {names}: these texts are never shown")
}

/// The first keys, quoted, and the number of the others.
pub(crate) fn named<'a>(keys: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = keys.len().saturating_sub(MOST_NAMED);
    let mut names: Vec<String> = keys.take(MOST_NAMED).map(|key| quoted(key)).collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use honoken_styles::TicketStyle;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_are_missing_or_never_shown_are_named() {
        let content =
            json!({ "eventTicket": { "headerFields": [{ "key": "gate", "label": "Gate", "value": "A" }] } });
        let content = content.as_object().unwrap();
        let kind = PassKind::plain(TicketStyle::Event);
        let localizations: Localizations = serde_json::from_value(json!({
            "de": { "strings": { "Gate": "Tor", "Seet": "Platz" } },
            "fr": { "strings": { "Gate": "Porte" } },
        }))
        .unwrap();
        let findings = lint_localizations(kind, content, &[], &localizations);
        let found: Vec<(&str, &str)> = findings.iter().map(|each| (&*each.code, &*each.pointer)).collect();
        assert_eq!(
            found,
            [("strings_key_missing", "/localizations/fr"), ("strings_key_unused", "/localizations")]
        );
        assert!(findings[1].detail.contains("\"Seet\""), "{}", findings[1]);
        let with_form = lint_localizations(kind, content, &["Seet"], &localizations);
        assert!(with_form.iter().all(|finding| finding.code != "strings_key_unused"), "{with_form:?}");
        assert_eq!(lint_localizations(kind, content, &[], &Localizations::new()), []);
    }
}
