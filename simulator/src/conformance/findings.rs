//! The verdicts while they come in, and the words for the evidence.

use std::collections::BTreeMap;

use ::http::StatusCode;

use super::report::Verdict;
use super::rules::Rule;
use crate::http::Answer;
use crate::phone::web_service::encoded;

/// The longest excerpt of an answer in a report.
const SEEN_CHARACTERS: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Findings {
    verdicts: BTreeMap<Rule, Verdict>,
    /// The texts that must not be shown, in every spelling that a server might echo.
    secrets: Vec<String>,
}

impl Findings {
    pub(super) fn hiding(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut spellings = Vec::new();
        for secret in secrets {
            let json = serde_json::Value::from(secret.as_str()).to_string();
            spellings.push(encoded(&secret));
            spellings.push(json.trim_matches('"').to_owned());
            spellings.push(secret);
        }
        Self { verdicts: BTreeMap::new(), secrets: spellings }
    }

    pub(super) fn keeps(&mut self, rule: Rule) {
        if !matches!(self.verdicts.get(&rule), Some(Verdict::Broken { .. })) {
            self.verdicts.insert(rule, Verdict::Kept);
        }
    }

    /// The first breach stays.
    pub(super) fn breaks(&mut self, rule: Rule, seen: impl AsRef<str>) {
        if !matches!(self.verdicts.get(&rule), Some(Verdict::Broken { .. })) {
            let seen = self.shown(seen.as_ref());
            self.verdicts.insert(rule, Verdict::Broken { seen });
        }
    }

    /// Only for rules that nothing else decides.
    pub(super) fn leaves_out(&mut self, rule: Rule, why: impl AsRef<str>) {
        if !self.verdicts.contains_key(&rule) {
            let why = self.shown(why.as_ref());
            self.verdicts.insert(rule, Verdict::NotReached { why });
        }
    }

    pub(super) fn judges(&mut self, rule: Rule, verdict: Result<(), String>) {
        match verdict {
            Ok(()) => self.keeps(rule),
            Err(seen) => self.breaks(rule, seen),
        }
    }

    /// Kept when the answer has one of these statuses.
    pub(super) fn expects(&mut self, rule: Rule, answer: &Answer, statuses: &[u16]) -> bool {
        let as_expected = statuses.contains(&answer.status.as_u16());
        self.judges(rule, if as_expected { Ok(()) } else { Err(seen(answer)) });
        as_expected
    }

    pub(super) fn is_undecided(&self, rule: Rule) -> bool {
        !self.verdicts.contains_key(&rule)
    }

    pub(super) fn into_verdicts(mut self, why: &str) -> Vec<(Rule, Verdict)> {
        let each = Rule::ALL.iter().map(|rule| {
            let open = || Verdict::NotReached { why: why.to_owned() };
            (*rule, self.verdicts.remove(rule).unwrap_or_else(open))
        });
        each.collect()
    }

    /// A server's text is shown without secrets, without characters that steer a terminal, and not at length.
    pub(super) fn shown(&self, text: &str) -> String {
        let without = |text: String, secret: &String| text.replace(secret.as_str(), "[redacted]");
        let text = self.secrets.iter().filter(|secret| !secret.is_empty()).fold(text.to_owned(), without);
        let mut shown: String = text.chars().take(SEEN_CHARACTERS).map(printable).collect();
        if text.chars().nth(SEEN_CHARACTERS).is_some() {
            shown.push('…');
        }
        shown
    }
}

/// Control characters and those that change the direction of writing become spaces.
fn printable(character: char) -> char {
    let steers = character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if steers { ' ' } else { character }
}

/// Status and the beginning of the body.
pub(super) fn seen(answer: &Answer) -> String {
    let status = told(answer.status);
    match answer.header("location") {
        Some(location) if answer.status.is_redirection() => format!("{status} to {location}"),
        _ if answer.body.is_empty() => status,
        _ => format!("{status}: {}", answer.excerpt()),
    }
}

fn told(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}
