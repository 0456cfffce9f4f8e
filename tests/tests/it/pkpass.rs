//! The files themselves, checked with tools that know nothing of us and with the reader of our own.

use std::collections::BTreeMap;
use std::process::Output;

use honoken_pkpass::reader::{self, RootVerdict};
use honoken_simulator::Package;
use honoken_tests::etag::sha256;
use honoken_tests::{Honoken, Integrator, a_ticket, drawing, package};
use http::StatusCode;
use serde_json::{Value, json};
use zip::CompressionMethod;

use crate::a_service;

async fn a_service_with_a_pass() -> (Honoken, Integrator) {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    (honoken, integrator)
}

async fn pass_json(integrator: &Integrator, serial: &str) -> Value {
    Package::open(integrator.downloads(serial).await).expect("a readable pass").pass_json().clone()
}

async fn issues_and_reads(integrator: &Integrator, serial: &str, content: &Value) -> Value {
    integrator.issues_with(serial, content).await;
    pass_json(integrator, serial).await
}

/// Checks a pass with everything there is.
async fn assert_good(honoken: &Honoken, pkpass: &[u8]) {
    let ca_file = &honoken.ready().ca_file;
    let signature = package::assert_verifies(pkpass, ca_file).await;
    assert!(signature.contains("signingTime"), "Wallet requires a signing time");
    assert!(signature.contains("sha256"), "the digest is SHA-256");
    let root = std::fs::read(ca_file).expect("the root can be read");
    let report = reader::inspect_with_root(pkpass, Some(&root));
    assert!(report.valid, "{report}");
    let found = report.signature.expect("a signature");
    assert_eq!(found.root, RootVerdict::Trusted);
    assert!(found.signing_time.is_some() && found.issuer.is_some(), "the intermediate is inside");
    assert_eq!(found.signer.expect("a signer").uid.as_ref(), Some(&honoken.ready().pass_type_identifier));
}

#[tokio::test]
async fn every_pass_verifies_in_every_state() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    assert_good(&honoken, &integrator.downloads(&honoken.ready().serial_number).await).await;
    assert_good(&honoken, &integrator.downloads("A-1").await).await;
    integrator.moves_to("A-1", "Straße 7 🎫").await;
    assert_good(&honoken, &integrator.downloads("A-1").await).await;
    integrator.voids("A-1").await;
    assert_good(&honoken, &integrator.downloads("A-1").await).await;
    integrator.puts_asset("A-1", "logo@2x.png", drawing::png(320, 100, 3)).await;
    assert_good(&honoken, &integrator.downloads("A-1").await).await;
    let pass = integrator.credentials("A-1").await;
    let fetched = honoken.devices().get(&pass, &[]).await;
    assert_good(&honoken, &fetched.body).await;
}

#[tokio::test]
async fn a_poster_asks_for_the_poster_look() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let mut order = integrator.order("P-1", &a_ticket("1A"));
    order["poster"] = json!(true);
    order["assets"] = json!({ "background.png": integrator.uploads(&drawing::background(5)).await });
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    let pkpass = integrator.downloads("P-1").await;
    assert_good(&honoken, &pkpass).await;
    let pass = Package::open(pkpass).unwrap().pass_json().clone();
    assert_eq!(pass["preferredStyleSchemes"], json!(["posterEventTicket", "eventTicket"]));
    assert_eq!(pass["semantics"]["eventName"], "Opening night");
    integrator.issues("plain").await;
    assert_eq!(pass_json(&integrator, "plain").await["preferredStyleSchemes"], Value::Null);
}

#[tokio::test]
async fn loose_fields_become_an_event_ticket() {
    let honoken = a_service().await;
    let pass = issues_and_reads(&honoken.integrator(), "L-1", &a_ticket("1A")).await;
    let keys = |group: &str| -> Vec<String> {
        let fields = pass["eventTicket"][group].as_array().expect("fields");
        fields.iter().map(|field| field["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys("primaryFields"), ["eventName"], "a plain ticket shows one");
    assert_eq!(keys("secondaryFields"), ["eventDateISO", "venueName"]);
    assert_eq!(keys("auxiliaryFields"), ["seat", "section"]);
    let date = &pass["eventTicket"]["secondaryFields"][0];
    assert_eq!(date["value"], "2027-03-01T19:30+01:00");
    assert_eq!(
        (&date["dateStyle"], &date["timeStyle"]),
        (&json!("PKDateStyleMedium"), &json!("PKDateStyleShort"))
    );
    assert_eq!(pass["eventTicket"]["primaryFields"][0]["value"], "Opening night");
    for loose in ["eventName", "eventDateISO", "venueName", "seat", "section"] {
        assert_eq!(pass[loose], Value::Null, "{loose} is not left behind");
    }
}

#[tokio::test]
async fn without_a_primary_field_the_description_is_one() {
    let honoken = a_service().await;
    let content = json!({ "description": "A seat", "seat": "1A" });
    let pass = issues_and_reads(&honoken.integrator(), "L-1", &content).await;
    assert_eq!(pass["eventTicket"]["primaryFields"][0]["value"], "A seat");
    assert_eq!(pass["eventTicket"]["primaryFields"].as_array().unwrap().len(), 1);
    assert_eq!(pass["eventTicket"]["auxiliaryFields"][0]["value"], "1A");
}

#[tokio::test]
async fn an_event_ticket_of_the_contents_own_is_left_as_it_is() {
    let honoken = a_service().await;
    let ticket =
        json!({ "headerFields": [{ "key": "gate", "label": "GATE", "value": 4 }], "backFields": [] });
    let content = json!({ "description": "A seat", "eventTicket": ticket });
    let pass = issues_and_reads(&honoken.integrator(), "L-1", &content).await;
    assert_eq!(pass["eventTicket"], ticket);
}

#[tokio::test]
async fn the_server_writes_the_identity_and_everything_else_is_copied() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let content = json!({
        "description": "A seat",
        "eventName": "Opening night",
        "backgroundColor": "rgb(1, 2, 3)",
        "aKeyOfTomorrow": { "deep": [1, "é", null] },
        "barcodes": [{ "format": "PKBarcodeFormatQR", "message": "4711", "messageEncoding": "iso-8859-1" }],
    });
    let pass = issues_and_reads(&integrator, "I-1", &content).await;
    assert_eq!(pass["formatVersion"], 1);
    assert_eq!(pass["passTypeIdentifier"], integrator.pass_type_identifier());
    assert_eq!(pass["serialNumber"], "I-1");
    assert!(pass["teamIdentifier"].as_str().is_some_and(|team| team.len() == 10));
    assert!(pass["organizationName"].as_str().is_some_and(|name| !name.is_empty()));
    assert!(pass["authenticationToken"].as_str().unwrap().len() >= 16);
    assert!(pass["webServiceURL"].as_str().unwrap().starts_with(&honoken.ready().base_url), "{pass}");
    for key in ["description", "backgroundColor", "aKeyOfTomorrow", "barcodes"] {
        assert_eq!(pass[key], content[key], "{key}");
    }
}

#[tokio::test]
async fn the_images_in_the_file_are_those_of_the_state() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.puts_asset("A-1", "logo.png", drawing::logo(77)).await;
    let state = integrator.state("A-1").await;
    let files = package::files(&integrator.downloads("A-1").await);
    let in_file: BTreeMap<&str, String> = files
        .iter()
        .filter(|(name, _)| {
            std::path::Path::new(name).extension().is_some_and(|extension| extension == "png")
        })
        .map(|(name, (bytes, _))| (name.as_str(), sha256(bytes)))
        .collect();
    assert_eq!(json!(in_file), state["assets"]);
    assert!(in_file.keys().any(|name| name.starts_with("icon")), "{in_file:?}");
}

#[tokio::test]
async fn images_are_stored_and_nothing_but_the_pass_is_in_the_file() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let files = package::files(&integrator.downloads("A-1").await);
    for (name, (_, method)) in &files {
        match name.as_str() {
            "pass.json" | "manifest.json" | "signature" => {}
            name if name.strip_suffix(".png").is_some() => {
                assert_eq!(*method, CompressionMethod::Stored, "{name}");
            }
            name => panic!("{name} does not belong into a pass"),
        }
    }
    let manifest: BTreeMap<String, String> = serde_json::from_slice(&files["manifest.json"].0).unwrap();
    assert!(manifest.values().all(|hash| hash.len() == 40), "SHA-1, as Apple requires: {manifest:?}");
    assert_eq!(manifest.len(), files.len() - 2);
}

#[tokio::test]
async fn the_certificate_is_the_one_of_the_pass_type_and_its_team() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let pkpass = integrator.downloads("A-1").await;
    let pass = Package::open(pkpass.clone()).unwrap().pass_json().clone();
    let signer = reader::inspect(&pkpass).signature.unwrap().signer.unwrap();
    assert_eq!(signer.uid.as_deref(), pass["passTypeIdentifier"].as_str());
    assert_eq!(signer.ou.as_deref(), pass["teamIdentifier"].as_str());
}

/// With the root of the service trusted, as its passes are judged.
async fn inspects(honoken: &Honoken, pkpass: &[u8], further: &[&str]) -> Output {
    let file = honoken.home().folder().join("inspected.pkpass");
    std::fs::write(&file, pkpass).expect("the pass is written");
    let root = honoken.ready().ca_file.to_str().expect("a path that is text");
    let file = file.to_str().expect("a path that is text");
    let arguments = [&["inspect", "--root", root, file], further].concat();
    let output = honoken.home().command(&arguments).output().await.expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

#[tokio::test]
async fn the_command_inspect_is_content_with_a_good_pass() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let pkpass = integrator.downloads("A-1").await;
    let output = inspects(&honoken, &pkpass, &[]).await;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("A-1"), "{told}");
    assert!(!told.contains(&integrator.credentials("A-1").await.token), "the token is a secret");
    let output = inspects(&honoken, &pkpass, &["--json"]).await;
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["valid"], &report["pass"]["serialNumber"]), (&json!(true), &json!("A-1")));
}

#[tokio::test]
async fn the_command_inspect_fails_for_everything_else() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let files = package::files(&integrator.downloads("A-1").await);
    let changed = |name: &str, bytes: &[u8]| {
        let mut files = files.clone();
        files.insert(name.to_owned(), (bytes.to_vec(), CompressionMethod::Stored));
        package::archive(&files)
    };
    let without = |name: &str| {
        let mut files = files.clone();
        files.remove(name);
        package::archive(&files)
    };
    assert!(
        inspects(&honoken, &package::archive(&files), &[]).await.status.success(),
        "packing anew is no change"
    );
    let pass_json = String::from_utf8(files["pass.json"].0.clone()).unwrap();
    let mut signature = files["signature"].0.clone();
    let middle = signature.len() - 10;
    signature[middle] ^= 1;
    let tampered = [
        changed("pass.json", pass_json.replace("1A", "9Z").as_bytes()),
        changed("icon.png", &drawing::icon(200)),
        changed("extra.txt", b"not listed"),
        changed("signature", &signature),
        changed("signature", b""),
        changed("manifest.json", b"{}"),
        without("pass.json"),
        without("signature"),
        without("manifest.json"),
        b"not an archive".to_vec(),
        Vec::new(),
    ];
    for (at, pkpass) in tampered.into_iter().enumerate() {
        for further in [&[][..], &["--json"]] {
            let output = inspects(&honoken, &pkpass, further).await;
            assert!(!output.status.success(), "case {at}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
    let missing = honoken.home().command(&["inspect", "no-such-file.pkpass"]).output().await.unwrap();
    assert!(!missing.status.success() && !missing.stderr.is_empty(), "a sentence says why");
}
