//! manifest.json: the SHA-1 of every other file.

use std::collections::BTreeMap;

/// Path of the manifest inside the archive.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Path of the signature inside the archive.
pub(crate) const SIGNATURE: &str = "signature";
/// Path of the pass itself inside the archive.
pub(crate) const PASS: &str = "pass.json";

/// A file of a pass, before it is packed.
#[derive(Debug, Clone)]
pub(crate) struct PassFile<'a> {
    pub(crate) path: String,
    pub(crate) bytes: &'a [u8],
    pub(crate) sha1: [u8; 20],
}

/// The bytes of manifest.json: path to lowercase hex SHA-1, sorted by path. SHA-1, because Wallet reads that alone.
///
/// <https://developer.apple.com/documentation/walletpasses/building-a-pass>
pub(crate) fn manifest(files: &[PassFile<'_>]) -> Vec<u8> {
    let hashes: BTreeMap<&str, String> =
        files.iter().map(|file| (file.path.as_str(), hex::encode(file.sha1))).collect();
    serde_json::to_vec(&hashes).expect("a map of strings is JSON, and a Vec takes all bytes")
}
