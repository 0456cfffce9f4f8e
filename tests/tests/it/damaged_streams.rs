//! An event that cannot be read stops what it is about and nothing else, and the answers say what to do.

use honoken_simulator::Answer;
use honoken_tests::device::{Credentials, device, push_token};
use honoken_tests::integrator::encoded;
use honoken_tests::problem::assert_problem;
use honoken_tests::storage::{HandmadeEvent, Part};
use honoken_tests::{Honoken, Integrator, Ready, drawing};
use http::{Method, StatusCode};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use serde_json::{Value, json};

use crate::a_service;

const ANOTHER_KEY: &str = "honoken_another";
const ANOTHER_TYPE: &str = "pass.com.example.another";

fn apns_key() -> Value {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    let key = EcKey::generate(&group).and_then(PKey::from_ec_key).expect("a key");
    let pem = key.private_key_to_pem_pkcs8().expect("PEM");
    json!({ "teamId": "ABCDE12345", "keyId": "KEY1234567", "p8": String::from_utf8(pem).expect("PEM is text") })
}

/// The last event of a stream whose id ends so.
async fn last_of(honoken: &Honoken, aggregate_type: &str, id_ends: &str) -> u64 {
    let recorded = honoken.storage().recorded().await;
    let is_one = |aggregate_id: &str| aggregate_id.ends_with(id_ends);
    let found = recorded
        .iter()
        .rfind(|(_, event)| event.aggregate_type == aggregate_type && is_one(&event.aggregate_id));
    *found.unwrap_or_else(|| panic!("no event of {aggregate_type} {id_ends}")).0
}

/// Damages the last event of each stream, and starts the service on tables that were filled from the damaged event log.
async fn damages(honoken: &mut Honoken, streams: &[(&str, &str)]) -> Vec<u64> {
    let mut positions = Vec::new();
    for (aggregate_type, id) in streams {
        positions.push(last_of(honoken, aggregate_type, id).await);
    }
    for position in &positions {
        honoken.storage().spoils_text("payload", *position).await;
    }
    honoken.storage().throws_read_model_away().await;
    honoken.restart().await;
    positions
}

/// The answer names the stream, the event and the fix.
fn assert_stands_still(answer: &Answer, stream: &str, position: u64) {
    let problem = assert_problem(answer, 409);
    assert_eq!(problem["code"], "stream_damaged", "{stream}");
    let detail = problem["detail"].as_str().expect("a sentence");
    let event = format!("the event at position {position} is not readable");
    for words in [stream, &event, "restore the event log from the backup", "`honoken log restored`"] {
        assert!(detail.contains(words), "{words}: {detail}");
    }
}

#[tokio::test]
async fn a_change_of_anything_that_is_damaged_is_refused_with_the_cause_and_the_fix() {
    let mut honoken = a_service().await;
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    let image = drawing::icon(7);
    let digest = integrator.uploads(&image).await;
    let request = json!({ "passTypeIdentifier": "pass.com.example.spare", "teamId": "ABCDE12345" });
    let csr = operator.request(Method::POST, "/admin/certs/spare/csr", &request).await;
    csr.assert_status(StatusCode::OK);
    let key = apns_key();
    operator.request(Method::PUT, "/admin/apns-keys/club", &key).await.assert_status(StatusCode::OK);
    let brand = operator.put_brand_asset("icon.png", image.clone()).await;
    operator.sees_finished(&brand).await;
    honoken.terminate().await;
    let storage = honoken.storage();
    storage.founds_another_organization(ANOTHER_KEY, ANOTHER_TYPE).await;
    for (aggregate_type, aggregate_id, kind, payload) in [
        ("Organization", "another", "OrganizationRenamed", json!({ "name": "Third" })),
        ("PassType", ANOTHER_TYPE, "PassTypeAssetsChanged", json!({ "assets": { "logo.png": digest } })),
    ] {
        let payload = json!({ kind: payload });
        storage.appends(HandmadeEvent { aggregate_type, aggregate_id, kind, payload }).await;
    }
    let streams = [
        ("Organization", "another"),
        ("PassType", ANOTHER_TYPE),
        ("Certificate", "spare"),
        ("ApnsKey", "KEY1234567"),
        ("BrandAssets", ""),
        ("UploadedImage", digest.as_str()),
    ];
    let positions = damages(&mut honoken, &streams).await;
    let [organization, pass_type, certificate, apns, brand, uploaded] = positions[..] else {
        panic!("{positions:?}")
    };

    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    let another = Integrator::new(&Ready {
        api_key: ANOTHER_KEY.to_owned(),
        pass_type_identifier: ANOTHER_TYPE.to_owned(),
        ..honoken.ready().clone()
    });
    let before = storage.positions().await;
    let rename = json!({ "name": "Fourth" });
    let renamed = operator.request(Method::PATCH, "/admin/organizations/another", &rename).await;
    assert_stands_still(&renamed, "the organisation another", organization);
    let label = json!({ "label": "till" });
    let made = operator.request(Method::POST, "/admin/organizations/another/keys", &label).await;
    assert_stands_still(&made, "the organisation another", organization);
    let stream = format!("the pass type {ANOTHER_TYPE}");
    for answer in
        [another.put_type_asset("logo.png", image.clone()).await, another.remove_type_asset("logo.png").await]
    {
        assert_stands_still(&answer, &stream, pass_type);
    }
    let again = operator.request(Method::POST, "/admin/certs/spare/csr", &request).await;
    assert_stands_still(&again, "the certificate spare", certificate);
    assert!(again.excerpt().contains("under another name"), "{}", again.excerpt());
    let put = operator.request(Method::PUT, "/admin/apns-keys/club", &key).await;
    assert_stands_still(&put, "the APNs key ABCDE12345/KEY1234567", apns);
    let put = operator.put_brand_asset("icon.png", drawing::icon(9)).await;
    assert_stands_still(&put, "the images of the brand", brand);
    let sent = integrator.upload(image).await;
    assert_stands_still(&sent, &format!("the uploaded image {digest}"), uploaded);

    // The images that came with refused changes belong to their senders; nothing that is damaged has changed.
    let last = before.last().expect("a position").to_string();
    let new = "select aggregate_type from events where position > cast($1 as bigint)";
    let new = storage.reads(Part::Log, new, &[&last]).await;
    assert!(new.iter().all(|aggregate_type| aggregate_type == "UploadedImage"), "{new:?}");
    let streams = [
        "the organisation another",
        &stream,
        "the certificate spare",
        "the APNs key ABCDE12345/KEY1234567",
        "the images of the brand",
        &format!("the uploaded image {digest}"),
    ];
    for stream in streams {
        let line = honoken.logs(&format!("an event of {stream} cannot be read")).await;
        assert!(line.contains("ERROR") && line.contains("is not UTF-8"), "{line}");
    }
}

/// A registration as an integrator imports it.
async fn imports(integrator: &Integrator, serial_number: &str, device: &str) -> Answer {
    let path = format!("{}/registrations/{}", integrator.path(serial_number), encoded(device));
    integrator.json(Method::PUT, &path, &json!({ "pushToken": push_token(1, 0) })).await
}

fn assert_comes_back_later(answer: &Answer) {
    let problem = assert_problem(answer, 503);
    assert_eq!(problem["code"], "unavailable");
    assert!(!problem.to_string().contains("event"), "a phone learns nothing: {problem}");
    assert_eq!(answer.header("retry-after"), Some("300"), "an operator has to act first");
}

#[tokio::test]
async fn a_damaged_registration_mends_itself_once_the_event_was_skipped() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    let phone = device(1);
    let mut passes: Vec<Credentials> = Vec::new();
    for serial_number in ["A-1", "A-2"] {
        integrator.issues(serial_number).await;
        passes.push(integrator.credentials(serial_number).await);
        let pass = passes.last().expect("a pass");
        let registered = honoken.devices().register(&phone, &push_token(1, 0), pass).await;
        registered.assert_status(StatusCode::CREATED);
    }
    honoken.terminate().await;
    let [position] = damages(&mut honoken, &[("Registration", &phone)]).await[..] else { panic!("one") };

    let (integrator, operator, devices) = (honoken.integrator(), honoken.operator(), honoken.devices());
    let before = honoken.storage().positions().await;
    assert_comes_back_later(&devices.register(&phone, &push_token(1, 0), &passes[0]).await);
    assert_comes_back_later(&devices.unregister(&phone, &passes[0]).await);
    let imported = imports(&integrator, "A-1", &phone).await;
    assert_stands_still(&imported, "the registration of the device", position);
    assert!(!imported.excerpt().contains(&phone), "{}", imported.excerpt());
    assert_eq!(honoken.storage().positions().await, before);
    let line = honoken.logs("an event of the registration of the device").await;
    assert!(line.contains("ERROR") && line.contains("is not UTF-8") && !line.contains(&phone), "{line}");

    operator.skips(position, "the disk has eaten it").await.assert_status(StatusCode::NO_CONTENT);
    let pass_type = integrator.pass_type_identifier();
    devices.register(&phone, &push_token(1, 1), &passes[0]).await.assert_status(StatusCode::OK);
    honoken.logs("a registration is stated anew").await;
    let (serials, _) = devices.lists(&phone, pass_type, None).await.expect("a list");
    assert_eq!(serials, ["A-1"], "the event of the other is lost");
    assert_eq!(honoken.storage().push_tokens(&phone).await, [push_token(1, 1)]);
    devices.register(&phone, &push_token(1, 1), &passes[1]).await.assert_status(StatusCode::CREATED);

    // Without the memory of the process too.
    honoken.terminate().await;
    honoken.restart().await;
    let devices = honoken.devices();
    devices.register(&phone, &push_token(1, 1), &passes[1]).await.assert_status(StatusCode::OK);
    devices.unregister(&phone, &passes[0]).await.assert_status(StatusCode::OK);
    let pass_type = honoken.integrator().pass_type_identifier().to_owned();
    let (serials, _) = devices.lists(&phone, &pass_type, None).await.expect("a list");
    assert_eq!(serials, ["A-2"]);
    assert_eq!(honoken.operator().wallet_projection().await["parked"], 0);
}

#[tokio::test]
async fn a_damaged_job_holds_up_no_other_job() {
    let mut honoken = a_service().await;
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    integrator.issues("A-1").await;
    let put = operator.put_brand_asset("icon.png", drawing::icon(7)).await;
    let job = operator.sees_finished(&put).await["id"].as_str().expect("an id").to_owned();
    honoken.terminate().await;
    damages(&mut honoken, &[("Job", &job)]).await;

    let line = honoken.logs("is left alone until the service starts again").await;
    assert!(line.contains("ERROR") && line.contains(&job), "{line}");
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    let put = integrator.put_type_asset("logo.png", drawing::icon(9)).await;
    let finished = operator.sees_finished(&put).await;
    assert_eq!(finished["state"], "finished", "{finished}");
    assert_eq!(operator.job(&job).await["state"], "running", "it is as the readable events say");
}
