use std::collections::BTreeMap;

use super::pass_file::{PassFile, archive};
use crate::{InvalidPass, Package};

fn a_pass() -> PassFile {
    PassFile::new("http://localhost", "1")
}

#[track_caller]
fn refused(pass: &PassFile) -> InvalidPass {
    Package::open(pass.bytes()).unwrap_err()
}

fn missing(path: &str) -> InvalidPass {
    InvalidPass::MissingFile(path.to_owned())
}

#[test]
fn a_complete_pass_opens() {
    let package = Package::open(a_pass().with_file("en.lproj/pass.strings", b"").bytes()).unwrap();
    assert_eq!((package.pass_type_identifier(), package.serial_number()), ("pass.example.tests", "1"));
    assert_eq!(package.manifest_hash().len(), 40);
}

#[test]
fn the_manifest_hash_follows_the_content_and_not_the_signature() {
    let hash = |pass: &PassFile| Package::open(pass.bytes()).unwrap().manifest_hash().to_owned();
    assert_eq!(hash(&a_pass()), hash(&a_pass().with_unlisted_file("signature", b"somebody's")));
    assert_ne!(hash(&a_pass()), hash(&a_pass().with_file("icon.png", b"another icon")));
}

#[test]
fn required_files_are_missed() {
    for path in ["manifest.json", "signature", "pass.json"] {
        assert_eq!(refused(&a_pass().losing(path)), missing(path));
    }
    assert_eq!(refused(&a_pass().with_unlisted_file("signature", b"")), missing("signature"));
    assert_eq!(refused(&a_pass().without_file("icon.png")), missing("icon.png"));
}

#[test]
fn an_icon_of_any_scale_will_do() {
    let pass = a_pass().without_file("icon.png").with_file("icon@3x.png", b"an icon");
    assert!(Package::open(pass.bytes()).is_ok());
}

#[test]
fn the_archive_must_keep_to_the_manifest() {
    assert_eq!(
        refused(&a_pass().with_unlisted_file(".DS_Store", b"")),
        InvalidPass::NotInManifest(".DS_Store".to_owned())
    );
    assert_eq!(
        refused(&a_pass().with_unlisted_file("icon.png", b"x")),
        InvalidPass::HashMismatch("icon.png".to_owned())
    );
    assert_eq!(refused(&a_pass().with_file("logo.png", b"x").losing("logo.png")), missing("logo.png"));
}

#[test]
fn files_that_should_be_json_must_be() {
    let pass = a_pass().with_unlisted_file("manifest.json", b"[]");
    assert!(matches!(refused(&pass), InvalidPass::NotJson { file: "manifest.json", .. }));
    for broken in [&b"{"[..], b"\xff", "[".repeat(100_000).as_bytes()] {
        let pass = a_pass().with_file("pass.json", broken);
        assert!(matches!(refused(&pass), InvalidPass::NotJson { file: "pass.json", .. }));
    }
}

#[test]
fn a_pass_json_that_is_not_an_object_has_no_identity() {
    for odd in ["0", "[]", "null"] {
        let refused = refused(&a_pass().with_file("pass.json", odd.as_bytes()));
        assert!(matches!(refused, InvalidPass::Field { key: "formatVersion", .. }), "{odd}");
    }
}

#[test]
fn the_identity_of_a_pass_is_required() {
    let keys = [
        "formatVersion",
        "passTypeIdentifier",
        "serialNumber",
        "teamIdentifier",
        "organizationName",
        "description",
    ];
    for required in keys {
        for pass in [a_pass().without(required), a_pass().with(required, ""), a_pass().with(required, 2)] {
            assert!(
                matches!(refused(&pass), InvalidPass::Field { key, .. } if key == required),
                "{required}"
            );
        }
    }
}

#[test]
fn a_web_service_url_and_a_token_come_together_and_in_order() {
    let refused_for = |pass: PassFile, expected: &str| {
        assert!(matches!(refused(&pass), InvalidPass::Field { key, .. } if key == expected), "{expected}");
    };
    refused_for(a_pass().without("webServiceURL"), "webServiceURL");
    refused_for(a_pass().with("webServiceURL", "/relative"), "webServiceURL");
    refused_for(a_pass().with("webServiceURL", "ftp://localhost"), "webServiceURL");
    refused_for(a_pass().without("authenticationToken"), "authenticationToken");
    refused_for(a_pass().with("authenticationToken", "fifteen-letters"), "authenticationToken");
    refused_for(a_pass().with("authenticationToken", "a token with a\nline break"), "authenticationToken");
    let neither = a_pass().without("webServiceURL").without("authenticationToken");
    assert!(Package::open(neither.bytes()).is_ok());
}

#[test]
fn paths_that_lead_out_of_the_archive_are_refused() {
    for path in ["../pass.json", "/etc/passwd", "a/../../b", "a\\b"] {
        let bytes = archive(&BTreeMap::from([(path.to_owned(), Vec::new())]));
        assert_eq!(Package::open(bytes).unwrap_err(), InvalidPass::UnsafePath(path.to_owned()));
    }
}

#[test]
fn an_archive_is_bounded_in_files_and_in_size() {
    let many = (0..501).map(|index| (format!("{index}"), Vec::new())).collect();
    assert_eq!(Package::open(archive(&many)).unwrap_err(), InvalidPass::TooManyFiles);
    let large = BTreeMap::from([("zeros".to_owned(), vec![0; 32 * 1024 * 1024 + 1])]);
    assert_eq!(Package::open(archive(&large)).unwrap_err(), InvalidPass::TooLarge);
}

#[test]
fn damaged_archives_give_an_error_and_never_a_panic() {
    let whole = a_pass().bytes();
    for length in 0..whole.len() {
        assert!(Package::open(whole[..length].to_vec()).is_err(), "cut at {length}");
    }
    for index in 0..whole.len() {
        for damage in [0x00, 0x01, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[index] ^= damage;
            // Some bytes do not matter (a time stamp, say), so an intact pass is a fine outcome, too.
            drop(Package::open(damaged));
        }
    }
}
