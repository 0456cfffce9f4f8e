//! Compares the files with the manifest.

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};

use crate::manifest::{MANIFEST, SIGNATURE};
use crate::reader::{FileReport, ManifestState, Problem};

/// Path to lowercase hex SHA-1.
pub(super) fn parse(bytes: &[u8], problems: &mut Vec<Problem>) -> Option<BTreeMap<String, String>> {
    match serde_json::from_slice(bytes) {
        Ok(listing) => Some(listing),
        Err(error) => {
            let detail = format!("manifest.json is not a JSON object of strings: {error}");
            problems.push(Problem::new("manifest_unreadable", detail));
            None
        }
    }
}

/// Every file with its state, and the paths that are listed and not there.
pub(super) fn compare(
    files: &BTreeMap<String, Vec<u8>>,
    listing: Option<&BTreeMap<String, String>>,
    problems: &mut Vec<Problem>,
) -> (Vec<FileReport>, Vec<String>) {
    let reports = files
        .iter()
        .map(|(path, bytes)| {
            let manifest = state(path, bytes, listing);
            problems.extend(problem(path, manifest));
            FileReport { path: path.clone(), size: bytes.len(), manifest }
        })
        .collect();
    let listed = listing.into_iter().flat_map(BTreeMap::keys);
    let missing: Vec<String> = listed.filter(|path| !files.contains_key(*path)).cloned().collect();
    for path in &missing {
        problems
            .push(Problem::new("file_missing", format!("{path} is in the manifest and not in the archive")));
    }
    (reports, missing)
}

fn state(path: &str, bytes: &[u8], listing: Option<&BTreeMap<String, String>>) -> ManifestState {
    if path == MANIFEST || path == SIGNATURE {
        return ManifestState::Exempt;
    }
    match listing.and_then(|listing| listing.get(path)) {
        None => ManifestState::NotListed,
        Some(hash) if *hash == hex::encode(Sha1::digest(bytes)) => ManifestState::Matches,
        Some(_) => ManifestState::WrongHash,
    }
}

fn problem(path: &str, state: ManifestState) -> Option<Problem> {
    match state {
        ManifestState::Exempt | ManifestState::Matches => None,
        ManifestState::WrongHash => Some(Problem::new(
            "file_changed",
            format!("{path} does not have the hash that the manifest lists"),
        )),
        ManifestState::NotListed => {
            Some(Problem::new("file_not_listed", format!("{path} is in the archive and not in the manifest")))
        }
    }
}
