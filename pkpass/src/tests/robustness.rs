//! Nothing that comes from outside makes the reader or the linter panic, and no change to a pass goes unnoticed.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::reader::{Inspected, Trust, inspect, inspect_file, inspect_files, inspect_with_root};
use crate::tests::authority::AUTHORITY;
use crate::tests::fixtures::{Files, file, file_mut, source, unzip, usual_pass, zip};
use crate::{MAX_FINDINGS, PassKind, TicketStyle, lint, pass_json};

static PASS: LazyLock<Vec<u8>> = LazyLock::new(usual_pass);
static FILES: LazyLock<Files> = LazyLock::new(|| unzip(&PASS));

/// Keys that mean something, so that the values below reach the rules.
const KEYS: [&str; 36] = [
    "eventTicket",
    "posterGeneric",
    "primaryFields",
    "auxiliaryFields",
    "backFields",
    "key",
    "value",
    "dateStyle",
    "numberStyle",
    "currencyCode",
    "changeMessage",
    "row",
    "barcode",
    "barcodes",
    "format",
    "message",
    "messageEncoding",
    "locations",
    "latitude",
    "beacons",
    "proximityUUID",
    "major",
    "relevantDates",
    "date",
    "startDate",
    "endDate",
    "nfc",
    "encryptionPublicKey",
    "semantics",
    "seats",
    "totalPrice",
    "featuredActions",
    "preferredStyleSchemes",
    "eventName",
    "eventDateISO",
    "labelColor",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("2027-03-01T19:30Z")),
        Just(Value::from("posterEventTicket")),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            any_map(inner).prop_map(Value::Object),
        ]
    })
}

fn any_map(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![4 => proptest::sample::select(&KEYS[..]).prop_map(str::to_owned), 1 => ".{0,6}"];
    proptest::collection::vec((key, values), 0..8).prop_map(Map::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_can_be_inspected(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(!inspect(&bytes).valid);
    }

    #[test]
    fn any_text_can_be_inspected_as_json_and_as_the_texts_of_a_language(
        text in "\\PC{0,80}|[\\[\\]{}:,'\"/*#a0 \n\t\\\\éN]{0,80}",
        cut in any::<proptest::sample::Index>(),
    ) {
        let pass = String::from_utf8(file(&FILES, "pass.json").to_vec()).unwrap();
        let at = (0..=cut.index(pass.len())).rev().find(|at| pass.is_char_boundary(*at)).unwrap();
        let broken = format!("{}{text}{}", &pass[..at], &pass[at..]);
        for json in [&text, &format!("{{{text}"), &broken] {
            prop_assert!(!inspect_file(json.as_bytes(), &Trust::apple()).to_string().is_empty());
        }
        let files = [("pass.json", pass.as_bytes()), ("de.lproj/pass.strings", text.as_bytes()), ("en.lproj/pass.strings", broken.as_bytes())];
        let files = files.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).into();
        prop_assert!(!inspect_files(&files, &Trust::apple()).to_string().is_empty());
    }

    #[test]
    fn any_bytes_can_be_a_bundle_or_a_file_of_a_pass(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(matches!(inspect_file(&bytes, &Trust::apple()), Inspected::Pass(_)));
        for path in ["pass.json", "manifest.json", "signature", "personalization.json", "de.lproj/pass.strings", "icon.png"] {
            let mut files = FILES.clone();
            files.retain(|(known, _)| known != path);
            files.push((path.to_owned(), bytes.clone()));
            prop_assert!(!inspect_files(&files.into_iter().collect(), &Trust::apple()).to_string().is_empty());
        }
    }

    #[test]
    fn a_pass_with_some_bytes_changed_can_be_inspected(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut pass = PASS.clone();
        for (index, byte) in changes {
            let index = index.index(pass.len());
            pass[index] = byte;
        }
        // Headers of the archive hold bytes that mean nothing, so the verdict may be either.
        let inspection = inspect(&pass);
        prop_assert!(!inspection.to_string().is_empty());
    }

    #[test]
    fn a_pass_cut_off_anywhere_is_not_valid(length in any::<proptest::sample::Index>()) {
        prop_assert!(!inspect(&PASS[..length.index(PASS.len())]).valid);
    }

    #[test]
    fn any_change_of_a_signed_file_is_noticed(
        which in proptest::sample::select(&["pass.json", "manifest.json", "icon.png", "logo.png"][..]),
        index in any::<proptest::sample::Index>(),
        difference in 1..=u8::MAX,
    ) {
        let mut files = FILES.clone();
        let bytes = file_mut(&mut files, which);
        let index = index.index(bytes.len());
        bytes[index] ^= difference;
        prop_assert!(!inspect(&zip(&files)).valid);
    }

    #[test]
    fn a_damaged_signature_can_be_inspected(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut files = FILES.clone();
        let signature = file_mut(&mut files, "signature");
        for (index, byte) in changes {
            let index = index.index(signature.len());
            signature[index] = byte;
        }
        if let Some(cut) = cut {
            signature.truncate(cut.index(signature.len()));
        }
        let unchanged = signature.as_slice() == file(&FILES, "signature");
        let inspection = inspect_with_root(&zip(&files), Some(&AUTHORITY.root.certificate_pem()));
        if unchanged {
            prop_assert!(inspection.valid);
        }
    }

    #[test]
    fn any_content_can_be_linted_and_built(
        content in any_map(any_json()),
        poster in any::<bool>(),
        style in proptest::sample::select(TicketStyle::ALL.to_vec()),
    ) {
        let kind = PassKind { style, poster };
        prop_assert!(lint(kind, &content).len() <= MAX_FINDINGS);
        let mut source = source(&content);
        source.kind = kind;
        let pass: Value = serde_json::from_slice(&pass_json(&source, &[])).unwrap();
        prop_assert_eq!(&pass["serialNumber"], "A-1");
        prop_assert!(pass.get(style.pass_json_key()).is_some());
    }
}
