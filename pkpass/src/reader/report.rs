//! The report of the reader, for programs (`Serialize`) and for people (`Display`).

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Finding;
use crate::pointer::at;

/// Everything the reader found out about a `.pkpass`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The verdict: a phone takes it. No problem, and no finding that is an error.
    pub valid: bool,
    /// The faults of the package, its signature or its identity.
    pub problems: Vec<Problem>,
    /// Every file of the archive, by path.
    pub files: Vec<FileReport>,
    /// Paths that the manifest lists and the archive does not have.
    pub missing_files: Vec<String>,
    /// The signature, if there is one.
    pub signature: Option<SignatureReport>,
    /// The pass, if pass.json can be read.
    pub pass: Option<PassSummary>,
    /// The findings about pass.json, images and texts, and what is odd about the package without keeping a phone from taking it.
    pub findings: Vec<Finding>,
}

impl Inspection {
    /// Problems and findings in one list, errors first.
    pub fn all_findings(&self) -> Vec<Finding> {
        let (errors, others): (Vec<&Finding>, Vec<&Finding>) =
            self.findings.iter().partition(|it| it.is_error());
        self.problems
            .iter()
            .map(Problem::to_finding)
            .chain(errors.into_iter().chain(others).cloned())
            .collect()
    }
}

/// One thing that makes the package invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Stable name, `snake_case`.
    pub code: &'static str,
    /// RFC 6901 pointer: into pass.json, or below `/files` for a file of the archive; empty for all of it.
    pub pointer: String,
    /// A sentence for a person.
    pub detail: String,
}

impl Problem {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, pointer: String::new(), detail: detail.into() }
    }

    /// As the finding that it is: an error.
    pub fn to_finding(&self) -> Finding {
        Finding::error(self.code, &self.pointer, self.detail.clone())
    }
}

/// The pointer of a file of the archive.
pub(super) fn in_archive(path: &str) -> String {
    at("/files", path)
}

/// A moment as reports show it.
pub(super) fn rfc3339(unix_seconds: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(unix_seconds).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{unix_seconds} s"))
}

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileReport {
    /// Path inside the archive.
    pub path: String,
    /// Unpacked size in bytes.
    pub size: usize,
    /// Its state in the manifest.
    pub manifest: ManifestState,
}

/// How a file and the manifest agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ManifestState {
    /// The manifest and its signature are not listed.
    Exempt,
    /// Listed with the hash the file has.
    Matches,
    /// Listed with another hash: the file was changed.
    WrongHash,
    /// Not listed: the file was added.
    NotListed,
    /// There is no manifest that can be read.
    Unknown,
}

/// The statements of the signature, and whether they are true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignatureReport {
    /// The signer inside made this signature over exactly this manifest.
    pub verified: bool,
    /// Digest of the signature, such as `SHA-256`.
    pub digest_algorithm: Option<String>,
    /// When it was signed, as the signer states it (RFC 3339); Wallet requires it.
    pub signing_time: Option<String>,
    /// The certificate that signed.
    pub signer: Option<CertificateReport>,
    /// The certificate inside the signature that issued the signer.
    pub issuer: Option<CertificateReport>,
    /// Whether the chain ends at a root the caller trusts.
    pub root: RootVerdict,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateReport {
    /// Common name of the subject.
    pub common_name: Option<String>,
    /// `UID` of the subject: the pass type identifier.
    pub uid: Option<String>,
    /// `OU` of the subject: the team identifier.
    pub ou: Option<String>,
    /// First second of its validity, RFC 3339.
    pub not_before: String,
    /// Last second of its validity, RFC 3339.
    pub not_after: String,
    /// SHA-256 of the certificate, lowercase hex.
    pub fingerprint: String,
}

/// Whether the chain ends at a trusted root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "verdict", content = "reason")]
pub enum RootVerdict {
    /// The caller named no root.
    NotAsked,
    /// It does.
    Trusted,
    /// It does not, for this reason.
    NotTrusted(String),
}

/// The parts of pass.json that identify a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "a report of facts that are independent of each other")]
pub struct PassSummary {
    /// The key of its style dictionary, such as `eventTicket`.
    pub style: Option<String>,
    /// It asks for the poster look.
    pub poster: bool,
    /// `passTypeIdentifier`
    pub pass_type_identifier: Option<String>,
    /// `serialNumber`
    pub serial_number: Option<String>,
    /// `teamIdentifier`
    pub team_identifier: Option<String>,
    /// `organizationName`
    pub organization_name: Option<String>,
    /// `description`
    pub description: Option<String>,
    /// `voided`
    pub voided: bool,
    /// `webServiceURL` is there: the pass can be updated.
    pub has_web_service_url: bool,
    /// Characters of `authenticationToken`, if there is one. The token itself is a secret and not reported.
    pub authentication_token_length: Option<usize>,
    /// The linter knows this style; otherwise the findings are about images only.
    pub linted: bool,
}
