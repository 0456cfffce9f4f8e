//! The findings of a check about a pass.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// The most findings one check returns: a broken generator repeats itself, and the answer should stay readable.
pub const MAX_FINDINGS: usize = 100;

/// Characters of a value that a finding repeats.
const MOST_QUOTED: usize = 60;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Wallet refuses the pass, or the value is certainly broken on the phone.
    Error,
    /// Wallet ignores or shortens the value, or falls back to an older look.
    Warning,
    /// Nothing is wrong, and something else may have been meant.
    Hint,
}

/// One fault, its place, and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether the pass can be issued all the same.
    pub severity: Severity,
    /// Stable name of the rule, `snake_case`; programs may match on it.
    pub code: Cow<'static, str>,
    /// RFC 6901 pointer into the content; images are below `/assets`.
    pub pointer: String,
    /// A sentence for a person.
    pub detail: String,
}

impl Finding {
    /// A finding that forbids issuing the pass.
    pub(crate) fn error(code: &'static str, pointer: &str, detail: String) -> Self {
        Self { severity: Severity::Error, code: Cow::Borrowed(code), pointer: pointer.to_owned(), detail }
    }

    /// A finding that the integrator should know about.
    pub(crate) fn warning(code: &'static str, pointer: &str, detail: String) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, pointer, detail) }
    }

    /// A finding about something that may have been meant.
    pub(crate) fn hint(code: &'static str, pointer: &str, detail: String) -> Self {
        Self { severity: Severity::Hint, ..Self::error(code, pointer, detail) }
    }

    /// Whether this finding forbids issuing the pass.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "hint",
        };
        write!(formatter, "{severity} {} at {:?}: {}", self.code, self.pointer, self.detail)
    }
}

/// A value as a finding quotes it: escaped, and cut short when it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(MOST_QUOTED).collect();
    if characters.next().is_some() { format!("{head:?}…") } else { format!("{head:?}") }
}

/// Collects findings up to [`MAX_FINDINGS`].
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn error(&mut self, code: &'static str, pointer: &str, detail: impl Into<String>) {
        self.push(Finding::error(code, pointer, detail.into()));
    }

    pub(crate) fn warning(&mut self, code: &'static str, pointer: &str, detail: impl Into<String>) {
        self.push(Finding::warning(code, pointer, detail.into()));
    }

    pub(crate) fn hint(&mut self, code: &'static str, pointer: &str, detail: impl Into<String>) {
        self.push(Finding::hint(code, pointer, detail.into()));
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.0
    }

    /// Whether there is room for another.
    pub(crate) fn has_room(&self) -> bool {
        self.0.len() < MAX_FINDINGS
    }

    /// An error never gets lost behind warnings, and no warning behind hints: when the list is full it takes the place of the last of those.
    fn push(&mut self, finding: Finding) {
        if self.0.len() < MAX_FINDINGS {
            self.0.push(finding);
        } else if let Some(last_of_less) = self.0.iter().rposition(|kept| kept.severity > finding.severity) {
            self.0.remove(last_of_less);
            self.0.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_quoted_in_part() {
        assert_eq!(quoted("a\u{1b}"), r#""a\u{1b}""#);
        assert_eq!(quoted(&"é".repeat(1000)), format!("\"{}\"…", "é".repeat(MOST_QUOTED)));
    }

    #[test]
    fn findings_stop_at_the_limit() {
        let mut findings = Findings::default();
        for _ in 0..=MAX_FINDINGS {
            findings.error("code", "", "detail");
        }
        assert_eq!(findings.into_vec().len(), MAX_FINDINGS);
    }

    #[test]
    fn an_error_takes_the_place_of_a_warning_when_the_list_is_full() {
        let mut findings = Findings::default();
        for _ in 0..MAX_FINDINGS {
            findings.warning("noise", "", "detail");
        }
        findings.error("signal", "", "detail");
        let findings = findings.into_vec();
        assert_eq!(findings.len(), MAX_FINDINGS);
        assert_eq!(findings.iter().filter(|finding| finding.is_error()).count(), 1);
    }
}
