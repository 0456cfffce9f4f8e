//! A `.pkpass` in the hands of `unzip` and `openssl`, as somebody without our code would check it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use tempfile::TempDir;
use tokio::process::Command;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The files of an archive, and how each is stored.
///
/// # Panics
///
/// When the archive cannot be read.
pub fn files(pkpass: &[u8]) -> BTreeMap<String, (Vec<u8>, CompressionMethod)> {
    let mut archive = ZipArchive::new(Cursor::new(pkpass)).expect("an archive");
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).expect("a file");
        let mut bytes = Vec::new();
        let name = file.name().expect("a name that is text").into_owned();
        file.read_to_end(&mut bytes).expect("its bytes");
        files.insert(name, (bytes, file.compression()));
    }
    files
}

/// An archive of these files.
///
/// # Panics
///
/// When it cannot be written.
pub fn archive(files: &BTreeMap<String, (Vec<u8>, CompressionMethod)>) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, (bytes, method)) in files {
        let options = SimpleFileOptions::default().compression_method(*method);
        archive.start_file(name, options).expect("a file");
        archive.write_all(bytes).expect("its bytes");
    }
    archive.finish().expect("an archive").into_inner()
}

/// Checks a pass with `unzip -t` and its signature with `openssl cms -verify` against the root in `ca_file`; gives what
/// `openssl` says about the signature.
///
/// # Panics
///
/// When one of the two is not content.
pub async fn assert_verifies(pkpass: &[u8], ca_file: &Path) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("pass.pkpass"), pkpass).expect("the pass is written");
    runs(&folder, "unzip", &["-t", "pass.pkpass"]).await;
    runs(&folder, "unzip", &["-q", "pass.pkpass"]).await;
    let ca_file = ca_file.to_str().expect("a path that is text");
    let verify = [
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "signature",
        "-content",
        "manifest.json",
        "-purpose",
        "any",
        "-CAfile",
        ca_file,
        "-out",
        "verified",
    ];
    runs(&folder, "openssl", &verify).await;
    let verified = fs::read(folder.path().join("verified")).expect("the verified content");
    assert_eq!(verified, fs::read(folder.path().join("manifest.json")).expect("the manifest"));
    runs(&folder, "openssl", &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "signature", "-noout"])
        .await
}

async fn runs(folder: &TempDir, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder.path()).output().await;
    let output = output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Whether `openssl cms -verify` takes a detached signature (DER) over this content, against the root in `ca_file`.
///
/// # Panics
///
/// When `openssl` cannot be run.
pub async fn is_signature_over(signature: &[u8], content: &[u8], ca_file: &Path) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("signature"), signature).expect("the signature is written");
    fs::write(folder.path().join("content"), content).expect("the content is written");
    let ca_file = ca_file.to_str().expect("a path that is text");
    let verify = ["cms", "-verify", "-binary", "-inform", "DER", "-in", "signature", "-content", "content"];
    let against = ["-purpose", "any", "-CAfile", ca_file, "-out", "verified"];
    let mut openssl = Command::new("openssl");
    openssl.args(verify).args(against).current_dir(folder.path());
    let output = openssl.output().await.expect("openssl is needed for this test");
    output.status.success()
}
