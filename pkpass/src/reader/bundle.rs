//! `.pkpasses`: several passes in one archive.
//!
//! <https://developer.apple.com/documentation/walletpasses/distributing-and-updating-a-pass>

use std::fmt;

use serde::Serialize;

use crate::reader::inspect::inspect_trusting;
use crate::reader::layout::is_pass;
use crate::reader::notes::Notes;
use crate::reader::report::{Inspection, Problem};
use crate::reader::trust::Trust;
use crate::reader::unpack::{self, MAX_UNPACKED_BYTES};

/// The most passes of a bundle.
pub const MAX_BUNDLE_PASSES: usize = 10;

/// The most bytes of a bundle: 150 MB.
pub const MAX_BUNDLE_BYTES: usize = 150_000_000;

/// Everything the reader found out about a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleInspection {
    /// The verdict: a phone takes every pass of it.
    pub valid: bool,
    /// The faults of the bundle.
    pub problems: Vec<Problem>,
    /// Its passes, in the order of the archive.
    pub passes: Vec<BundledPass>,
}

/// A pass of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundledPass {
    /// Path inside the archive.
    pub path: String,
    /// What there is to say about it.
    #[serde(flatten)]
    pub inspection: Inspection,
}

/// Inspects a bundle; `None` when these bytes are none.
pub(super) fn inspect_bundle(bytes: &[u8], trust: &Trust) -> Option<BundleInspection> {
    let mut notes = Notes::default();
    let mut archive = unpack::open(bytes, &mut notes)?;
    let names: Vec<(usize, String)> = (0..archive.len())
        .filter_map(|index| Some((index, unpack::entry_name(&mut archive, index).ok()?.0)))
        .collect();
    if names.iter().any(|(_, name)| name == crate::manifest::PASS)
        || !names.iter().any(|(_, name)| is_pass(name))
    {
        return None;
    }
    if bytes.len() > MAX_BUNDLE_BYTES {
        let detail = format!("the bundle has {} bytes; it may have {MAX_BUNDLE_BYTES}", bytes.len());
        notes.problem("bundle_too_large", detail);
    }
    let count = names.iter().filter(|(_, name)| is_pass(name)).count();
    if count > MAX_BUNDLE_PASSES {
        let detail = format!(
            "the bundle has {count} passes; it may have {MAX_BUNDLE_PASSES}, and those are looked at"
        );
        notes.problem("bundle_too_many_passes", detail);
    }
    let mut passes = Vec::new();
    for (index, path) in names.into_iter().filter(|(_, name)| is_pass(name)).take(MAX_BUNDLE_PASSES) {
        match unpack::unpack_entry(&mut archive, index, MAX_UNPACKED_BYTES) {
            Ok(Some((_, pass))) => {
                passes.push(BundledPass { path, inspection: inspect_trusting(&pass, trust) });
            }
            Ok(None) => {}
            Err(fault) => fault.note(&mut notes),
        }
    }
    let problems = notes.problems;
    let valid = problems.is_empty() && passes.iter().all(|pass| pass.inspection.valid);
    Some(BundleInspection { valid, problems, passes })
}

impl fmt::Display for BundleInspection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", if self.valid { "valid" } else { "NOT VALID" })?;
        writeln!(formatter, "\na bundle of {} passes", self.passes.len())?;
        for problem in &self.problems {
            writeln!(formatter, "  {}: {}", problem.code, problem.detail)?;
        }
        for pass in &self.passes {
            let path = pass.path.replace(char::is_control, "\u{fffd}");
            write!(formatter, "\n== {path}\n{}", pass.inspection)?;
        }
        Ok(())
    }
}
