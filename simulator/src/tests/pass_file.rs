//! A `.pkpass` for the tests. Nobody signs it: the phone does not look at what the signature says.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::server::Reply;

pub(super) const TOKEN: &str = "0123456789abcdef";
pub(super) const PASS_TYPE: &str = "pass.example.tests";
pub(super) const MONDAY: &str = "Mon, 05 Jan 2026 08:00:00 GMT";

#[derive(Clone)]
pub(super) struct PassFile {
    pub(super) pass_json: Value,
    files: BTreeMap<String, Vec<u8>>,
    /// Added to, or put in place of, what the manifest describes.
    unlisted: BTreeMap<String, Vec<u8>>,
    missing: Vec<String>,
}

impl PassFile {
    pub(super) fn new(web_service_url: &str, serial_number: &str) -> Self {
        let pass_json = json!({
            "formatVersion": 1,
            "passTypeIdentifier": PASS_TYPE,
            "serialNumber": serial_number,
            "teamIdentifier": "A1B2C3D4E5",
            "organizationName": "Example",
            "description": "A ticket",
            "webServiceURL": web_service_url,
            "authenticationToken": TOKEN,
        });
        let files = BTreeMap::from([("icon.png".to_owned(), b"an icon".to_vec())]);
        Self { pass_json, files, unlisted: BTreeMap::new(), missing: Vec::new() }
    }

    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.pass_json[key] = value.into();
        self
    }

    pub(super) fn without(mut self, key: &str) -> Self {
        self.pass_json.as_object_mut().unwrap().remove(key);
        self
    }

    pub(super) fn with_file(mut self, path: &str, content: &[u8]) -> Self {
        self.files.insert(path.to_owned(), content.to_vec());
        self
    }

    pub(super) fn without_file(mut self, path: &str) -> Self {
        self.files.remove(path);
        self
    }

    /// Puts a file into the archive behind the back of the manifest.
    pub(super) fn with_unlisted_file(mut self, path: &str, content: &[u8]) -> Self {
        self.unlisted.insert(path.to_owned(), content.to_vec());
        self
    }

    /// Leaves a file out of the archive, whatever the manifest says.
    pub(super) fn losing(mut self, path: &str) -> Self {
        self.missing.push(path.to_owned());
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut files = self.files.clone();
        let pass_json = || self.pass_json.to_string().into_bytes();
        files.entry("pass.json".to_owned()).or_insert_with(pass_json);
        let hashes =
            files.iter().map(|(path, content)| (path.clone(), hex::encode(Sha1::digest(content)).into()));
        let manifest = Value::Object(hashes.collect::<Map<_, _>>());
        files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
        files.insert("signature".to_owned(), b"nobody's".to_vec());
        files.extend(self.unlisted.clone());
        files.retain(|path, _| !self.missing.contains(path));
        archive(&files)
    }

    /// The answer of a server that keeps every rule.
    pub(super) fn reply(&self) -> Reply {
        Reply::from(200)
            .header("content-type", "application/vnd.apple.pkpass")
            .header("last-modified", MONDAY)
            .body(self.bytes())
    }
}

pub(super) fn archive(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        archive.start_file(path, SimpleFileOptions::default()).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
