//! `honoken inspect` in the hands of somebody with a pass that does not open: real files, real signatures of `openssl`, exit codes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use honoken_tests::apple::{A_YEAR, Apple, TEAM};
use honoken_tests::server::Home;
use honoken_tests::{Engine, drawing, package};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zip::CompressionMethod;

use crate::PROGRAM;

const PASS_TYPE: &str = "pass.com.example.doctor";

/// A folder with a signer of passes, as somebody without this service has one.
struct Workshop {
    apple: Apple,
    folder: TempDir,
    home: Home,
}

impl Workshop {
    async fn new() -> Self {
        let (apple, folder) = (Apple::new().await, tempfile::tempdir().expect("a temporary folder"));
        let workshop = Self { apple, folder, home: Home::on(Engine::Sqlite, PROGRAM).await };
        let request = "req -newkey rsa:2048 -nodes -keyout pass.key -out pass.csr -subj /CN=pass";
        workshop.openssl(request).await;
        let certificate =
            workshop.apple.certifies(&workshop.file("pass.csr"), PASS_TYPE, "pass", A_YEAR).await;
        workshop.openssl(&format!("x509 -inform DER -in {} -out pass.pem", certificate.display())).await;
        for (file, name) in [
            (workshop.apple.intermediate_file(), "wwdr.pem"),
            (workshop.apple.older_intermediate_file(), "older.pem"),
        ] {
            workshop.openssl(&format!("x509 -inform DER -in {} -out {name}", file.display())).await;
        }
        std::fs::copy(workshop.apple.root(), workshop.file("root.pem")).expect("the root");
        workshop
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn openssl(&self, arguments: &str) {
        let mut openssl = Command::new("openssl");
        let output = openssl
            .args(arguments.split_whitespace())
            .current_dir(&self.folder)
            .output()
            .await
            .expect("openssl runs");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The files of a pass, without manifest and signature.
    fn source() -> BTreeMap<String, Vec<u8>> {
        let pass = json!({
            "formatVersion": 1, "passTypeIdentifier": PASS_TYPE, "serialNumber": "D-1", "teamIdentifier": TEAM,
            "organizationName": "The Club", "description": "A card",
            "generic": { "primaryFields": [{ "key": "name", "label": "NAME", "value": "Ada" }] },
        });
        BTreeMap::from([
            ("pass.json".to_owned(), pass.to_string().into_bytes()),
            ("icon.png".to_owned(), drawing::icon(1)),
            ("icon@2x.png".to_owned(), drawing::png(58, 58, 1)),
            ("icon@3x.png".to_owned(), drawing::png(87, 87, 1)),
        ])
    }

    /// A pass of these files, signed by `openssl` with these arguments.
    async fn signs(&self, source: &BTreeMap<String, Vec<u8>>, arguments: &str) -> Vec<u8> {
        let mut manifest = BTreeMap::new();
        for (path, bytes) in source {
            std::fs::write(self.file("hashed"), bytes).expect("the file is written");
            let output = Command::new("openssl")
                .args(["sha1", "-r", "hashed"])
                .current_dir(&self.folder)
                .output()
                .await;
            let said = String::from_utf8(output.expect("openssl runs").stdout).expect("text");
            manifest.insert(path.clone(), said.split_whitespace().next().expect("a digest").to_owned());
        }
        let manifest = serde_json::to_vec(&manifest).expect("JSON");
        std::fs::write(self.file("manifest.json"), &manifest).expect("the manifest is written");
        let usual = "-signer pass.pem -inkey pass.key -in manifest.json -out signature";
        self.openssl(&format!("{arguments} {usual}")).await;
        let mut files: BTreeMap<String, (Vec<u8>, CompressionMethod)> = source
            .iter()
            .map(|(path, bytes)| (path.clone(), (bytes.clone(), CompressionMethod::Deflated)))
            .collect();
        files.insert("manifest.json".to_owned(), (manifest, CompressionMethod::Deflated));
        let signature = std::fs::read(self.file("signature")).expect("a signature");
        files.insert("signature".to_owned(), (signature, CompressionMethod::Deflated));
        package::archive(&files)
    }

    fn writes(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.file(name);
        std::fs::write(&file, bytes).expect("the file is written");
        file
    }

    async fn inspects(&self, file: &Path, further: &[&str]) -> Output {
        let arguments = [&["inspect", file.to_str().expect("a path that is text")], further].concat();
        let output = self.home.command(&arguments).output().await.expect("the program starts");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
        output
    }

    fn root(&self) -> String {
        self.file("root.pem").to_str().expect("a path that is text").to_owned()
    }

    /// The report of a file, with this authority trusted.
    async fn reports(&self, name: &str, bytes: &[u8]) -> Value {
        let file = self.writes(name, bytes);
        let output = self.inspects(&file, &["--json", "--root", &self.root()]).await;
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|fault| panic!("{name}: {fault}: {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(output.status.code(), Some(i32::from(report["valid"] != true)), "{name}: {report}");
        report
    }
}

const SIGN: &str = "smime -sign -binary -certfile wwdr.pem -outform DER";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn signatures_that_openssl_makes_are_read_whatever_their_encoding() {
    let workshop = Workshop::new().await;
    for arguments in [
        SIGN,
        "smime -sign -binary -certfile wwdr.pem -outform DER -stream",
        "smime -sign -binary -certfile wwdr.pem -outform DER -nosmimecap -md sha1",
        "cms -sign -binary -certfile wwdr.pem -outform DER -stream -keyid",
        "cms -sign -binary -certfile wwdr.pem -outform DER -cades",
    ] {
        let pass = workshop.signs(&Workshop::source(), arguments).await;
        package::assert_verifies(&pass, &workshop.file("root.pem")).await;
        let report = workshop.reports("signed.pkpass", &pass).await;
        assert_eq!(report["valid"], true, "{arguments}: {report}");
        assert_eq!(report["signature"]["signer"]["uid"], PASS_TYPE, "{arguments}");
        assert_eq!(report["signature"]["root"]["verdict"], "trusted", "{arguments}");
    }
}

#[tokio::test]
async fn a_pass_of_another_authority_is_refused_unless_its_root_is_named() {
    let workshop = Workshop::new().await;
    let file = workshop.writes("made-up.pkpass", &workshop.signs(&Workshop::source(), SIGN).await);
    let output = workshop.inspects(&file, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = said(&output);
    assert!(told.contains("root_not_trusted") && told.contains("no phone takes the pass"), "{told}");
    let root = workshop.root();
    assert_eq!(workshop.inspects(&file, &["--root", &root]).await.status.code(), Some(0));
    let (older, newer) = (workshop.file("older.pem"), workshop.file("wwdr.pem"));
    let both = ["--root", older.to_str().unwrap(), "--root", newer.to_str().unwrap()];
    assert_eq!(workshop.inspects(&file, &both).await.status.code(), Some(0), "an intermediate is enough");
    assert_eq!(workshop.inspects(&file, &both[..2]).await.status.code(), Some(1));
    let mut installed = workshop.home.command(&["inspect", file.to_str().expect("a path that is text")]);
    let output = installed.env("HONOKEN_INSPECT_ROOTS", &root).output().await.expect("openssl runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let empty = workshop.writes("empty.pem", b"no certificate");
    let output = workshop.inspects(&file, &["--root", empty.to_str().unwrap()]).await;
    assert!(output.status.code() == Some(1) && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("empty.pem"), "{output:?}");
}

#[tokio::test]
async fn one_thing_is_said_first_when_the_kind_of_mistake_is_clear() {
    let workshop = Workshop::new().await;
    let source = Workshop::source();
    let good = workshop.signs(&source, SIGN).await;
    let with_older = "smime -sign -binary -certfile older.pem -outform DER";
    let mut broken = source.clone();
    let text = String::from_utf8(source["pass.json"].clone()).unwrap();
    broken.insert("pass.json".to_owned(), text.replace("}]}", "},]}").into_bytes());
    let packed = |rename: &dyn Fn(&str) -> String| {
        let files = package::files(&good);
        package::archive(&files.into_iter().map(|(path, file)| (rename(&path), file)).collect())
    };
    for (name, bytes, code, words) in [
        ("page.html", b"<!doctype html><html></html>".to_vec(), "archive_unreadable", "HTML"),
        ("compressed", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "archive_unreadable", "gzip"),
        ("paper", b"%PDF-1.7\n".to_vec(), "archive_unreadable", "PDF"),
        ("nothing", Vec::new(), "archive_unreadable", "empty"),
        ("half", good[..good.len() / 2].to_vec(), "archive_unreadable", "cut off"),
        ("folder", packed(&|path| format!("ticket.pass/{path}")), "in_folder", "ticket.pass/"),
        ("comma", workshop.signs(&broken, SIGN).await, "pass_unreadable", "trailing comma"),
        ("issuer", workshop.signs(&source, with_older).await, "intermediate_missing", "(G3)"),
    ] {
        let report = workshop.reports(name, &bytes).await;
        let problems = report["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{name}: {report}");
        assert_eq!(problems[0]["code"], code, "{name}");
        assert!(problems[0]["detail"].as_str().unwrap().contains(words), "{name}: {report}");
    }
}

#[tokio::test]
async fn a_folder_a_pass_json_and_standard_input_are_inspected() {
    let workshop = Workshop::new().await;
    let source = Workshop::source();
    let folder = workshop.file("card.pass");
    std::fs::create_dir(&folder).unwrap();
    for (path, bytes) in &source {
        std::fs::write(folder.join(path), bytes).unwrap();
    }
    let output = workshop.inspects(&folder, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = workshop.inspects(&folder.join("pass.json"), &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    std::fs::create_dir(folder.join("en.lproj")).unwrap();
    std::fs::write(folder.join("en.lproj/pass.strings"), "\"NAME\": \"Name\";").unwrap();
    let output = workshop.inspects(&folder, &[]).await;
    assert!(output.status.code() == Some(0) && said(&output).contains("strings_syntax"), "{}", said(&output));
    std::fs::remove_file(folder.join("icon.png")).unwrap();
    std::fs::remove_file(folder.join("icon@2x.png")).unwrap();
    std::fs::remove_file(folder.join("icon@3x.png")).unwrap();
    let output = workshop.inspects(&folder, &[]).await;
    assert!(output.status.code() == Some(1) && said(&output).contains("image_missing"), "{}", said(&output));

    let good = workshop.signs(&source, SIGN).await;
    for (bytes, code) in [(good.clone(), 0), (source["pass.json"].clone(), 0), (b"<html>".to_vec(), 1)] {
        let mut inspecting = workshop.home.command(&["inspect", "--root", &workshop.root(), "-"]);
        let mut inspecting =
            inspecting.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        inspecting.stdin.take().unwrap().write_all(&bytes).await.unwrap();
        let output = inspecting.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    }
}

#[tokio::test]
async fn every_pass_of_a_bundle_is_judged() {
    let workshop = Workshop::new().await;
    let good = workshop.signs(&Workshop::source(), SIGN).await;
    let mut bad = package::files(&good);
    bad.get_mut("icon.png").unwrap().0.push(0);
    let bundle = |passes: &[(&str, &[u8])]| {
        let entry =
            |(name, bytes): &(&str, &[u8])| ((*name).to_owned(), (bytes.to_vec(), CompressionMethod::Stored));
        package::archive(&passes.iter().map(entry).collect())
    };
    let report =
        workshop.reports("good.pkpasses", &bundle(&[("a.pkpass", &good), ("b.pkpass", &good)])).await;
    assert_eq!((&report["valid"], report["passes"].as_array().unwrap().len()), (&json!(true), 2), "{report}");
    let mixed = bundle(&[("a.pkpass", &good), ("b.pkpass", &package::archive(&bad))]);
    let report = workshop.reports("mixed.pkpasses", &mixed).await;
    let verdicts: Vec<&Value> =
        report["passes"].as_array().unwrap().iter().map(|pass| &pass["valid"]).collect();
    assert_eq!(verdicts, [&json!(true), &json!(false)], "{report}");
    assert_eq!(report["passes"][1]["path"], "b.pkpass");
}
