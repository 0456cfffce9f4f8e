//! How passes are inspected: `HONOKEN_PUBLIC_DOCTOR`, `HONOKEN_INSPECT_ROOTS`.

use std::path::Path;

use honoken_pkpass::reader::Trust;

use super::variable::{ConfigError, Variable, Variables, parsed, read};

pub(super) const VARIABLES: &[Variable] = &[
    read(
        "HONOKEN_PUBLIC_DOCTOR",
        "`true` answers `/inspect`, a page that inspects passes without credentials; nothing of them is kept ([inspect.md](inspect.md#the-page))",
        "`false`",
    ),
    read(
        ROOTS,
        "PEM file with further certificates, besides Apple's, at which the chain of a pass may end when it is inspected, by `honoken inspect` and over HTTP: an intermediate that Apple has published since this release, say",
        "Apple's WWDR G1, G3 and G4; in `dev` its own root too",
    ),
];

const ROOTS: &str = "HONOKEN_INSPECT_ROOTS";

/// How passes are inspected.
#[derive(Debug, Clone)]
pub struct Doctor {
    /// Whether passes are inspected without credentials.
    pub is_public: bool,
    /// Where the chain of a pass may end.
    pub trust: Trust,
}

impl Default for Doctor {
    fn default() -> Self {
        Self { is_public: false, trust: Trust::apple() }
    }
}

pub(super) fn doctor(variable: Variables<'_>) -> Result<Doctor, ConfigError> {
    let is_public = parsed(variable, "HONOKEN_PUBLIC_DOCTOR", "`true` or `false`")?.unwrap_or_default();
    Ok(Doctor { is_public, trust: trust(variable)? })
}

/// Apple's certificates and those of the file, which is read at once.
pub(super) fn trust(variable: Variables<'_>) -> Result<Trust, ConfigError> {
    let Some(file) = variable(ROOTS)? else { return Ok(Trust::apple()) };
    let refuse = |problem: String| ConfigError { variable: ROOTS, problem };
    let pem = std::fs::read(Path::new(&file))
        .map_err(|fault| refuse(format!("names {file}, which cannot be read ({fault}): name a PEM file")))?;
    Trust::apple().and(&pem).map_err(|fault| refuse(format!("names {file}, which cannot be used: {fault}")))
}
