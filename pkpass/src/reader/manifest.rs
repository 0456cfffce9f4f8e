//! Compares the files with the manifest.

use std::collections::BTreeMap;

use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::finding::quoted;
use crate::manifest::{MANIFEST, SIGNATURE};
use crate::reader::json;
use crate::reader::notes::Notes;
use crate::reader::paths::{self, is_junk};
use crate::reader::report::{FileReport, ManifestState, in_archive};
use crate::reader::unpack::{Files, MAX_FILES};

/// Digits of a SHA-1 and of a SHA-256.
const SHA_1_DIGITS: usize = 40;
const SHA_256_DIGITS: usize = 64;

/// Path to hex SHA-1, as it is written.
pub(super) type Listing = BTreeMap<String, String>;

pub(super) fn parse(bytes: &[u8], notes: &mut Notes) -> Option<Listing> {
    match json::read(MANIFEST, bytes, notes).and_then(listing) {
        Ok(listing) => Some(normal(listing, notes)),
        Err(detail) => {
            notes.problem_at("manifest_unreadable", &in_archive(MANIFEST), detail);
            None
        }
    }
}

fn listing(value: Value) -> Result<Listing, String> {
    let Value::Object(members) = value else {
        return Err("manifest.json is not a JSON object of path and SHA-1".to_owned());
    };
    let read = |(path, hash): (String, Value)| match hash {
        Value::String(hash) => Ok((path, hash)),
        _ => Err(format!(
            "manifest.json does not list a string, the hex SHA-1 of the file, for {}",
            quoted(&path)
        )),
    };
    members.into_iter().map(read).collect()
}

/// Paths as in the archive. One that cannot be a path stays as it is, and no file has it.
fn normal(listing: Listing, notes: &mut Notes) -> Listing {
    let mut odd = paths::Oddities::default();
    let normal = listing.into_iter().map(|(written, hash)| {
        let path = paths::normal(&written).unwrap_or_else(|_| written.clone());
        odd.note(&written, &path);
        (path, hash)
    });
    let normal = normal.collect();
    odd.warn(notes);
    normal
}

/// Every file with its state, and the paths that are listed and not there, as many as an archive may have files.
pub(super) fn compare(
    files: &Files,
    listing: Option<&Listing>,
    notes: &mut Notes,
) -> (Vec<FileReport>, Vec<String>) {
    let reports: Vec<FileReport> = files
        .iter()
        .map(|(path, bytes)| {
            let manifest = state(path, bytes, listing);
            FileReport { path: path.clone(), size: bytes.len(), manifest }
        })
        .collect();
    let Some(listing) = listing else { return (reports, Vec::new()) };
    changed(&reports, listing, notes);
    not_listed(&reports, notes);
    let missing: Vec<String> =
        listing.keys().filter(|path| !files.contains_key(*path)).take(MAX_FILES).cloned().collect();
    for path in &missing {
        let detail = format!("{} is in the manifest and not in the archive", quoted(path));
        notes.problem_at("file_missing", &in_archive(path), detail);
    }
    listed_oddly(listing, notes);
    (reports, missing)
}

fn state(path: &str, bytes: &[u8], listing: Option<&Listing>) -> ManifestState {
    if path == MANIFEST || path == SIGNATURE {
        return ManifestState::Exempt;
    }
    let Some(listing) = listing else { return ManifestState::Unknown };
    match listing.get(path) {
        None => ManifestState::NotListed,
        Some(hash) if hash.eq_ignore_ascii_case(&hex::encode(Sha1::digest(bytes))) => ManifestState::Matches,
        Some(_) => ManifestState::WrongHash,
    }
}

fn changed(reports: &[FileReport], listing: &Listing, notes: &mut Notes) {
    let changed: Vec<&FileReport> =
        reports.iter().filter(|report| report.manifest == ManifestState::WrongHash).collect();
    let is_sha_256 =
        |report: &&&FileReport| listing.get(&report.path).is_some_and(|hash| hash.len() == SHA_256_DIGITS);
    if !changed.is_empty() && changed.iter().filter(is_sha_256).count() == changed.len() {
        let detail =
            "the manifest lists SHA-256 hashes; it has to list the SHA-1 of every file, 40 hex digits";
        notes.problem_at("manifest_digest", &in_archive(MANIFEST), detail);
        return;
    }
    for FileReport { path, .. } in changed {
        let hash = &listing[path];
        let detail = if hash.len() == SHA_1_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            format!(
                "{path} does not have the hash that the manifest lists: it was changed after the manifest was made. Make and sign the \
                 manifest last"
            )
        } else {
            format!(
                "{path} does not have the hash that the manifest lists, which is no SHA-1 in 40 hex digits"
            )
        };
        notes.problem_at("file_changed", &in_archive(path), detail);
    }
}

fn not_listed(reports: &[FileReport], notes: &mut Notes) {
    let mut junk = Vec::new();
    for FileReport { path, .. } in reports.iter().filter(|it| it.manifest == ManifestState::NotListed) {
        if is_junk(path) {
            junk.push(path);
        } else {
            let detail =
                format!("{path} is in the archive and not in the manifest: list it, or leave it out");
            notes.problem_at("file_not_listed", &in_archive(path), detail);
        }
    }
    let Some(first) = junk.first() else { return };
    let others = if junk.len() > 1 {
        format!(" and {} more of its kind are", junk.len() - 1)
    } else {
        " is".to_owned()
    };
    let detail = format!(
        "{first}{others} in the archive and not in the manifest: the system that packed it has added it. Leave it out: `zip -d FILE \
         '__MACOSX/*' '*.DS_Store'`, or pack with `zip -X -r ../pass.pkpass . -x '*.DS_Store'`"
    );
    notes.problem_at("file_not_listed", &in_archive(first), detail);
}

/// What phones have not been seen to refuse.
fn listed_oddly(listing: &Listing, notes: &mut Notes) {
    for path in [MANIFEST, SIGNATURE].into_iter().filter(|path| listing.contains_key(*path)) {
        let detail = format!("the manifest lists {path}, which has no hash that it could have: leave it out");
        notes.warning("manifest_odd", &in_archive(MANIFEST), detail);
    }
    if listing.values().any(|hash| hash.bytes().any(|byte| byte.is_ascii_uppercase())) {
        let detail = "the manifest lists hashes in upper case; Apple's documentation has them in lower case";
        notes.warning("manifest_odd", &in_archive(MANIFEST), detail);
    }
    if let Some(path) = listing.keys().find(|path| is_junk(path)) {
        let detail = format!("{path} does not belong into a pass: leave it out of archive and manifest");
        notes.warning("file_not_needed", &in_archive(path), detail);
    }
}
