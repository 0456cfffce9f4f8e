//! Two organisations in one service: neither learns of the other, and neither is in the other's way.

use honoken_tests::etag::sha256;
use honoken_tests::problem::assert_problem;
use honoken_tests::server::Ready;
use honoken_tests::storage::HandmadeEvent;
use honoken_tests::{Change, Honoken, Integrator, a_ticket, drawing};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;

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
            json!({ "keyDigest": sha256(KEY.as_bytes()), "label": "till", "scopes": ["passes:write", "passes:import"] }),
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

/// The calls of integrators whose path names a pass, a type of passes or a job, as the document has them.
async fn calls_that_name_something(honoken: &Honoken) -> Vec<(Method, String)> {
    let document = honoken.request(Method::GET, "/openapi.json", HeaderMap::new(), "").await.json();
    let paths = document["paths"].as_object().expect("paths");
    let named = paths.iter().filter(|(path, _)| path.starts_with("/manage/") && path.contains('{'));
    let calls: Vec<_> = named
        .flat_map(|(path, item)| item.as_object().expect("a path item").keys().map(move |key| (key, path)))
        .filter_map(|(key, path)| {
            Some((Method::from_bytes(key.to_uppercase().as_bytes()).ok()?, path.clone()))
        })
        .filter(|(method, _)| {
            [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE].contains(method)
        })
        .collect();
    assert!(calls.len() > 10, "{calls:?}");
    calls
}

#[tokio::test]
async fn what_belongs_to_another_organisation_is_404_on_every_call_and_stays_as_it_is() {
    let (mut honoken, _) = a_service_with_a_pass().await;
    let neighbour = a_neighbour(&mut honoken).await;
    let integrator = honoken.integrator();
    let put = integrator.put_type_asset("logo.png", drawing::logo(7)).await;
    honoken.operator().sees_finished(&put).await;
    let job = put.json()["job"]["id"].as_str().expect("the id of the job").to_owned();
    let before = integrator.state("A-1").await;
    let named = |path: &str| {
        let path = path.replace("{type}", integrator.pass_type_identifier()).replace("{serial}", "A-1");
        path.replace("{file}", "icon.png")
            .replace("{id}", &job)
            .replace("{device}", "0123456789")
            .replace("{lang}", "de")
    };
    for (method, path) in calls_that_name_something(&honoken).await {
        let body = match (method.as_str(), path.rsplit('/').next().unwrap_or_default()) {
            ("GET" | "DELETE", _) | (_, "void" | "reinstate") => String::new(),
            (_, "restore") => json!({ "position": 1 }).to_string(),
            (_, "{serial}") => json!({ "ticketStyle": "generic" }).to_string(),
            ("PUT", "content") => a_ticket("2B").to_string(),
            ("PATCH", "content") => json!({ "seat": "2B" }).to_string(),
            (_, "increment") => json!({ "pointer": "/points", "by": 1 }).to_string(),
            (_, "{file}") => "an image".to_owned(),
            ("PUT", "{device}") => json!({ "pushToken": "c0ffee" }).to_string(),
            ("PUT", "{lang}") => json!({ "strings": { "Seat": "Platz" } }).to_string(),
            ("PUT", "personalization") => {
                let fields = ["PKPassPersonalizationFieldName"];
                json!({ "requiredPersonalizationFields": fields, "description": "Join" }).to_string()
            }
            _ => panic!("say here what {method} {path} is sent"),
        };
        let path = named(&path);
        let answer = neighbour.request(method.clone(), &path, &[], body.clone()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.excerpt());
        // As for a thing that is not there.
        let missing = path.replace("A-1", "missing").replace(&job, "018bcfe5-6800-7000-8000-000000000000");
        let missing = missing.replace("pass-types/pass.", "pass-types/pass.missing.");
        let unknown = neighbour.request(method, &missing, &[], body).await;
        assert_eq!(assert_problem(&answer, 404), assert_problem(&unknown, 404));
    }
    assert_eq!(integrator.state("A-1").await, before);
}
