//! Two organisations in one service: neither learns of the other, and neither is in the other's way.

use honoken_tests::etag::sha256;
use honoken_tests::problem::assert_problem;
use honoken_tests::server::Ready;
use honoken_tests::storage::HandmadeEvent;
use honoken_tests::{Change, Honoken, Integrator, a_ticket};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::a_service_with_a_pass;

const KEY: &str = "the-key-of-the-neighbour";
const TYPE: &str = "pass.com.example.neighbour";

/// A second organisation with a key and a pass type of its own, for which there is no call yet: what such calls would write to the log.
pub(super) async fn a_neighbour(honoken: &mut Honoken) -> Integrator {
    honoken.terminate().await;
    let storage = honoken.storage();
    let events = [
        (
            "Organization",
            "neighbour",
            "OrganizationCreated",
            json!({ "organizationId": "neighbour", "name": "Neighbour" }),
        ),
        (
            "Organization",
            "neighbour",
            "ApiKeyAdded",
            json!({ "keyDigest": sha256(KEY.as_bytes()), "label": "till" }),
        ),
        (
            "PassType",
            TYPE,
            "PassTypeCreated",
            json!({ "passTypeIdentifier": TYPE, "organizationId": "neighbour", "teamIdentifier": "ABCDE12345" }),
        ),
    ];
    for (aggregate_type, aggregate_id, kind, payload) in events {
        storage
            .appends(HandmadeEvent { aggregate_type, aggregate_id, kind, payload: json!({ kind: payload }) })
            .await;
    }
    honoken.restart().await;
    let ready =
        Ready { api_key: KEY.to_owned(), pass_type_identifier: TYPE.to_owned(), ..honoken.ready().clone() };
    Integrator::new(&ready)
}

async fn issues_under_key(integrator: &Integrator) -> Change {
    let mut order = integrator.order("", &a_ticket("1A"));
    order.as_object_mut().expect("an order is an object").remove("serialNumber");
    let headers = [("idempotency-key", "order-1")];
    let answer = integrator.request(Method::POST, "/manage/v1/passes", &headers, order.to_string()).await;
    Change::read(answer.assert_status(StatusCode::CREATED))
}

#[tokio::test]
async fn the_same_idempotency_key_of_two_organisations_names_two_passes() {
    let (mut honoken, _) = a_service_with_a_pass().await;
    let neighbour = a_neighbour(&mut honoken).await;
    let (one, other) = (issues_under_key(&honoken.integrator()).await, issues_under_key(&neighbour).await);
    assert_ne!(one.serial_number, other.serial_number);
    assert_eq!(neighbour.state(&other.serial_number).await["serialNumber"], other.serial_number);
}

#[tokio::test]
async fn what_belongs_to_another_organisation_is_404_on_every_call_and_stays_as_it_is() {
    let (mut honoken, _) = a_service_with_a_pass().await;
    let neighbour = a_neighbour(&mut honoken).await;
    let integrator = honoken.integrator();
    let before = integrator.state("A-1").await;
    let pass = integrator.path("A-1");
    let calls: [(Method, &str, Value); 12] = [
        (Method::GET, "", Value::Null),
        (Method::PATCH, "", json!({ "ticketStyle": "generic" })),
        (Method::DELETE, "", Value::Null),
        (Method::PUT, "/content", a_ticket("2B")),
        (Method::PATCH, "/content", json!({ "seat": "2B" })),
        (Method::POST, "/increment", json!({ "pointer": "/points", "by": 1 })),
        (Method::POST, "/void", Value::Null),
        (Method::GET, "/history", Value::Null),
        (Method::GET, "/pkpass", Value::Null),
        (Method::GET, "/assets/icon.png", Value::Null),
        (Method::PUT, "/assets/icon.png", json!({})),
        (Method::DELETE, "/assets/icon.png", Value::Null),
    ];
    for (method, rest, body) in calls {
        let path = format!("{pass}{rest}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = neighbour.request(method.clone(), &path, &[], body.clone()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.excerpt());
        // As for a pass that nobody issued.
        let missing = path.replace("A-1", "missing");
        let unknown = neighbour.request(method, &missing, &[], body).await;
        assert_eq!(assert_problem(&answer, 404), assert_problem(&unknown, 404));
    }
    assert_eq!(integrator.state("A-1").await, before);
}
