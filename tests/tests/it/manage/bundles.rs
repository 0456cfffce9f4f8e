//! Several passes in one file.

use honoken_simulator::Answer;
use honoken_tests::problem::assert_problem;
use honoken_tests::{Honoken, Integrator, a_ticket, package};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use zip::CompressionMethod;

use super::a_service_with_a_pass;
use super::neighbours::a_neighbour;

fn named(integrator: &Integrator, serials: &[&str]) -> Value {
    let pass_type = integrator.pass_type_identifier();
    let passes =
        serials.iter().map(|serial| json!({ "passTypeIdentifier": pass_type, "serialNumber": serial }));
    json!({ "passes": passes.collect::<Vec<_>>() })
}

async fn bundle(integrator: &Integrator, order: &Value) -> Answer {
    integrator.json(Method::POST, "/manage/v1/pkpasses", order).await
}

/// Asserts that the order is refused with these faults: code and pointer.
async fn assert_refused(integrator: &Integrator, order: Value, faults: &[(&str, &str)]) {
    let answer = bundle(integrator, &order).await;
    let problem = assert_problem(&answer, 422);
    let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("{order}: no faults: {problem}"));
    let found: Vec<_> = errors
        .iter()
        .map(|fault| (fault["code"].as_str().expect("a code"), fault["pointer"].as_str().expect("a pointer")))
        .collect();
    assert_eq!(found, faults, "{order}");
}

async fn a_family(seats: u32) -> (Honoken, Integrator, Vec<String>) {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let mut serials = Vec::new();
    for seat in 0..seats {
        let serial = format!("Straße {seat}/ä");
        integrator.issues_with(&serial, &a_ticket(&format!("{seat}A"))).await;
        serials.push(serial);
    }
    (honoken, integrator, serials)
}

#[tokio::test]
async fn a_bundle_holds_the_very_files_in_their_order() {
    let (honoken, integrator, serials) = a_family(10).await;
    let serials: Vec<_> = serials.iter().map(String::as_str).collect();
    let answer = bundle(&integrator, &named(&integrator, &serials)).await;
    answer.assert_status(StatusCode::OK);
    assert_eq!(answer.header("content-type"), Some("application/vnd.apple.pkpasses"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"passes.pkpasses\""));
    let files = package::files(&answer.body);
    assert_eq!(files.len(), 10);
    for (index, serial) in serials.iter().enumerate() {
        let (pass, method) = &files[&format!("pass{}.pkpass", index + 1)];
        assert_eq!(*pass, integrator.downloads(serial).await, "{serial}");
        assert_eq!(*method, CompressionMethod::Stored, "a pass is compressed already");
        package::assert_verifies(pass, &honoken.ready().ca_file).await;
    }
}

#[tokio::test]
async fn an_order_that_is_no_bundle_is_refused_with_every_fault() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let pass_type = integrator.pass_type_identifier();
    let eleven = vec!["A-1"; 11];
    assert_refused(&integrator, named(&integrator, &[]), &[("wrong_length", "/passes")]).await;
    assert_refused(&integrator, named(&integrator, &eleven), &[("wrong_length", "/passes")]).await;
    assert_refused(&integrator, named(&integrator, &["A-1", "A-1"]), &[("repeated", "/passes/1")]).await;
    assert_refused(
        &integrator,
        named(&integrator, &["A-1", "missing", "also missing"]),
        &[("unknown_pass", "/passes/1"), ("unknown_pass", "/passes/2")],
    )
    .await;
    assert_refused(&integrator, json!({}), &[("required", "/passes")]).await;
    assert_refused(&integrator, json!({ "passes": "A-1" }), &[("wrong_type", "/passes")]).await;
    let faulty = json!({ "passes": [
        "A-1",
        { "passTypeIdentifier": pass_type },
        { "passTypeIdentifier": "x", "serialNumber": 7, "etag": "a" },
    ] });
    assert_refused(
        &integrator,
        faulty,
        &[
            ("wrong_type", "/passes/0"),
            ("required", "/passes/1/serialNumber"),
            ("invalid", "/passes/2/passTypeIdentifier"),
            ("wrong_type", "/passes/2/serialNumber"),
            ("unknown_field", "/passes/2/etag"),
        ],
    )
    .await;
    let one = named(&integrator, &["A-1"]);
    assert_eq!(bundle(&integrator, &one).await.status, StatusCode::OK, "a bundle of one is a bundle");
}

#[tokio::test]
async fn a_pass_of_another_organisation_is_as_unknown_as_one_that_is_not_there() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let order = named(&integrator, &["A-1"]);
    let missing = named(&integrator, &["missing"]);
    let neighbour = a_neighbour(&mut honoken).await;
    let answers = (bundle(&neighbour, &order).await, bundle(&neighbour, &missing).await);
    assert_eq!(assert_problem(&answers.0, 422), assert_problem(&answers.1, 422));
    assert_eq!(bundle(&honoken.integrator(), &order).await.status, StatusCode::OK);
}
