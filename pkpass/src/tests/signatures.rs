//! Signatures that OpenSSL verifies are read, whoever wrote them, and faulty ones are told apart.

use std::process::Command;

use crate::reader::{Inspection, RootVerdict, Trust, inspect, inspect_trusting};
use crate::tests::authority::{AUTHORITY, Authority, LEAF, LONG, PASS_TYPE, TEAM, ec_key, rsa_key};
use crate::tests::cms::{self, Lengths, Shape, USUAL};
use crate::tests::fixtures::{file, file_mut, tampered, usual_pass};

fn codes(inspection: &Inspection) -> Vec<&str> {
    inspection.problems.iter().map(|problem| problem.code).collect()
}

fn has_warning(inspection: &Inspection, code: &str) -> bool {
    inspection.findings.iter().any(|finding| finding.code == code && !finding.is_error())
}

fn trusting() -> Trust {
    Trust::apple().and(&AUTHORITY.root.certificate_pem()).unwrap()
}

/// The usual pass with a signature that `sign` makes of its manifest.
fn signed_by(sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    tampered(&usual_pass(), |files| {
        let signature = sign(file(files, "manifest.json"));
        *file_mut(files, "signature") = signature;
    })
}

/// What the program `openssl` makes of a manifest with these arguments. `signer` is a file with certificate and key, `chain` the intermediate,
/// `both` that and the root, and there are `root` and `manifest`.
fn openssl(arguments: &str, leaf: &crate::tests::authority::Pair) -> impl FnOnce(&[u8]) -> Vec<u8> {
    let both = [leaf.certificate_pem(), leaf.key_pem()].concat();
    move |manifest| {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("signer", &both);
        write("chain", &AUTHORITY.intermediate.certificate_pem());
        write("root", &AUTHORITY.root.certificate_pem());
        let both = [AUTHORITY.intermediate.certificate_pem(), AUTHORITY.root.certificate_pem()].concat();
        write("both", &both);
        write("manifest", manifest);
        let mut openssl = Command::new("openssl");
        openssl
            .current_dir(&folder)
            .args(arguments.split_whitespace())
            .args(["-in", "manifest", "-out", "signed"]);
        let output = openssl.output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(folder.path().join("signed")).unwrap()
    }
}

#[test]
fn every_signature_that_openssl_makes_is_read() {
    let sign = "-sign -binary -signer signer -certfile chain -outform DER";
    for (arguments, digest, oddity) in [
        (format!("smime {sign}"), "SHA-256", None),
        (format!("smime {sign} -md sha1"), "SHA-1", None),
        (format!("smime {sign} -md sha384"), "SHA-384", Some("signature_digest")),
        (format!("smime {sign} -nosmimecap"), "SHA-256", None),
        (format!("smime {sign} -stream"), "SHA-256", None),
        (format!("smime {sign} -indef"), "SHA-256", None),
        (format!("smime {sign} -nodetach"), "SHA-256", Some("signature_not_detached")),
        ("smime -sign -binary -signer signer -certfile both -outform DER".to_owned(), "SHA-256", None),
        (format!("cms {sign}"), "SHA-256", None),
        (format!("cms {sign} -md sha1"), "SHA-1", None),
        (format!("cms {sign} -nosmimecap"), "SHA-256", None),
        (format!("cms {sign} -cades"), "SHA-256", None),
        (format!("cms {sign} -stream"), "SHA-256", Some("signature_not_detached")),
        (format!("cms {sign} -keyid"), "SHA-256", Some("signer_by_key_identifier")),
        (format!("cms {sign} -nodetach -md sha1"), "SHA-1", Some("signature_not_detached")),
        (format!("cms {sign} -keyopt rsa_padding_mode:pss"), "SHA-256", None),
    ] {
        let inspection = inspect_trusting(&signed_by(openssl(&arguments, &LEAF)), &trusting());
        assert_eq!(codes(&inspection), Vec::<&str>::new(), "{arguments}: {inspection}");
        let signature = inspection.signature.as_ref().unwrap();
        assert!(signature.verified && signature.signing_time.is_some(), "{arguments}");
        assert_eq!(signature.digest_algorithm.as_deref(), Some(digest), "{arguments}");
        assert_eq!(signature.signer.as_ref().unwrap().uid.as_deref(), Some(PASS_TYPE), "{arguments}");
        assert_eq!(signature.root, RootVerdict::Trusted, "{arguments}");
        for code in ["signature_digest", "signer_by_key_identifier", "signature_not_detached"] {
            assert_eq!(has_warning(&inspection, code), oddity == Some(code), "{arguments}: {inspection}");
        }
    }
}

#[test]
fn a_streamed_signature_has_indefinite_lengths() {
    let pass =
        signed_by(openssl("cms -sign -binary -signer signer -certfile chain -outform DER -stream", &LEAF));
    let files = crate::tests::fixtures::unzip(&pass);
    assert_eq!(file(&files, "signature")[..2], [0x30, 0x80], "or the test above says less than it should");
}

#[test]
fn a_signature_by_a_key_on_a_curve_is_read() {
    let leaf = AUTHORITY.leaf(Some(PASS_TYPE), Some(TEAM), ec_key(), LONG);
    let pass = signed_by(openssl("smime -sign -binary -signer signer -certfile chain -outform DER", &leaf));
    assert!(inspect_trusting(&pass, &trusting()).valid);
}

#[test]
fn what_openssl_makes_wrong_is_named_with_its_remedy() {
    let sign = "smime -sign -binary -signer signer -certfile chain";
    let der = "-outform DER";
    for (arguments, code, words) in [
        (format!("{sign} {der} -noattr"), "signing_time_missing", "-noattr"),
        (format!("{sign} {der} -nocerts"), "signer_missing", "-nocerts"),
        (format!("smime -sign -binary -signer signer {der}"), "intermediate_missing", "Test WWDR"),
        (
            format!("smime -sign -binary -signer signer -certfile root {der}"),
            "intermediate_missing",
            "Test Root",
        ),
        (format!("{sign} -outform PEM"), "signature_unreadable", "PEM"),
        (format!("{sign} -outform SMIME"), "signature_unreadable", "S/MIME"),
    ] {
        let inspection = inspect(&signed_by(openssl(&arguments, &LEAF)));
        assert_eq!(codes(&inspection), [code], "{arguments}: {inspection}");
        assert!(inspection.problems[0].detail.contains(words), "{arguments}: {inspection}");
    }
}

#[test]
fn a_signature_made_without_binary_is_told_apart() {
    let sign = "smime -sign -signer signer -certfile chain -outform DER";
    let pass = tampered(&usual_pass(), |files| {
        let manifest = String::from_utf8(file(files, "manifest.json").to_vec()).unwrap().replace(',', ",\n");
        *file_mut(files, "signature") = openssl(sign, &LEAF)(manifest.as_bytes());
        *file_mut(files, "manifest.json") = manifest.into_bytes();
    });
    let inspection = inspect(&pass);
    assert_eq!(codes(&inspection), ["signature_wrong"]);
    assert!(inspection.problems[0].detail.contains("-binary"), "{inspection}");
}

#[test]
fn signatures_of_other_writers_are_read() {
    for (shape, oddity) in [
        (USUAL, None),
        (Shape { lengths: Lengths::Indefinite, ..USUAL }, None),
        (Shape { lengths: Lengths::Padded, ..USUAL }, None),
        (Shape { has_unknown_attribute: true, ..USUAL }, None),
        (Shape { time: (0x18, "20240301120000Z"), ..USUAL }, None),
        (Shape { time: (0x17, "240301150000+0300"), ..USUAL }, Some("signing_time_odd")),
        (Shape { time: (0x17, "2403011200Z"), ..USUAL }, Some("signing_time_odd")),
        (Shape { time: (0x18, "20240301070000.5-0500"), ..USUAL }, Some("signing_time_odd")),
        (Shape { by_key_identifier: true, ..USUAL }, Some("signer_by_key_identifier")),
        (
            Shape { by_key_identifier: true, lengths: Lengths::Indefinite, ..USUAL },
            Some("signer_by_key_identifier"),
        ),
    ] {
        let inspection =
            inspect_trusting(&signed_by(|manifest| cms::signature(manifest, &LEAF, &shape)), &trusting());
        let (time, warnings) = (shape.time.1, ["signing_time_odd", "signer_by_key_identifier"]);
        assert_eq!(codes(&inspection), Vec::<&str>::new(), "{time}: {inspection}");
        let stated = inspection.signature.as_ref().unwrap().signing_time.as_deref();
        assert_eq!(stated, Some("2024-03-01T12:00:00Z"), "{time}");
        for code in warnings {
            assert_eq!(has_warning(&inspection, code), oddity == Some(code), "{time}: {inspection}");
        }
    }
}

#[test]
fn bytes_behind_a_signature_are_odd_and_a_time_that_is_none_is_a_problem() {
    let pass = signed_by(|manifest| [cms::signature(manifest, &LEAF, &USUAL), b"\n".to_vec()].concat());
    let inspection = inspect(&pass);
    assert!(inspection.valid && has_warning(&inspection, "signature_trailing_bytes"), "{inspection}");
    let shape = Shape { time: (0x17, "yesterday"), ..USUAL };
    let inspection = inspect(&signed_by(|manifest| cms::signature(manifest, &LEAF, &shape)));
    assert_eq!(codes(&inspection), ["signing_time_missing"], "{inspection}");
}

#[test]
fn a_pass_that_apple_has_not_issued_is_taken_by_no_phone() {
    let inspection = inspect_trusting(&usual_pass(), &Trust::apple());
    assert_eq!(codes(&inspection), ["root_not_trusted"]);
    assert!(inspection.problems[0].detail.contains("no phone takes the pass"), "{inspection}");
    assert!(inspection.problems[0].detail.contains("Test WWDR"), "{inspection}");
    assert!(matches!(inspection.signature.unwrap().root, RootVerdict::NotTrusted(_)));
    let inspection = inspect_trusting(&usual_pass(), &trusting());
    assert!(inspection.valid && has_warning(&inspection, "root_not_apples"), "{inspection}");
    let other = Authority::with_intermediate_valid(LONG).root.certificate_pem();
    let inspection = inspect_trusting(&usual_pass(), &Trust::apple().and(&other).unwrap());
    assert_eq!(codes(&inspection), ["root_not_trusted"], "a root of somebody else");
}

#[test]
fn an_intermediate_alone_can_be_trusted() {
    let trust = Trust::apple().and(&AUTHORITY.intermediate.certificate_pem()).unwrap();
    assert!(inspect_trusting(&usual_pass(), &trust).valid, "as one that Apple has just published");
}

#[test]
fn a_signature_whose_intermediate_is_another_names_both() {
    let namesake = Authority::with_intermediate_valid(LONG);
    let leaf = namesake.leaf(Some(PASS_TYPE), Some(TEAM), rsa_key(), LONG);
    let pass = signed_by(openssl("smime -sign -binary -signer signer -certfile chain -outform DER", &leaf));
    let inspection = inspect_trusting(&pass, &trusting());
    assert_eq!(codes(&inspection), ["intermediate_missing"]);
    let detail = &inspection.problems[0].detail;
    assert!(
        detail.contains("another key of the same name") && detail.matches("Test WWDR").count() == 2,
        "{detail}"
    );
}
