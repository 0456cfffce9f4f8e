//! `nfc` is in a pass only under a certificate that may sign it; another certificate brings it back, or takes it away.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use honoken_pkpass::reader;
use honoken_tests::device::device;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Integrator, a_ticket, drawing, package};
use http::{Method, StatusCode};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use serde_json::{Value, json};

use crate::certs::{Office, integrator};

/// The key of a reader, as a pass names it.
pub(crate) fn nfc() -> Value {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a key");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    json!({ "message": "member 7", "encryptionPublicKey": STANDARD.encode(key.public_key_to_der().expect("a key")) })
}

pub(crate) fn a_ticket_with_nfc(seat: &str) -> Value {
    let mut content = a_ticket(seat);
    content["nfc"] = nfc();
    content
}

/// Issues a pass with an icon of its own, and returns the answer.
pub(crate) async fn issues(integrator: &Integrator, serial_number: &str, content: &Value) -> Value {
    let mut order = integrator.order(serial_number, content);
    order["assets"] = json!({ "icon.png": integrator.uploads(&drawing::icon(7)).await });
    integrator.issue(&order).await.assert_status(StatusCode::CREATED).json()
}

/// The codes of the warnings in an answer, with their pointers.
pub(crate) fn warnings(answer: &Value) -> Vec<(String, String)> {
    let warnings = answer["warnings"].as_array().expect("as the service writes it").iter();
    let text =
        |warning: &Value, key: &str| warning[key].as_str().expect("as the service writes it").to_owned();
    warnings.map(|warning| (text(warning, "code"), text(warning, "pointer"))).collect()
}

pub(crate) async fn pass_json(integrator: &Integrator, serial_number: &str) -> Value {
    let files = package::files(&integrator.downloads(serial_number).await);
    serde_json::from_slice(&files["pass.json"].0).expect("as the service writes it")
}

#[tokio::test]
async fn nfc_comes_with_a_certificate_that_may_and_goes_with_one_that_may_not() {
    let office = Office::new().await;
    let certified = office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    assert_eq!(office.lists().await[0]["isEnhanced"], json!(false));
    let serving = office.serves("serve").await;
    let shop = integrator(&serving, &api_key);

    let content = a_ticket_with_nfc("1A");
    let issued = issues(&shop, "nfc", &content).await;
    assert!(warnings(&issued).contains(&("nfc_left_out".into(), "/content/nfc".into())), "{issued}");
    let plain = issues(&shop, "plain", &a_ticket("2B")).await;
    assert!(!plain["warnings"].to_string().contains("nfc"), "{plain}");
    assert!(pass_json(&shop, "nfc").await.get("nfc").is_none());
    let state = shop.state("nfc").await;
    assert_eq!(state["content"], content, "the integrator's content is kept");

    let pass = shop.credentials("nfc").await;
    serving.devices().register(&device(1), "token", &pass).await.assert_status(StatusCode::CREATED);
    let (_, tag) = serving.devices().lists(&device(1), &pass.pass_type_identifier, None).await.unwrap();

    let (mut tags, mut tag) = (vec![issued["etag"].clone()], tag);
    for (more, has_nfc) in [(&["--enhanced"][..], true), (&[][..], false)] {
        let told = office.installs(&certified, more).await;
        assert!(told.contains("the job ") && told.contains("up to date"), "{told}");
        assert_eq!(told.contains("may sign passes with NFC"), has_nfc, "{told}");
        let shop = integrator(&serving, &api_key);
        let now = eventually(PATIENCE, "the job states the pass anew", async || {
            let now = shop.state("nfc").await;
            (now["etag"] != *tags.last().unwrap()).then_some(now)
        })
        .await;
        assert_eq!(now["content"], content);
        let served = pass_json(&shop, "nfc").await;
        assert_eq!(served.get("nfc"), has_nfc.then(|| &content["nfc"]), "{served}");
        let (serials, newer) =
            serving.devices().lists(&device(1), &pass.pass_type_identifier, Some(&tag)).await.unwrap();
        assert_eq!(serials, ["nfc"]);
        tag = newer;
        assert_eq!(shop.state("plain").await["etag"], plain["etag"], "a pass without nfc stays as it is");
        let replaced = shop.replace("nfc", &content).await.assert_status(StatusCode::OK).json();
        let is_warned = warnings(&replaced).contains(&("nfc_left_out".into(), "/nfc".into()));
        assert_eq!(is_warned, !has_nfc, "{replaced}");
        assert_eq!(replaced["changed"], json!(false), "{replaced}");
        tags.push(now["etag"].clone());
        assert_eq!(office.lists().await[0]["isEnhanced"], json!(has_nfc));
    }
    assert!(tags[0] != tags[2], "no tag comes twice");

    let shop = integrator(&serving, &api_key);
    // Attempts to push go on meanwhile.
    let without_deliveries = async || {
        let mut state = shop.state("nfc").await;
        state.as_object_mut().expect("an object").remove("deliveries");
        state
    };
    let (before, changes) = (without_deliveries().await, office.home.storage().recorded().await.len());
    let again = office.installs(&certified, &[]).await;
    assert!(again.contains("installed already"), "{again}");
    assert_eq!(office.home.storage().recorded().await.len(), changes);
    assert_eq!(without_deliveries().await, before);
}

#[tokio::test]
async fn lint_and_inspect_say_what_becomes_of_nfc() {
    let office = Office::new().await;
    let certified = office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    let serving = office.serves("serve").await;
    let shop = integrator(&serving, &api_key);
    let mut order = shop.order("asked", &a_ticket_with_nfc("1A"));
    order["assets"] = json!({ "icon.png": shop.uploads(&drawing::icon(7)).await });
    let report =
        shop.json(Method::POST, "/manage/v1/lint", &order).await.assert_status(StatusCode::OK).json();
    assert_eq!(report["acceptable"], json!(true));
    assert!(report["findings"].to_string().contains("nfc_left_out"), "{report}");

    office.installs(&certified, &["--enhanced"]).await;
    let shop = integrator(&serving, &api_key);
    let report =
        shop.json(Method::POST, "/manage/v1/lint", &order).await.assert_status(StatusCode::OK).json();
    assert!(!report["findings"].to_string().contains("nfc_left_out"), "{report}");
    let issued = issues(&shop, "kept", &order["content"]).await;
    assert!(!issued["warnings"].to_string().contains("nfc_left_out"), "{issued}");
    // The name of this certificate does not say what the operator said.
    let inspected = reader::inspect(&shop.downloads("kept").await);
    assert!(inspected.problems.iter().any(|problem| problem.code == "nfc_certificate"), "{inspected}");
}
