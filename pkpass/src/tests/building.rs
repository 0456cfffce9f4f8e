//! Built passes, judged by other programs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::image::ImageSlot;
use crate::manifest::PassFile;
use crate::reader::{RootVerdict, inspect_with_root};
use crate::tests::authority::{AUTHORITY, Authority, IDENTITY, LONG, PASS_TYPE, TEAM, ec_key};
use crate::tests::fixtures::{
    file, images, object, pass_signed_by, source, unzip, usual_content, usual_images, usual_pass,
};
use crate::{BuildError, IdentityError, build, manifest, pass_json};

fn run(program: &str, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program).current_dir(folder).args(arguments).output().unwrap()
}

/// Unpacks a pass with `unzip` and verifies its signature with `openssl`.
fn verify_outside(pass: &[u8], root_pem: &[u8]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("pass.pkpass"), pass).unwrap();
    std::fs::write(folder.join("root.pem"), root_pem).unwrap();
    let test = run("unzip", folder, &["-t", "pass.pkpass"]);
    assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stdout));
    assert!(run("unzip", folder, &["-q", "pass.pkpass"]).status.success());
    let arguments =
        "cms -verify -purpose any -CAfile root.pem -content manifest.json -inform DER -in signature -binary";
    run("openssl", folder, &arguments.split(' ').collect::<Vec<_>>())
}

#[test]
fn a_pass_is_verified_by_openssl_unzip_and_our_reader() {
    let pass = usual_pass();
    let root = AUTHORITY.root.certificate_pem();
    let verified = verify_outside(&pass, &root);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let inspection = inspect_with_root(&pass, Some(&root));
    assert!(inspection.valid, "{inspection}");
    assert_eq!(inspection.signature.unwrap().root, RootVerdict::Trusted);
    // The loose fields have their places on the front, and nothing else is to say.
    let codes: Vec<&str> = inspection.findings.iter().map(|finding| &*finding.code).collect();
    assert_eq!(codes, ["barcode_missing", "root_not_apples"]);
}

#[test]
fn a_pass_is_not_verified_against_another_root() {
    let pass = usual_pass();
    let other = Authority::with_intermediate_valid(LONG).root.certificate_pem();
    assert!(!verify_outside(&pass, &other).status.success());
    let inspection = inspect_with_root(&pass, Some(&other));
    assert!(!inspection.valid);
    assert!(matches!(inspection.signature.unwrap().root, RootVerdict::NotTrusted(_)));
}

#[test]
fn an_elliptic_key_signs_as_well() {
    let identity = AUTHORITY.identity(&AUTHORITY.leaf(Some(PASS_TYPE), Some(TEAM), ec_key(), LONG));
    let pass = pass_signed_by(&identity);
    let root = AUTHORITY.root.certificate_pem();
    assert!(verify_outside(&pass, &root).status.success());
    assert!(inspect_with_root(&pass, Some(&root)).valid);
}

#[test]
fn the_signature_has_sha_256_a_signing_time_and_both_certificates() {
    let files = unzip(&usual_pass());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("signature"), file(&files, "signature")).unwrap();
    let printed =
        run("openssl", folder.path(), &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "signature"]);
    let printed = String::from_utf8(printed.stdout).unwrap();
    for expected in ["signingTime", "sha256", "messageDigest", "eContent: <ABSENT>", "Test WWDR", PASS_TYPE] {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
    assert!(!printed.contains("S/MIME Capabilities"), "{printed}");
    assert_eq!(printed.matches("d.certificate:").count(), 2, "{printed}");
}

#[test]
fn the_manifest_lists_every_other_file_with_its_sha_1() {
    let files = unzip(&usual_pass());
    let manifest: BTreeMap<String, String> = serde_json::from_slice(file(&files, "manifest.json")).unwrap();
    let listed: Vec<&str> = manifest.keys().map(String::as_str).collect();
    assert_eq!(listed, ["icon.png", "icon@2x.png", "icon@3x.png", "logo.png", "pass.json"]);
    for (path, hash) in &manifest {
        let expected = openssl::hash::hash(openssl::hash::MessageDigest::sha1(), file(&files, path)).unwrap();
        assert_eq!(*hash, hex::encode(expected), "{path}");
    }
}

#[test]
fn the_manifest_is_sorted_by_path() {
    let of = |path: &str| PassFile { path: path.to_owned(), bytes: b"", sha1: [0xab; 20] };
    let bytes = manifest::manifest(&[of("pass.json"), of("a.png")]);
    let hash = "ab".repeat(20);
    assert_eq!(String::from_utf8(bytes).unwrap(), format!(r#"{{"a.png":"{hash}","pass.json":"{hash}"}}"#));
}

#[test]
fn the_files_have_a_fixed_order_and_pass_json_is_the_mapped_content() {
    let content = usual_content();
    let pass =
        build(&source(&content), &images(&[("icon.png", 29, 29), ("background.png", 345, 505)]), &IDENTITY);
    let files = unzip(&pass.unwrap());
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["manifest.json", "signature", "pass.json", "background.png", "icon.png"]);
    assert_eq!(file(&files, "pass.json"), pass_json(&source(&content), &[ImageSlot::Background]));
}

#[test]
fn the_same_inputs_and_signature_give_the_same_bytes() {
    let (one, other) = (unzip(&usual_pass()), unzip(&usual_pass()));
    for path in ["pass.json", "manifest.json", "icon.png"] {
        assert_eq!(file(&one, path), file(&other, path), "{path}");
    }
    let pack = || {
        let pass = PassFile { path: "pass.json".to_owned(), bytes: file(&one, "pass.json"), sha1: [0; 20] };
        crate::build::pack(&[pass], b"{}", Some(b"signature")).unwrap()
    };
    let packed = pack();
    assert_eq!(packed, pack());
    // DOS time and date of the first local header: midnight of 1980-01-01.
    assert_eq!(packed[10..14], [0, 0, 0x21, 0]);
}

#[test]
fn a_long_pass_json_is_deflated_and_everything_else_is_stored() {
    let methods = |pass: Vec<u8>| {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(pass)).unwrap();
        ["icon.png", "manifest.json", "signature", "pass.json"]
            .map(|path| archive.by_name(path).unwrap().compression())
    };
    let (stored, deflated) = (zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated);
    assert_eq!(methods(usual_pass()), [stored; 4]);
    let content = object(json!({ "eventName": "Opening night", "userInfo": "la ".repeat(2000) }));
    let long = build(&source(&content), &usual_images(), &IDENTITY).unwrap();
    assert_eq!(methods(long.clone()), [stored, stored, stored, deflated]);
    assert!(verify_outside(&long, &AUTHORITY.root.certificate_pem()).status.success());
}

#[test]
fn a_pass_of_another_type_or_team_is_not_signed() {
    let content = usual_content();
    let mut other_type = source(&content);
    other_type.pass_type_identifier = "pass.com.example.other";
    let mut other_team = source(&content);
    other_team.team_identifier = "OTHER";
    let error = build(&other_type, &usual_images(), &IDENTITY).unwrap_err();
    assert!(matches!(error, BuildError::Identity(IdentityError::WrongPassType { .. })), "{error}");
    let error = build(&other_team, &usual_images(), &IDENTITY).unwrap_err();
    assert!(matches!(error, BuildError::Identity(IdentityError::WrongTeam { .. })), "{error}");
}

#[test]
fn a_pass_without_an_icon_is_not_built() {
    let content = usual_content();
    let error = build(&source(&content), &images(&[("logo.png", 50, 50)]), &IDENTITY).unwrap_err();
    assert!(matches!(error, BuildError::NoIcon), "{error}");
}

#[test]
fn posters_voided_passes_and_foreign_scripts_are_built_and_valid() {
    let content = object(json!({ "eventName": "夜\u{1F3AD}", "description": "Ночь", "x": Value::Null }));
    let mut source = source(&content);
    (source.kind.poster, source.voided) = (true, true);
    let mut images = usual_images();
    images.extend(self::images(&[("background@2x.png", 690, 1010)]));
    let pass = build(&source, &images, &IDENTITY).unwrap();
    let root = AUTHORITY.root.certificate_pem();
    assert!(verify_outside(&pass, &root).status.success());
    let inspection = inspect_with_root(&pass, Some(&root));
    assert!(inspection.valid, "{inspection}");
    let summary = inspection.pass.unwrap();
    assert!(summary.voided && summary.poster && summary.linted);
}
