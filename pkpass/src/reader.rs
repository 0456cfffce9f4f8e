//! Takes a `.pkpass` apart and says whether a phone would accept it.
//!
//! The archive is taken for hostile: sizes are bounded while unpacking, paths that leave the archive are refused, and
//! nothing panics. The authentication token is never repeated, only its presence and length.
//!
//! It cannot know whether the certificate was revoked, and how Wallet judges a pass beyond the documented rules.

mod der;
mod display;
mod images;
mod manifest;
mod pass;
mod report;
mod signature;
mod signed_data;
mod unpack;

use crate::manifest::{MANIFEST, PASS, SIGNATURE};

pub use report::{
    CertificateReport, FileReport, Inspection, ManifestState, PassSummary, Problem, RootVerdict,
    SignatureReport,
};
pub use unpack::{MAX_FILES, MAX_UNPACKED_BYTES};

/// Inspects a pass without a root to trust: the signature is verified with the certificates inside.
pub fn inspect(bytes: &[u8]) -> Inspection {
    inspect_with_root(bytes, None)
}

/// Inspects a pass and, given the PEM of one or more roots, verifies the chain up to one of them.
///
/// Certificates are judged at the signing time that the signature states, because an installed pass stays good when
/// the certificate of its signer expires; that time is the signer's word.
pub fn inspect_with_root(bytes: &[u8], root_pem: Option<&[u8]>) -> Inspection {
    let mut problems = Vec::new();
    let files = unpack::unpack(bytes, &mut problems);
    let mut require = |path: &str| {
        let file = files.get(path);
        if file.is_none() {
            problems.push(Problem::new("file_missing", format!("{path} is missing")));
        }
        file.map(Vec::as_slice)
    };
    let (manifest_bytes, signature_bytes, pass_bytes) =
        (require(MANIFEST), require(SIGNATURE), require(PASS));

    let listing = manifest_bytes.and_then(|bytes| manifest::parse(bytes, &mut problems));
    let (file_reports, missing_files) = manifest::compare(&files, listing.as_ref(), &mut problems);
    let signature = signature_bytes.map(|signature| {
        signature::verify(signature, manifest_bytes.unwrap_or_default(), root_pem, &mut problems)
    });
    let object = pass_bytes.and_then(|bytes| pass::parse(bytes, &mut problems));
    let mut findings = Vec::new();
    if let Some(object) = &object {
        pass::check(object, signature.as_ref().and_then(|report| report.signer.as_ref()), &mut problems);
        findings.extend(pass::lint(object));
    }
    findings.extend(images::check(&files, object.as_ref()));

    let valid = problems.is_empty() && !findings.iter().any(crate::Finding::is_error);
    let pass = object.as_ref().map(pass::summary);
    Inspection { valid, problems, files: file_reports, missing_files, signature, pass, findings }
}
