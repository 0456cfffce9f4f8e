//! What the reader says about passes that are not as they should be.

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use crate::build;
use crate::reader::{Inspection, MAX_FILES, MAX_UNPACKED_BYTES, ManifestState, inspect, inspect_with_root};
use crate::tests::authority::{AUTHORITY, Authority, IDENTITY, LEAF, LONG, OVER, PASS_TYPE, TEAM, ec_key};
use crate::tests::fixtures::{
    Files, TOKEN, file, file_mut, object, pass_signed_by, png, signed, source, tampered, unzip,
    usual_content, usual_images, usual_pass, zip,
};

fn codes(inspection: &Inspection) -> Vec<&str> {
    inspection.problems.iter().map(|problem| problem.code).collect()
}

/// The pass is invalid, for this reason alone.
#[track_caller]
fn assert_problem(pass: &[u8], code: &str) -> Inspection {
    let inspection = inspect(pass);
    assert_eq!(codes(&inspection), [code], "{inspection}");
    assert!(!inspection.valid);
    inspection
}

/// pass.json of the usual pass with some keys set, or removed by null, and everything around it right.
fn with_pass_json(changes: Value) -> Vec<u8> {
    let files = unzip(&usual_pass());
    let mut pass: Value = serde_json::from_slice(file(&files, "pass.json")).unwrap();
    for (key, value) in object(changes) {
        let pass = pass.as_object_mut().unwrap();
        if value.is_null() {
            pass.remove(&key)
        } else {
            pass.insert(key, value)
        };
    }
    signed(&[("pass.json", pass.to_string().as_bytes()), ("icon.png", &png(38, 38))], &IDENTITY)
}

#[test]
fn a_good_pass_is_summed_up() {
    let inspection = inspect(&usual_pass());
    assert!(inspection.valid, "{inspection}");
    assert!(inspection.files.iter().all(|file| file.size > 0));
    let states = |state| inspection.files.iter().filter(|file| file.manifest == state).count();
    assert_eq!((states(ManifestState::Exempt), states(ManifestState::Matches)), (2, 5));
    let signature = inspection.signature.unwrap();
    assert!(signature.verified && signature.signing_time.unwrap().ends_with('Z'));
    assert_eq!(signature.digest_algorithm.as_deref(), Some("SHA-256"));
    let signer = signature.signer.unwrap();
    assert_eq!((signer.uid.as_deref(), signer.ou.as_deref()), (Some(PASS_TYPE), Some(TEAM)));
    assert_eq!(
        (signer.not_after.as_str(), signer.fingerprint.as_str()),
        ("2049-12-31T00:00:00Z", IDENTITY.fingerprint())
    );
    assert_eq!(signature.issuer.unwrap().common_name.as_deref(), Some("Test WWDR"));
    let pass = inspection.pass.unwrap();
    assert_eq!(pass.style.as_deref(), Some("eventTicket"));
    assert_eq!(pass.description.as_deref(), Some("A ticket"));
    assert_eq!(pass.organization_name.as_deref(), Some("The Museum"));
    assert_eq!(pass.authentication_token_length, Some(TOKEN.len()));
    assert!(pass.has_web_service_url && pass.linted && !pass.voided);
}

#[test]
fn the_token_is_never_repeated() {
    let broken = with_pass_json(json!({ "passTypeIdentifier": "pass.other", "webServiceURL": "http://x" }));
    for pass in [usual_pass(), broken] {
        let inspection = inspect(&pass);
        let everything =
            format!("{inspection} {inspection:?} {}", serde_json::to_string(&inspection).unwrap());
        assert!(everything.contains("A-1") && !everything.contains(TOKEN), "{everything}");
    }
}

#[test]
fn the_report_reads_well_for_people() {
    let text = inspect(&usual_pass()).to_string();
    assert!(text.starts_with("valid\n"), "{text}");
    assert!(
        text.contains("verified         yes\n") && text.contains("token            25 characters\n"),
        "{text}"
    );
    let text = inspect(&tampered(&usual_pass(), |files| file_mut(files, "logo.png").push(0))).to_string();
    assert!(text.starts_with("NOT VALID\n") && text.contains("CHANGED\n"), "{text}");
}

#[test]
fn the_report_for_people_holds_no_terminal_commands() {
    let text = inspect(&with_pass_json(json!({ "description": "a\u{1b}[2Jb\nc", "labelColor": "\u{7}" })))
        .to_string();
    assert!(text.contains("a\u{fffd}[2Jb\u{fffd}c\n"), "{text}");
    assert!(!text.contains(|each: char| each.is_control() && each != '\n'), "{text}");
}

#[test]
fn a_changed_file_is_noticed() {
    let change = |files: &mut Files| *file_mut(files, "icon.png") = png(29, 29);
    let inspection = assert_problem(&tampered(&usual_pass(), change), "file_changed");
    let icon = inspection.files.iter().find(|file| file.path == "icon.png").unwrap();
    assert_eq!(icon.manifest, ManifestState::WrongHash);
}

#[test]
fn an_added_file_is_noticed() {
    let add = |files: &mut Files| files.push((".DS_Store".to_owned(), b"junk".to_vec()));
    assert_problem(&tampered(&usual_pass(), add), "file_not_listed");
}

#[test]
fn a_missing_file_is_noticed() {
    let inspection = assert_problem(
        &tampered(&usual_pass(), |files| files.retain(|(path, _)| path != "logo.png")),
        "file_missing",
    );
    assert_eq!(inspection.missing_files, ["logo.png"]);
    let without_pass_json = tampered(&usual_pass(), |files| files.retain(|(name, _)| name != "pass.json"));
    assert_eq!(codes(&inspect(&without_pass_json)), ["file_missing", "file_missing"]);
    let without_manifest = tampered(&usual_pass(), |files| files.retain(|(name, _)| name != "manifest.json"));
    let inspection = assert_problem(&without_manifest, "file_missing");
    assert!(inspection.files.iter().any(|file| file.manifest == ManifestState::Unknown), "no file is blamed");
    assert_problem(
        &tampered(&usual_pass(), |files| files.retain(|(path, _)| path != "signature")),
        "file_missing",
    );
}

#[test]
fn a_manifest_changed_after_signing_is_noticed() {
    let change = |files: &mut Files| file_mut(files, "manifest.json").push(b' ');
    assert_problem(&tampered(&usual_pass(), change), "signature_wrong");
}

#[test]
fn a_signature_from_another_key_is_noticed() {
    // The certificate of the right signer around the signature of another key, which OpenSSL would not make.
    let right = unzip(&usual_pass());
    let other = unzip(&pass_signed_by(&AUTHORITY.identity(&AUTHORITY.leaf(
        Some(PASS_TYPE),
        Some(TEAM),
        crate::tests::authority::rsa_key(),
        LONG,
    ))));
    let swap = |files: &mut Files| {
        let (ours, theirs) = (file(&right, "signature"), file(&other, "signature"));
        // An RSA signature of 2048 bits is the end of the file.
        let mixed = [&ours[..ours.len() - 256], &theirs[theirs.len() - 256..]].concat();
        *file_mut(files, "signature") = mixed;
    };
    assert_problem(&tampered(&usual_pass(), swap), "signature_wrong");
}

#[test]
fn a_signature_over_another_pass_is_noticed() {
    let content = object(json!({ "description": "Another" }));
    let other = unzip(&build(&source(&content), &usual_images(), &IDENTITY).unwrap());
    let swap = |files: &mut Files| *file_mut(files, "signature") = file(&other, "signature").to_vec();
    assert_problem(&tampered(&usual_pass(), swap), "signature_wrong");
}

#[test]
fn a_signature_that_is_none_is_noticed() {
    for bytes in [&b""[..], b"\x30\x03\x02\x01\x00", b"not DER at all"] {
        let change = |files: &mut Files| *file_mut(files, "signature") = bytes.to_vec();
        assert_problem(&tampered(&usual_pass(), change), "signature_unreadable");
    }
}

fn resigned(flags: openssl::pkcs7::Pkcs7Flags, chain: &[&openssl::x509::X509]) -> Vec<u8> {
    let mut stack = openssl::stack::Stack::new().unwrap();
    for certificate in chain {
        stack.push((*certificate).clone()).unwrap();
    }
    tampered(&usual_pass(), |files| {
        let manifest = file(files, "manifest.json").to_vec();
        let flags = flags | openssl::pkcs7::Pkcs7Flags::BINARY;
        let made =
            openssl::pkcs7::Pkcs7::sign(&LEAF.certificate, &LEAF.key, &stack, &manifest, flags).unwrap();
        *file_mut(files, "signature") = made.to_der().unwrap();
    })
}

#[test]
fn a_signature_without_the_intermediate_is_noticed() {
    assert_problem(&resigned(openssl::pkcs7::Pkcs7Flags::DETACHED, &[]), "intermediate_missing");
    let namesake = Authority::with_intermediate_valid(LONG).intermediate.certificate;
    let pass = resigned(openssl::pkcs7::Pkcs7Flags::DETACHED, &[&namesake, &AUTHORITY.root.certificate]);
    assert_problem(&pass, "intermediate_missing");
}

#[test]
fn a_signature_with_its_content_inside_is_noticed() {
    let pass = resigned(openssl::pkcs7::Pkcs7Flags::empty(), &[&AUTHORITY.intermediate.certificate]);
    let inspection = inspect(&pass);
    assert!(inspection.valid, "such passes are in use: {inspection}");
    assert!(
        inspection.findings.iter().any(|finding| finding.code == "signature_not_detached"),
        "{inspection}"
    );
    let changed = tampered(&pass, |files| file_mut(files, "manifest.json").push(b' '));
    assert_eq!(codes(&inspect(&changed)), ["signature_not_detached", "signature_wrong"]);
}

#[test]
fn a_signature_without_a_signing_time_is_noticed() {
    let flags = openssl::pkcs7::Pkcs7Flags::DETACHED | openssl::pkcs7::Pkcs7Flags::NOATTR;
    let pass = resigned(flags, &[&AUTHORITY.intermediate.certificate]);
    assert_problem(&pass, "signing_time_missing");
    let with_root = inspect_with_root(&pass, Some(&AUTHORITY.root.certificate_pem()));
    assert_eq!(codes(&with_root), ["signing_time_missing"]);
}

#[test]
fn a_signature_without_the_signer_is_noticed() {
    let flags = openssl::pkcs7::Pkcs7Flags::DETACHED | openssl::pkcs7::Pkcs7Flags::NOCERTS;
    let inspection = inspect(&resigned(flags, &[]));
    assert_eq!(codes(&inspection), ["signer_missing"]);
}

#[test]
fn a_signature_of_two_signers_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let second = AUTHORITY.leaf(Some(PASS_TYPE), Some(TEAM), ec_key(), LONG);
    for (name, pair) in [("one", &*LEAF), ("two", &second)] {
        let both = [pair.certificate_pem(), pair.key_pem()].concat();
        std::fs::write(folder.path().join(name), both).unwrap();
    }
    std::fs::write(folder.path().join("chain"), AUTHORITY.intermediate.certificate_pem()).unwrap();
    let pass = tampered(&usual_pass(), |files| {
        std::fs::write(folder.path().join("manifest"), file(files, "manifest.json")).unwrap();
        let arguments =
            "cms -sign -binary -in manifest -signer one -signer two -certfile chain -outform DER -out signed";
        let mut openssl = std::process::Command::new("openssl");
        assert!(openssl.current_dir(&folder).args(arguments.split(' ')).status().unwrap().success());
        *file_mut(files, "signature") = std::fs::read(folder.path().join("signed")).unwrap();
    });
    assert_problem(&pass, "signature_signers");
}

#[test]
fn a_pass_signed_with_an_expired_certificate_is_noticed() {
    let expired = AUTHORITY.leaf(Some(PASS_TYPE), Some(TEAM), ec_key(), OVER);
    let pass = pass_signed_by(&AUTHORITY.identity(&expired));
    assert_problem(&pass, "certificate_not_valid");
    let inspection = inspect_with_root(&pass, Some(&AUTHORITY.root.certificate_pem()));
    assert_eq!(codes(&inspection), ["certificate_not_valid", "root_not_trusted"]);
}

#[test]
fn a_pass_signed_under_an_expired_intermediate_is_noticed() {
    let authority = Authority::with_intermediate_valid(OVER);
    let leaf = authority.leaf(Some(PASS_TYPE), Some(TEAM), ec_key(), LONG);
    assert_problem(&pass_signed_by(&authority.identity(&leaf)), "certificate_not_valid");
}

#[test]
fn a_certificate_of_another_pass_type_or_team_is_noticed() {
    for (uid, ou) in [("pass.com.example.other", TEAM), (PASS_TYPE, "OTHER")] {
        let identity = AUTHORITY.identity(&AUTHORITY.leaf(Some(uid), Some(ou), ec_key(), LONG));
        let files = unzip(&usual_pass());
        let pass = signed(
            &[("pass.json", file(&files, "pass.json")), ("icon.png", file(&files, "icon.png"))],
            &identity,
        );
        assert_problem(&pass, "identity_mismatch");
    }
}

#[test]
fn a_root_file_without_a_certificate_trusts_nobody() {
    let inspection = inspect_with_root(&usual_pass(), Some(b"nothing"));
    assert_eq!(codes(&inspection), ["root_not_trusted"]);
}

#[test]
fn faults_of_pass_json_are_noticed() {
    for (changes, code) in [
        (json!({ "formatVersion": 2 }), "format_version"),
        (json!({ "serialNumber": null }), "pass_incomplete"),
        (json!({ "description": "" }), "pass_incomplete"),
        (json!({ "organizationName": 5 }), "pass_incomplete"),
        (json!({ "coupon": {} }), "style_count"),
        (json!({ "eventTicket": null }), "style_count"),
        (json!({ "authenticationToken": null }), "web_service"),
        (json!({ "webServiceURL": null }), "web_service"),
        (json!({ "authenticationToken": "short" }), "web_service"),
    ] {
        assert_problem(&with_pass_json(changes), code);
    }
    for bytes in [&b"[]"[..], b"{", b"\xff"] {
        assert_problem(
            &signed(&[("pass.json", bytes), ("icon.png", &png(38, 38))], &IDENTITY),
            "pass_unreadable",
        );
    }
}

#[test]
fn a_manifest_that_is_not_a_map_of_strings_is_noticed() {
    let change = |files: &mut Files| *file_mut(files, "manifest.json") = br#"{"pass.json": 5}"#.to_vec();
    assert!(codes(&inspect(&tampered(&usual_pass(), change))).contains(&"manifest_unreadable"));
}

#[test]
fn findings_of_the_linter_and_the_images_decide_too() {
    let finding = |pass: &[u8], code: &str| {
        let inspection = inspect(pass);
        assert_eq!(codes(&inspection), Vec::<&str>::new(), "{inspection}");
        assert!(inspection.findings.iter().any(|finding| finding.code == code), "{code}: {inspection}");
        inspection.valid
    };
    assert!(!finding(&with_pass_json(json!({ "labelColor": "red" })), "color_invalid"));
    assert!(finding(
        &with_pass_json(json!({ "webServiceURL": "http://localhost" })),
        "web_service_not_https"
    ));
    assert!(finding(&with_pass_json(json!({})), "image_scale_missing"));
    let pass = unzip(&usual_pass());
    let pass_file = ("pass.json", file(&pass, "pass.json"));
    assert!(!finding(&signed(&[pass_file], &IDENTITY), "image_missing"));
    assert!(!finding(&signed(&[pass_file, ("icon.png", b"GIF89a")], &IDENTITY), "image_unreadable"));
    assert!(finding(&signed(&[pass_file, ("icon.png", &png(40, 40))], &IDENTITY), "image_size"));
}

#[test]
fn a_pass_of_another_style_is_read_by_the_rules_of_that_style() {
    let field = json!({ "key": "offer", "value": "Ten percent" });
    let pass = with_pass_json(json!({ "eventTicket": null, "coupon": { "primaryFields": [field] } }));
    let inspection = inspect(&pass);
    assert!(inspection.valid, "{inspection}");
    let summary = inspection.pass.unwrap();
    assert_eq!((summary.style.as_deref(), summary.linted), (Some("coupon"), true));
    let pass = with_pass_json(json!({ "eventTicket": null, "coupon": { "primaryFields": 5 } }));
    let inspection = inspect(&pass);
    assert!(!inspection.valid, "{inspection}");
    assert!(inspection.to_string().contains("wrong_type at \"/coupon/primaryFields\""), "{inspection}");
}

#[test]
fn bytes_that_are_not_an_archive_are_refused() {
    let inspection = inspect(b"PK, but not really");
    assert_eq!(codes(&inspection), ["archive_unreadable"]);
}

#[test]
fn paths_that_leave_the_archive_are_refused() {
    for path in ["../evil", "/etc/passwd", "a/../../b", "C:/x", "a\\..\\b", "\\\\host\\b"] {
        let pass = tampered(&usual_pass(), |files| files.push((path.to_owned(), b"x".to_vec())));
        assert_eq!(codes(&inspect(&pass)), ["path_unsafe"], "{path}");
    }
}

#[test]
fn folders_are_nothing_and_localised_files_are_files() {
    let strings: (&str, &[u8]) = ("en.lproj/pass.strings", b"\"a\" = \"b\";");
    let content = usual_content();
    let (pass_json, icon) = (crate::pass_json(&source(&content), &[]), png(38, 38));
    let pass = signed(&[("pass.json", &pass_json), ("icon.png", &icon), strings], &IDENTITY);
    let mut writer = zip::ZipWriter::new_append(Cursor::new(pass)).unwrap();
    writer.add_directory("en.lproj/", SimpleFileOptions::default()).unwrap();
    let inspection = inspect(&writer.finish().unwrap().into_inner());
    assert!(inspection.valid, "{inspection}");
    assert_eq!(inspection.files.len(), 5);
}

#[test]
fn links_are_refused() {
    let mut writer = zip::ZipWriter::new_append(Cursor::new(usual_pass())).unwrap();
    writer.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    assert_eq!(codes(&inspect(&writer.finish().unwrap().into_inner())), ["path_unsafe"]);
}

#[test]
fn encrypted_entries_are_refused() {
    let mut pass = zip(&vec![("a".to_owned(), b"x".to_vec())]);
    // Bit 0 of the general purpose flags, in the local and in the central header.
    pass[6] |= 1;
    let central = pass.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    pass[central + 8] |= 1;
    assert!(codes(&inspect(&pass)).contains(&"file_encrypted"));
}

#[test]
fn a_damaged_entry_is_noticed() {
    let mut pass = zip(&vec![("a.png".to_owned(), b"stored as it is".to_vec())]);
    let content = pass.windows(6).position(|window| window == b"stored").unwrap();
    pass[content] ^= 1;
    assert!(codes(&inspect(&pass)).contains(&"file_unreadable"));
}

#[test]
fn an_archive_with_too_many_files_is_not_read() {
    let files: Files = (0..=MAX_FILES).map(|index| (index.to_string(), Vec::new())).collect();
    let inspection = inspect(&zip(&files));
    assert_eq!(codes(&inspection)[0], "archive_too_many_files");
    assert!(inspection.files.is_empty());
}

#[test]
fn an_archive_of_very_many_files_is_not_even_opened() {
    let files: Files = (0..25 * MAX_FILES).map(|index| (index.to_string(), Vec::new())).collect();
    let inspection = inspect(&zip(&files));
    assert_eq!(codes(&inspection), ["archive_too_many_files"]);
    assert!(inspection.problems[0].detail.contains("far more"), "{inspection}");
}

#[test]
fn an_archive_that_unpacks_to_too_much_is_not_read_further() {
    let half = vec![0; MAX_UNPACKED_BYTES / 2 + 1];
    let bomb = zip(&vec![("a".to_owned(), half.clone()), ("b".to_owned(), half)]);
    assert!(bomb.len() < MAX_UNPACKED_BYTES / 100, "it is small when packed");
    let inspection = inspect(&bomb);
    assert_eq!(codes(&inspection)[0], "archive_too_large");
    assert_eq!(inspection.files.len(), 1);
}

#[test]
fn a_file_that_is_larger_than_it_claims_is_not_believed() {
    let mut pass = zip(&vec![("a".to_owned(), vec![0; 100_000])]);
    let central = pass.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    pass[central + 24..central + 28].copy_from_slice(&1_u32.to_le_bytes());
    pass[22..26].copy_from_slice(&1_u32.to_le_bytes());
    let inspection = inspect(&pass);
    assert!(!inspection.valid);
    assert!(inspection.files.iter().all(|file| file.size <= 100_000), "{inspection}");
}

#[test]
fn two_files_of_one_name_are_noticed() {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["one", "two"] {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(b"x").unwrap();
    }
    let mut bytes = writer.finish().unwrap().into_inner();
    while let Some(position) = bytes.windows(3).position(|window| window == b"two") {
        bytes[position..position + 3].copy_from_slice(b"one");
    }
    assert!(codes(&inspect(&bytes)).contains(&"archive_ambiguous"));
}
