//! Collects what is wrong and what is odd about a package, up to a limit: whoever made it decides how many faults it has.

use crate::finding::{Finding, MAX_FINDINGS};
use crate::reader::Problem;

/// Problems and warnings, at most [`MAX_FINDINGS`] of each.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Finding>,
}

impl Notes {
    pub(super) fn problem(&mut self, code: &'static str, detail: impl Into<String>) {
        self.problem_at(code, "", detail);
    }

    pub(super) fn problem_at(&mut self, code: &'static str, pointer: &str, detail: impl Into<String>) {
        if self.problems.len() < MAX_FINDINGS {
            self.problems.push(Problem { pointer: pointer.to_owned(), ..Problem::new(code, detail) });
        }
    }

    pub(super) fn warning(&mut self, code: &'static str, pointer: &str, detail: impl Into<String>) {
        if self.warnings.len() < MAX_FINDINGS {
            self.warnings.push(Finding::warning(code, pointer, detail.into()));
        }
    }

    /// Whether a problem of this kind was noted.
    pub(super) fn has(&self, code: &str) -> bool {
        self.problems.iter().any(|problem| problem.code == code)
    }
}
