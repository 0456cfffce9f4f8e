//! A file of which nothing is known yet: a pass, a bundle of passes, or a `pass.json`.

use std::fmt;

use serde::Serialize;

use crate::reader::bundle::{BundleInspection, inspect_bundle};
use crate::reader::container;
use crate::reader::inspect::{inspect_pass_json, inspect_trusting};
use crate::reader::report::Inspection;
use crate::reader::trust::Trust;

/// What a file turned out to be, and what was found out about it. Its JSON is that of the inspection inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Inspected {
    /// It is a pass or a `pass.json`, or should be one.
    Pass(Box<Inspection>),
    /// It is a bundle of passes.
    Bundle(BundleInspection),
}

impl Inspected {
    /// The verdict: a phone takes it.
    pub fn is_valid(&self) -> bool {
        match self {
            Self::Pass(inspection) => inspection.valid,
            Self::Bundle(bundle) => bundle.valid,
        }
    }
}

impl fmt::Display for Inspected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(inspection) => inspection.fmt(formatter),
            Self::Bundle(bundle) => bundle.fmt(formatter),
        }
    }
}

/// Inspects a file as that which it looks like: JSON as a `pass.json`, an archive of passes as a bundle, all else as a pass.
pub fn inspect_file(bytes: &[u8], trust: &Trust) -> Inspected {
    if !container::is_zip(bytes) && container::is_json(bytes) {
        return Inspected::Pass(Box::new(inspect_pass_json(bytes)));
    }
    let bundle = inspect_bundle(bytes, trust).map(Inspected::Bundle);
    bundle.unwrap_or_else(|| Inspected::Pass(Box::new(inspect_trusting(bytes, trust))))
}
