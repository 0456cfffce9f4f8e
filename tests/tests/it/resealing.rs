//! Secrets that are sealed anew while the service runs: what a kill, a revocation and a process without the keys make of it.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use honoken_tests::apple::{A_YEAR, TEAM};
use honoken_tests::problem::assert_problem;
use honoken_tests::storage::Part;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Operator, Serving};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::certs::{CURRENT, Office, PASS_TYPE, V1, V2};
use crate::rewards::Shop;

const OPERATOR: [(&str, &str); 2] =
    [("HONOKEN_ADMIN_USERNAME", "vera"), ("HONOKEN_ADMIN_PASSWORD", "correct-horse-battery")];

/// The variables of a process that seals under the second key.
fn second_key() -> Vec<(&'static str, &'static str)> {
    [&[V1, V2, (CURRENT, "2")], &OPERATOR[..]].concat()
}

fn operator(serving: &Serving) -> Operator {
    Operator::known_as(serving.base_url(), OPERATOR[0].1, OPERATOR[1].1)
}

/// Asks for the job that seals anew.
async fn reseals(operator: &Operator) -> Value {
    let started = operator.request(Method::POST, "/admin/reseal", &Value::Null).await;
    started.assert_status(StatusCode::ACCEPTED).json()["job"].clone()
}

async fn ends(operator: &Operator, job: &Value) -> Value {
    let id = job["id"].as_str().expect("an id");
    eventually(PATIENCE, "the job is finished", async || {
        Some(operator.job(id).await).filter(|job| job["state"] == "finished")
    })
    .await
}

/// How many events of a kind there are in the streams of this id.
async fn count(office: &Office, aggregate_id: &str, kind: &str) -> usize {
    let recorded = office.home.storage().recorded().await;
    let events = recorded.values().filter(|event| event.aggregate_id == aggregate_id);
    events.filter(|event| event.payload.get(kind).is_some()).count()
}

/// A shop with a certificate and a person whose key cannot be written, and a process that has sealed everything else under the second key.
async fn stands_in_the_middle(shop: &mut Shop) -> (honoken_tests::storage::Hold, Value) {
    shop.enrols("A-1").await;
    shop.serving.terminate().await;
    shop.office.has(&second_key());
    shop.serving = shop.office.serves("second").await;
    let hold = shop.office.home.storage().holds(Part::PersonKeys, "person_key").await;
    let operator = operator(&shop.serving);
    let job = reseals(&operator).await;
    assert_eq!((&job["total"], &job["done"]), (&json!(2), &json!(0)), "{job}");
    let id = job["id"].as_str().expect("an id");
    eventually(PATIENCE, "the certificate is sealed anew", async || {
        (operator.job(id).await["done"] == 1).then_some(())
    })
    .await;
    (hold, job)
}

#[tokio::test]
async fn a_resealing_that_was_killed_goes_on_behind_its_last_step() {
    let mut shop = Shop::opens().await;
    let (hold, job) = stands_in_the_middle(&mut shop).await;
    let second = reseals(&operator(&shop.serving)).await;
    assert_eq!(second["id"], job["id"], "one is at work");
    shop.serving.kill().await;
    hold.ends().await;

    shop.serving = shop.office.serves("third").await;
    let finished = ends(&operator(&shop.serving), &job).await;
    assert_eq!((&finished["done"], &finished["failed"]), (&json!(2), &json!(0)), "{finished}");
    assert_eq!(count(&shop.office, PASS_TYPE, "CertificateResealed").await, 1);
    let id = job["id"].as_str().expect("an id");
    for (kind, times) in [("JobStarted", 1), ("JobAdvanced", 2), ("JobFinished", 1)] {
        assert_eq!(count(&shop.office, id, kind).await, times, "{kind}");
    }
    let persons = shop.office.home.storage();
    let persons = persons.reads(Part::PersonKeys, "select sealed_key from person_key", &[]).await;
    assert!(persons.len() == 1 && persons[0].starts_with("2:"), "{persons:?}");
    assert_eq!(shop.office.lists().await[0]["keyVersion"], 2);
}

#[tokio::test]
async fn a_job_ends_with_a_reason_when_its_process_seals_under_another_key() {
    let mut shop = Shop::opens().await;
    let (hold, job) = stands_in_the_middle(&mut shop).await;
    shop.serving.kill().await;
    hold.ends().await;
    shop.office.has(&[&[V1, V2, (CURRENT, "1")], &OPERATOR[..]].concat());
    shop.serving = shop.office.serves("third").await;
    let operator = operator(&shop.serving);
    let finished = ends(&operator, &job).await;
    assert_eq!(finished["failed"], 1, "{finished}");
    let failure = &finished["failures"][0];
    assert_eq!(failure["code"], "no_encryption_key", "{finished}");
    let detail = failure["detail"].as_str().expect("a sentence");
    assert!(detail.contains("under encryption key 1, not 2") && detail.contains(CURRENT), "{detail}");

    // The way back is another job.
    let back = reseals(&operator).await;
    assert_ne!(back["id"], job["id"]);
    let finished = ends(&operator, &back).await;
    assert_eq!((&finished["done"], &finished["failed"]), (&json!(2), &json!(0)), "{finished}");
    assert_eq!(shop.office.lists().await[0]["keyVersion"], 1);
}

#[tokio::test]
async fn a_job_ends_with_a_reason_when_its_process_has_no_key() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let mut office = Office::new().await;
    office.is_set_up().await;
    let projector = office.home.serve("projector").with_roles("projector").start().await;
    office.has(&second_key());
    let api = office.home.serve("api").with_roles("api");
    let api = second_key().iter().fold(api, |api, (name, value)| api.with_variable(name, value));
    let api = api.start().await;
    let operator = operator(&api);
    let finished = ends(&operator, &reseals(&operator).await).await;
    assert_eq!((&finished["done"], &finished["failed"]), (&json!(1), &json!(1)), "{finished}");
    let failure = &finished["failures"][0];
    assert_eq!(failure["code"], "no_encryption_key", "{finished}");
    assert!(failure["detail"].as_str().is_some_and(|detail| detail.contains(V1.0)), "{failure}");
    let line = projector.logs("nothing was sealed anew").await;
    assert!(line.contains("ERROR"), "{line}");
    assert_eq!(count(&office, PASS_TYPE, "CertificateResealed").await, 0);
}

#[tokio::test]
async fn revoked_secrets_are_named_by_the_job_and_stay() {
    let mut office = Office::new().await;
    office.is_set_up().await;
    office.does(&["certs", "revoke", "--pass-type", PASS_TYPE]).await;
    office.has(&second_key());
    let serving = office.serves("second").await;
    let operator = operator(&serving);
    let job = reseals(&operator).await;
    let left_out = json!([format!("the certificate {PASS_TYPE} of {PASS_TYPE}")]);
    assert_eq!((&job["leftOut"], &job["total"]), (&left_out, &json!(0)), "{job}");
    let finished = ends(&operator, &job).await;
    assert_eq!((&finished["leftOut"], &finished["done"]), (&left_out, &json!(0)), "{finished}");
    assert_eq!(count(&office, PASS_TYPE, "CertificateResealed").await, 0);
}

#[tokio::test]
async fn a_key_that_waits_for_its_certificate_is_sealed_anew_too() {
    let mut office = Office::new().await;
    office.has(&[&[V1], &OPERATOR[..]].concat());
    office.is_set_up().await;
    let mut serving = office.serves("first").await;
    let order = json!({ "passTypeIdentifier": PASS_TYPE, "teamId": TEAM });
    let csr = operator(&serving).request(Method::POST, "/admin/certs/next/csr", &order).await;
    let request = office.home.folder().join("next.csr");
    fs::write(&request, csr.assert_status(StatusCode::OK).json()["csr"].as_str().expect("PEM"))
        .expect("a file");
    serving.terminate().await;

    office.has(&second_key());
    let mut serving = office.serves("second").await;
    let at_work = operator(&serving);
    let job = reseals(&at_work).await;
    assert_eq!(job["total"], 2, "the certificate in use, and the key that waits");
    assert_eq!(ends(&at_work, &job).await["failed"], 0);
    assert_eq!(count(&office, "next", "CertificateRequestResealed").await, 1);
    serving.terminate().await;

    // Without the first key the certificate is installed over the key that waited.
    office.has(&[&[V2], &OPERATOR[..]].concat());
    let serving = office.serves("third").await;
    let certificate = office.apple.certifies(&request, PASS_TYPE, "next", A_YEAR).await;
    let body = json!({
        "bundleData": {
            "wwdr": STANDARD.encode(fs::read(office.apple.intermediate_file()).expect("a file")),
            "signerCert": STANDARD.encode(fs::read(&certificate).expect("a file"))
        },
        "teamId": TEAM
    });
    let put = operator(&serving).request(Method::PUT, "/admin/certs/next", &body).await;
    assert_eq!(put.assert_status(StatusCode::OK).json()["changed"], true);
}

#[tokio::test]
async fn a_job_of_which_an_event_is_damaged_is_not_waited_for() {
    let mut office = Office::new().await;
    office.is_set_up().await;
    office.has(&second_key());
    let mut serving = office.serves("second").await;
    let job = reseals(&operator(&serving)).await;
    ends(&operator(&serving), &job).await;
    serving.terminate().await;
    let id = job["id"].as_str().expect("an id");
    let recorded = office.home.storage().recorded().await;
    let last = recorded.iter().rfind(|(_, event)| event.aggregate_id == id).expect("its end");
    office.home.storage().spoils_text("payload", *last.0).await;
    office.home.storage().throws_read_model_away().await;

    let serving = office.serves("third").await;
    office.home.storage().waits_for_read_model().await;
    let operator = operator(&serving);
    assert_eq!(operator.job(id).await["state"], "running", "as the readable events say");
    let next = reseals(&operator).await;
    assert_ne!(next["id"], job["id"]);
    assert_eq!(ends(&operator, &next).await["failed"], 0);
}

#[tokio::test]
async fn without_an_encryption_key_nothing_is_begun() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let office = Office::with(&[]).await;
    let api = office.home.serve("api");
    let api = OPERATOR.iter().fold(api, |api, (name, value)| api.with_variable(name, value)).start().await;
    let refused = operator(&api).request(Method::POST, "/admin/reseal", &Value::Null).await;
    assert_eq!(assert_problem(&refused, 409)["code"], "no_encryption_key");
}
