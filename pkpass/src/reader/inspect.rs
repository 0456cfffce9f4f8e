//! The order in which a pass is looked at, and what is left out of the report because something else explains it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Finding;
use crate::manifest::{MANIFEST, PASS, SIGNATURE};
use crate::reader::notes::Notes;
use crate::reader::report::{FileReport, Inspection, Problem, RootVerdict, SignatureReport, in_archive};
use crate::reader::trust::Trust;
use crate::reader::unpack::{self, Files};
use crate::reader::{images, layout, localization, manifest, pass, personalization, signature};

/// Problems that make others easier to understand come before them, in this order; all further ones keep theirs.
const CAUSES: [&str; 10] = [
    "archive_unreadable",
    "archive_too_large",
    "archive_too_many_files",
    "bundle",
    "in_folder",
    "pass_unreadable",
    "manifest_unreadable",
    "manifest_digest",
    "signature_unreadable",
    "intermediate_missing",
];

/// Inspects a pass without asking whose signature it has: it is verified with the certificates inside.
pub fn inspect(bytes: &[u8]) -> Inspection {
    inspect_trusting(bytes, &Trust::anyone())
}

/// Inspects a pass and, given the PEM of one or more roots, verifies the chain up to one of them or of Apple's.
pub fn inspect_with_root(bytes: &[u8], root_pem: Option<&[u8]>) -> Inspection {
    let trust = root_pem.map_or_else(|| Ok(Trust::anyone()), |pem| Trust::apple().and(pem));
    match trust {
        Ok(trust) => inspect_trusting(bytes, &trust),
        Err(error) => {
            let mut inspection = inspect(bytes);
            inspection.valid = false;
            inspection.problems.push(Problem::new("root_not_trusted", error.to_string()));
            if let Some(signature) = &mut inspection.signature {
                signature.root = RootVerdict::NotTrusted(error.to_string());
            }
            inspection
        }
    }
}

/// Inspects a pass.
///
/// Certificates are judged at the signing time that the signature states, because an installed pass stays good when
/// the certificate of its signer expires; that time is the signer's word.
pub fn inspect_trusting(bytes: &[u8], trust: &Trust) -> Inspection {
    let mut notes = Notes::default();
    let Some(mut archive) = unpack::open(bytes, &mut notes) else { return not_read(notes, &Files::new()) };
    let files = unpack::unpack(&mut archive, bytes.len(), &mut notes);
    if let Some(mistake) = layout::mistake(&files) {
        let notes = Notes { problems: vec![mistake], ..Notes::default() };
        return not_read(notes, &files);
    }
    judge(&files, Some(trust), notes)
}

/// Inspects the files of a pass by path: a whole one that was unpacked, or the source of one, without a signature. What is not there yet,
/// manifest and signature, is not missed then.
pub fn inspect_files(files: &BTreeMap<String, Vec<u8>>, trust: &Trust) -> Inspection {
    judge(files, files.contains_key(SIGNATURE).then_some(trust), Notes::default())
}

/// Inspects a `pass.json` alone: its images are somewhere else and not missed.
pub(super) fn inspect_pass_json(bytes: &[u8]) -> Inspection {
    let mut notes = Notes::default();
    let object = pass::parse(bytes, &mut notes);
    if let Some(object) = &object {
        pass::check(object, None, &mut notes);
    }
    let findings = object.as_ref().map(pass::lint).unwrap_or_default();
    inspection(notes, findings, object.as_ref(), None, (Vec::new(), Vec::new()))
}

fn judge(files: &Files, trust: Option<&Trust>, mut notes: Notes) -> Inspection {
    let mut require = |path: &str| {
        let file = files.get(path);
        if file.is_none() {
            notes.problem_at("file_missing", &in_archive(path), layout::missing(files, path));
        }
        file.map(Vec::as_slice)
    };
    let pass_bytes = require(PASS);
    let package = trust.map(|trust| (trust, require(MANIFEST), require(SIGNATURE)));
    let (mut listed, mut signature) = ((Vec::new(), Vec::new()), None);
    if let Some((trust, manifest_bytes, signature_bytes)) = package {
        let listing = manifest_bytes.and_then(|bytes| manifest::parse(bytes, &mut notes));
        listed = manifest::compare(files, listing.as_ref(), &mut notes);
        signature = signature_bytes.map(|bytes| signature::verify(bytes, manifest_bytes, trust, &mut notes));
    } else {
        listed.0 = manifest::compare(files, None, &mut notes).0;
    }
    let object = pass_bytes.and_then(|bytes| pass::parse(bytes, &mut notes));
    let pass = object.as_ref();
    let signer = signature.as_ref().and_then(|report| report.signer.as_ref());
    let mut findings = Vec::new();
    if let Some(pass) = pass {
        pass::check(pass, signer, &mut notes);
        findings.extend(pass::lint(pass));
    }
    personalization::check_certificate(pass, files, signer, &mut notes);
    personalization::check(pass, files, &mut notes);
    localization::check(pass, files, &mut notes);
    findings.extend(images::check(files, pass));
    inspection(notes, findings, pass, signature, listed)
}

fn inspection(
    notes: Notes,
    mut findings: Vec<Finding>,
    pass: Option<&Map<String, Value>>,
    signature: Option<SignatureReport>,
    (files, missing_files): (Vec<FileReport>, Vec<String>),
) -> Inspection {
    let Notes { mut problems, warnings } = notes;
    let rank =
        |problem: &Problem| CAUSES.iter().position(|code| *code == problem.code).unwrap_or(CAUSES.len());
    problems.sort_by_key(rank);
    findings.extend(warnings);
    let valid = problems.is_empty() && !findings.iter().any(Finding::is_error);
    Inspection { valid, problems, files, missing_files, signature, pass: pass.map(pass::summary), findings }
}

/// The report about something whose mistake explains everything.
fn not_read(mut notes: Notes, files: &Files) -> Inspection {
    let listed = manifest::compare(files, None, &mut notes);
    inspection(notes, Vec::new(), None, None, listed)
}
