//! The list of files and their hashes, and whether the archive keeps to it.

use serde_json::{Map, Value};
use sha1::{Digest, Sha1};

use super::archive::Files;
use super::invalid::InvalidPass;

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "signature";

/// Checks every file against the manifest and returns the hash of the manifest itself, which Wallet compares to tell a new version of a pass
/// from the one it has.
pub(super) fn check(files: &Files) -> Result<String, InvalidPass> {
    let bytes = files.get(MANIFEST).ok_or(InvalidPass::MissingFile(MANIFEST.to_owned()))?;
    if files.get(SIGNATURE).is_none_or(Vec::is_empty) {
        return Err(InvalidPass::MissingFile(SIGNATURE.to_owned()));
    }
    let listed: Map<String, Value> = serde_json::from_slice(bytes)
        .map_err(|error| InvalidPass::NotJson { file: MANIFEST, reason: error.to_string() })?;
    every_file_is_listed(files, &listed)?;
    every_listed_file_is_there(files, &listed)?;
    Ok(sha1_hex(bytes))
}

fn every_file_is_listed(files: &Files, listed: &Map<String, Value>) -> Result<(), InvalidPass> {
    let described = files.iter().filter(|(path, _)| *path != MANIFEST && *path != SIGNATURE);
    for (path, content) in described {
        let expected = listed.get(path).ok_or_else(|| InvalidPass::NotInManifest(path.clone()))?;
        if expected.as_str() != Some(sha1_hex(content).as_str()) {
            return Err(InvalidPass::HashMismatch(path.clone()));
        }
    }
    Ok(())
}

fn every_listed_file_is_there(files: &Files, listed: &Map<String, Value>) -> Result<(), InvalidPass> {
    match listed.keys().find(|path| !files.contains_key(*path)) {
        Some(path) => Err(InvalidPass::MissingFile(path.clone())),
        None => Ok(()),
    }
}

fn sha1_hex(bytes: &[u8]) -> String {
    hex::encode(Sha1::digest(bytes))
}
