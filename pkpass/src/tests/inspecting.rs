//! What is read although it is odd, and what is said first when the kind of mistake is clear.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use serde_json::{Value, json};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::reader::{
    BundleInspection, Inspected, Inspection, MAX_BUNDLE_PASSES, Trust, inspect, inspect_file, inspect_files,
};
use crate::tests::authority::{AUTHORITY, IDENTITY, LONG, PASS_TYPE, TEAM, ec_key};
use crate::tests::fixtures::{Files, file, file_mut, object, png, signed, tampered, unzip, usual_pass, zip};

fn codes(inspection: &Inspection) -> Vec<&str> {
    inspection.problems.iter().map(|problem| problem.code).collect()
}

fn warnings(inspection: &Inspection) -> Vec<&str> {
    let warnings = inspection.findings.iter().filter(|finding| !finding.is_error());
    warnings.map(|finding| &*finding.code).collect()
}

fn pass_json() -> String {
    String::from_utf8(file(&unzip(&usual_pass()), "pass.json").to_vec()).unwrap()
}

/// pass.json and an icon and these files, with a right manifest and signature.
fn with(pass_json: &[u8], files: &[(&str, &[u8])]) -> Vec<u8> {
    let icon = png(38, 38);
    let usual = [("pass.json", pass_json), ("icon.png", &icon[..])];
    let mine: Vec<(&str, &[u8])> =
        usual.into_iter().filter(|(path, _)| files.iter().all(|(it, _)| it != path)).collect();
    signed(&[&mine[..], files].concat(), &IDENTITY)
}

/// pass.json of the usual pass with further members.
fn with_members(members: Value, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut pass = object(serde_json::from_str(&pass_json()).unwrap());
    pass.extend(object(members));
    with(Value::Object(pass).to_string().as_bytes(), files)
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn utf_32(text: &str) -> Vec<u8> {
    text.chars().flat_map(|character| u32::from(character).to_be_bytes()).collect()
}

#[test]
fn pass_json_is_read_in_every_encoding_and_an_odd_one_is_warned_of() {
    let text = pass_json();
    let marked = format!("\u{feff}{text}");
    for (bytes, is_odd) in [
        (text.clone().into_bytes(), false),
        (marked.clone().into_bytes(), true),
        (utf_16(&text), true),
        (utf_16(&marked), true),
        (utf_32(&text), true),
        (utf_32(&marked), true),
    ] {
        let inspection = inspect(&with(&bytes, &[]));
        assert!(inspection.valid, "{inspection}");
        assert_eq!(inspection.pass.as_ref().unwrap().serial_number.as_deref(), Some("A-1"));
        assert_eq!(warnings(&inspection).contains(&"json_encoding"), is_odd, "{inspection}");
    }
}

#[test]
fn a_manifest_with_a_mark_is_read_and_one_that_is_broken_blames_no_file() {
    let resigned = |change: &dyn Fn(&[u8]) -> Vec<u8>| {
        tampered(&usual_pass(), |files| {
            let manifest = change(file(files, "manifest.json"));
            *file_mut(files, "signature") = crate::signature::sign(&manifest, &IDENTITY).unwrap();
            *file_mut(files, "manifest.json") = manifest;
        })
    };
    let inspection = inspect(&resigned(&|manifest| [&b"\xef\xbb\xbf"[..], manifest].concat()));
    assert!(inspection.valid && warnings(&inspection).contains(&"json_encoding"), "{inspection}");
    let inspection = inspect(&resigned(&|manifest| utf_16(std::str::from_utf8(manifest).unwrap())));
    assert!(inspection.valid, "{inspection}");
    let inspection = inspect(&resigned(&|manifest| [&manifest[..manifest.len() - 1], b",}"].concat()));
    assert_eq!(codes(&inspection), ["manifest_unreadable"], "{inspection}");
    assert!(inspection.problems[0].detail.contains("a trailing comma"), "{inspection}");
    let inspection = inspect(&resigned(&|manifest| {
        let listing: BTreeMap<String, String> = serde_json::from_slice(manifest).unwrap();
        let upper: BTreeMap<String, String> =
            listing.into_iter().map(|(path, hash)| (format!("./{path}"), hash.to_uppercase())).collect();
        serde_json::to_vec(&upper).unwrap()
    }));
    assert!(inspection.valid && warnings(&inspection).contains(&"manifest_odd"), "{inspection}");
    let inspection = inspect(&resigned(&|manifest| {
        let listing: BTreeMap<String, String> = serde_json::from_slice(manifest).unwrap();
        let longer: BTreeMap<String, String> =
            listing.into_iter().map(|(path, hash)| (path, format!("{hash}{}", &hash[..24]))).collect();
        serde_json::to_vec(&longer).unwrap()
    }));
    assert_eq!(codes(&inspection), ["manifest_digest"], "one sentence, not one for every file: {inspection}");
}

#[test]
fn a_broken_pass_json_is_named_first_with_line_and_column() {
    let broken = pass_json().replacen('{', "{\n  \"a\": [1, 2,],", 1);
    let inspection = inspect(&with(broken.as_bytes(), &[]));
    assert_eq!(codes(&inspection), ["pass_unreadable"]);
    let detail = &inspection.problems[0].detail;
    assert!(detail.contains("line 2, column 13") && detail.contains("trailing comma"), "{detail}");
    assert!(inspection.to_string().contains("NOT VALID\n\nproblems\n  pass_unreadable"), "{inspection}");
    let edited = tampered(&usual_pass(), |files| *file_mut(files, "pass.json") = broken.into_bytes());
    assert_eq!(codes(&inspect(&edited))[0], "pass_unreadable", "before the hash, which says less");
}

#[test]
fn a_file_that_is_no_archive_is_named() {
    for (bytes, word) in [
        (&b"<!DOCTYPE html><html><title>404</title></html>"[..], "HTML"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (b"%PDF-1.4", "PDF"),
        (b"{\"error\": \"no such pass\"}", "JSON"),
        (b"", "empty"),
        (b"UEsDBAoAAAAA", "Base64"),
    ] {
        let inspection = inspect(bytes);
        assert_eq!(codes(&inspection), ["archive_unreadable"], "{word}");
        assert!(inspection.problems[0].detail.contains(word), "{inspection}");
    }
    let inspection = inspect(&usual_pass()[..200]);
    assert!(inspection.problems[0].detail.contains("cut off"), "{inspection}");
}

#[test]
fn everything_inside_one_folder_is_one_mistake() {
    let inside = |folder: &str| -> Files {
        unzip(&usual_pass()).into_iter().map(|(path, bytes)| (format!("{folder}/{path}"), bytes)).collect()
    };
    let mut on_a_mac = inside("Event.pass");
    on_a_mac.push(("__MACOSX/Event.pass/._icon.png".to_owned(), b"x".to_vec()));
    for files in [inside("ticket"), inside("a/b"), on_a_mac] {
        let inspection = inspect(&zip(&files));
        assert_eq!(codes(&inspection), ["in_folder"], "{inspection}");
        assert!(inspection.findings.is_empty(), "one thing is said: {inspection}");
    }
}

#[test]
fn what_the_finder_adds_is_one_problem_with_its_remedy() {
    let add = |files: &mut Files| {
        for path in [".DS_Store", "__MACOSX/._icon.png", "__MACOSX/._pass.json"] {
            files.push((path.to_owned(), b"junk".to_vec()));
        }
    };
    let inspection = inspect(&tampered(&usual_pass(), add));
    assert_eq!(codes(&inspection), ["file_not_listed"]);
    assert!(inspection.problems[0].detail.contains("zip -d FILE"), "{inspection}");
    let listed = inspect(&with(pass_json().as_bytes(), &[(".DS_Store", b"junk")]));
    assert!(listed.valid && warnings(&listed).contains(&"file_not_needed"), "{listed}");
}

#[test]
fn a_name_that_differs_in_case_is_shown() {
    let pass = tampered(&usual_pass(), |files| {
        files.iter_mut().find(|(path, _)| path == "signature").unwrap().0 = "Signature".to_owned();
    });
    let inspection = inspect(&pass);
    assert!(
        inspection.problems.iter().any(|problem| problem.detail.contains("\"Signature\"")),
        "{inspection}"
    );
}

#[test]
fn archives_of_other_tools_are_read() {
    let files = unzip(&usual_pass());
    let written = |name: &dyn Fn(&str) -> String, options: SimpleFileOptions| {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, bytes) in &files {
            writer.start_file(name(path), options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let plain = |path: &str| path.to_owned();
    let [stored, deflated] = [CompressionMethod::Stored, CompressionMethod::Deflated]
        .map(|method| SimpleFileOptions::default().compression_method(method));
    for archive in [
        written(&plain, stored),
        written(&plain, deflated),
        written(&plain, deflated.large_file(true)),
        written(&|path| format!("./{path}"), stored),
        [b"#!/bin/sh\n".to_vec(), written(&plain, stored)].concat(),
    ] {
        let inspection = inspect(&archive);
        assert!(inspection.valid, "{inspection}");
        assert_eq!(inspection.files.len(), files.len());
    }
    let mut streamed = zip::ZipWriter::new_stream(Vec::new());
    for (path, bytes) in &files {
        streamed.start_file(path.as_str(), deflated).unwrap();
        streamed.write_all(bytes).unwrap();
    }
    let streamed = streamed.finish().unwrap().into_inner();
    assert!(streamed.windows(4).any(|window| window == b"PK\x07\x08"), "sizes follow the data");
    assert!(inspect(&streamed).valid, "{}", inspect(&streamed));
}

#[test]
fn folders_of_windows_are_read_with_a_warning() {
    let strings = &b"\"A ticket\" = \"Die Eintrittskarte\";"[..];
    let pass = with(pass_json().as_bytes(), &[("de.lproj/pass.strings", strings)]);
    let renamed = tampered(&pass, |files| {
        files.iter_mut().find(|(path, _)| path.starts_with("de.")).unwrap().0 =
            "de.lproj\\pass.strings".to_owned();
    });
    let inspection = inspect(&renamed);
    assert!(inspection.valid && warnings(&inspection).contains(&"path_odd"), "{inspection}");
}

#[track_caller]
fn inspected_bundle(bytes: &[u8]) -> BundleInspection {
    match inspect_file(bytes, &Trust::anyone()) {
        Inspected::Bundle(bundle) => bundle,
        Inspected::Pass(inspection) => panic!("this was read as a pass: {inspection}"),
    }
}

#[test]
fn a_bundle_is_read_pass_by_pass() {
    let good = usual_pass();
    let bad = tampered(&good, |files| file_mut(files, "logo.png").push(0));
    let bundle = |count: usize| -> Vec<u8> {
        zip(&(0..count).map(|index| (format!("pass{index}.pkpass"), good.clone())).collect())
    };
    let report = inspected_bundle(&bundle(3));
    assert!(report.valid && report.passes.len() == 3, "{report}");
    let mixed = zip(&vec![("a.pkpass".to_owned(), good.clone()), ("b.pkpass".to_owned(), bad)]);
    let report = inspected_bundle(&mixed);
    assert_eq!(
        (report.valid, report.passes[0].inspection.valid, report.passes[1].inspection.valid),
        (false, true, false)
    );
    let report = inspected_bundle(&bundle(MAX_BUNDLE_PASSES + 1));
    assert!(!report.valid && report.problems[0].code == "bundle_too_many_passes", "{report}");
    assert_eq!(inspect_file(&good, &Trust::anyone()), Inspected::Pass(Box::new(inspect(&good))));
    assert_eq!(inspect_file(b"", &Trust::anyone()), Inspected::Pass(Box::new(inspect(b""))));
    assert_eq!(codes(&inspect(&bundle(2))), ["bundle"], "where one pass was expected");
}

#[test]
fn a_folder_that_is_not_signed_yet_lacks_no_signature() {
    let mut files: BTreeMap<String, Vec<u8>> = unzip(&usual_pass()).into_iter().collect();
    assert!(inspect_files(&files, &Trust::anyone()).valid);
    files.insert("logo.png".to_owned(), png(100, 50));
    assert_eq!(
        codes(&inspect_files(&files, &Trust::anyone())),
        ["file_changed"],
        "what is signed is compared"
    );
    files.remove("signature");
    files.remove("manifest.json");
    let inspection = inspect_files(&files, &Trust::apple());
    assert!(inspection.valid && inspection.signature.is_none(), "{inspection}");
    files.remove("icon.png");
    files.remove("icon@2x.png");
    files.remove("icon@3x.png");
    assert!(!inspect_files(&files, &Trust::apple()).valid, "a pass without an icon does not open");
}

#[test]
fn a_pass_json_is_inspected_alone() {
    let text = pass_json();
    assert!(inspect_file(text.as_bytes(), &Trust::apple()).is_valid());
    let Inspected::Pass(inspection) =
        inspect_file(text.replace("\"A-1\"", "\"\"").as_bytes(), &Trust::apple())
    else {
        panic!("a pass.json is no bundle")
    };
    assert_eq!(codes(&inspection), ["pass_incomplete"]);
    assert_eq!(inspection.problems[0].pointer, "/serialNumber");
}

#[test]
fn nfc_needs_a_certificate_with_nfc() {
    let key = openssl::base64::encode_block(&ec_key().public_key_to_der().unwrap());
    let nfc = json!({ "nfc": { "message": "0001", "encryptionPublicKey": key } });
    let plain = with_members(nfc.clone(), &[]);
    let inspection = inspect(&plain);
    assert_eq!(codes(&inspection), ["nfc_certificate"]);
    assert_eq!(inspection.problems[0].pointer, "/nfc");
    let name = format!("Pass Type ID with NFC: {PASS_TYPE}");
    let leaf = AUTHORITY.leaf_named(&name, Some(PASS_TYPE), Some(TEAM), ec_key(), LONG);
    let files = unzip(&plain);
    let allowed = signed(
        &[("pass.json", file(&files, "pass.json")), ("icon.png", file(&files, "icon.png"))],
        &AUTHORITY.identity(&leaf),
    );
    assert!(inspect(&allowed).valid, "{}", inspect(&allowed));
}

#[test]
fn a_sign_up_needs_a_certificate_with_nfc_and_its_parts() {
    let sign_up = br#"{"requiredPersonalizationFields": ["PKPassPersonalizationFieldShoeSize"]}"#;
    let inspection = inspect(&with(pass_json().as_bytes(), &[("personalization.json", sign_up)]));
    assert_eq!(codes(&inspection), ["nfc_certificate"], "{inspection}");
    let told = inspection.to_string();
    for word in ["an nfc dictionary", "personalizationLogo.png", "a description", "ShoeSize"] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn a_fault_of_an_image_is_that_images_alone() {
    let icon = png(38, 38);
    let longer = [&icon[..], b"more"].concat();
    for (path, bytes, code) in [
        ("logo.png", &b"\xff\xd8\xff\xe0 JFIF"[..], "image_not_png"),
        ("logo.png", &b"GIF89a"[..], "image_unreadable"),
        ("logo.png", &icon[..20], "image_unreadable"),
        ("logo.png", &longer, "image_trailing_bytes"),
        ("logo.png", &png(400, 100), "image_size"),
        ("logo.jpg", b"\xff\xd8\xff\xe0", "image_unknown"),
        ("icon@2X.png", &png(76, 76), "image_unknown"),
    ] {
        let inspection = inspect(&with(pass_json().as_bytes(), &[(path, bytes)]));
        assert!(inspection.valid && warnings(&inspection).contains(&code), "{path} {code}: {inspection}");
    }
    let inspection = inspect(&with(pass_json().as_bytes(), &[("icon.png", b"GIF89a")]));
    assert!(
        !inspection.valid && inspection.to_string().contains("no icon image can be read"),
        "{inspection}"
    );
    let inspection = inspect(&with(pass_json().as_bytes(), &[("icon.png", b"\xff\xd8\xff\xe0 JFIF")]));
    assert!(inspection.valid, "a phone may show a JPEG under the name of a PNG: {inspection}");
}

#[test]
fn an_image_of_more_bytes_than_this_service_takes_is_a_warning() {
    let mut large = png(100, 50);
    large.resize(crate::image::MAX_IMAGE_BYTES + 1, 0);
    let inspection = inspect(&with(pass_json().as_bytes(), &[("logo.png", &large)]));
    assert!(inspection.valid && warnings(&inspection).contains(&"image_large"), "{inspection}");
}

#[test]
fn texts_are_read_in_every_encoding_and_compared() {
    let both = "\"A ticket\" = \"Die Eintrittskarte\";\n\"The Museum\" = \"Das Museum\";";
    let german = [&[0xff, 0xfe][..], &utf_16(both)].concat();
    let same = with(
        pass_json().as_bytes(),
        &[("de.lproj/pass.strings", &german), ("en.lproj/pass.strings", both.as_bytes())],
    );
    let inspection = inspect(&same);
    assert!(inspection.valid, "{inspection}");
    assert!(!warnings(&inspection).iter().any(|code| code.starts_with("strings")), "{inspection}");
    let less = "\"A ticket\" = \"A ticket\"; \"NOBODY\" = \"x\";";
    let files = [
        ("de.lproj/pass.strings", &german[..]),
        ("en.lproj/pass.strings", less.as_bytes()),
        ("fr.lproj/pass.strings", b"\"A ticket\": \"Un billet\";"),
        ("it.lproj/pass.strings", b"\"A ticket\" = \"\xe9\";"),
        ("pass.strings", b""),
    ];
    let inspection = inspect(&with(pass_json().as_bytes(), &files));
    assert!(inspection.valid, "{inspection}");
    let told = inspection.to_string();
    for code in [
        "strings_key_missing",
        "strings_key_unused",
        "strings_syntax",
        "strings_unreadable",
        "strings_not_read",
    ] {
        assert!(warnings(&inspection).contains(&code), "{code}: {told}");
    }
    assert!(told.contains("fr.lproj/pass.strings, line 1, column 11: a colon"), "{told}");
    assert!(told.contains("en.lproj/pass.strings lacks \"The Museum\""), "{told}");
}

#[test]
fn images_of_languages_are_compared() {
    let logo = png(100, 50);
    let files =
        [("de.lproj/logo.png", &logo[..]), ("en.lproj/strip.png", &logo[..]), ("strip.png", &logo[..])];
    let inspection = inspect(&with(pass_json().as_bytes(), &files));
    for code in ["image_localized_missing", "image_localized_hidden"] {
        assert!(warnings(&inspection).contains(&code), "{code}: {inspection}");
    }
}

#[test]
fn problems_and_files_of_a_report_are_bounded() {
    let listing: BTreeMap<String, String> =
        (0..50_000).map(|index| (format!("{index}.png"), "0".repeat(40))).collect();
    let manifest = serde_json::to_vec(&listing).unwrap();
    let pass = tampered(&usual_pass(), |files| {
        *file_mut(files, "signature") = crate::signature::sign(&manifest, &IDENTITY).unwrap();
        *file_mut(files, "manifest.json") = manifest.clone();
    });
    let inspection = inspect(&pass);
    assert!(inspection.problems.len() <= crate::MAX_FINDINGS && inspection.missing_files.len() <= 200);
}
