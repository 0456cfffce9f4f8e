//! What a key may do: the scopes that it was made with.

use std::collections::BTreeSet;
use std::fs;

use honoken_tests::etag::sha256;
use honoken_tests::problem::assert_problem;
use honoken_tests::server::Ready;
use honoken_tests::storage::HandmadeEvent;
use honoken_tests::{Honoken, Integrator, a_ticket};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::a_service_with_a_pass;

/// Keys of the development organisation with these scopes; `None` for a key that is made without.
pub(super) async fn keys_with(honoken: &mut Honoken, scopes: &[Option<&str>]) -> Vec<Integrator> {
    honoken.terminate().await;
    let mut keys = Vec::new();
    for scopes in scopes {
        let create = ["keys", "create", "--organization", "dev", "--label", "test"];
        let named = scopes.map(|scopes| ["--scopes", scopes]);
        let arguments = [&create[..], named.as_ref().map_or(&[], |named| &named[..])].concat();
        let output = honoken.home().runs(&arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        keys.push(String::from_utf8(output.stdout).expect("a key is text").trim().to_owned());
    }
    honoken.restart().await;
    let integrator = |api_key| Integrator::new(&Ready { api_key, ..honoken.ready().clone() });
    keys.into_iter().map(integrator).collect()
}

/// A call of integrators, and the scopes of which the document says that one is needed.
struct Call {
    method: Method,
    path: String,
    needed: BTreeSet<String>,
}

async fn documented_calls(honoken: &Honoken) -> Vec<Call> {
    let document = honoken.request(Method::GET, "/openapi.json", HeaderMap::new(), "").await.json();
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            if operation["tags"][0] != "manage" {
                continue;
            }
            let security = operation["security"].as_array().expect("integrators show a key");
            let needed = security.iter().flat_map(|one| one["apiKey"].as_array().expect("scopes"));
            calls.push(Call {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"),
                path: path.clone(),
                needed: needed.map(|scope| scope.as_str().expect("a scope").to_owned()).collect(),
            });
        }
    }
    assert!(calls.len() > 20 && calls.iter().all(|call| !call.needed.is_empty()));
    calls
}

/// Names nothing that exists, so that no call changes anything.
fn named(path: &str) -> String {
    let path = path.replace("{type}", "pass.com.example.missing").replace("{serial}", "missing");
    let path = path.replace("{device}", "0123456789").replace("{file}", "icon.png");
    path.replace("{id}", "018bcfe5-6800-7000-8000-000000000000")
}

/// The scopes of a key that is made without any.
const USUAL: &str =
    "passes:read,passes:write,assets:write,links:write,webhooks:write,jobs:write,templates:write";

#[tokio::test]
async fn every_call_is_open_to_the_keys_with_a_scope_that_it_names_and_to_no_other() {
    let (mut honoken, _) = a_service_with_a_pass().await;
    let scopes = [
        None,
        Some("passes:read"),
        Some("passes:import"),
        Some("passes:write"),
        Some("assets:write"),
        Some("links:write,jobs:write"),
        Some("passes:erase,webhooks:write,templates:write"),
    ];
    let keys = keys_with(&mut honoken, &scopes).await;
    let calls = documented_calls(&honoken).await;
    let before = honoken.storage().recorded().await;
    for (scopes, key) in scopes.into_iter().zip(&keys) {
        let has: BTreeSet<&str> = scopes.unwrap_or(USUAL).split(',').collect();
        for Call { method, path, needed } in &calls {
            let answer = key.request(method.clone(), &named(path), &[], "").await;
            let allowed = needed.iter().any(|scope| has.contains(scope.as_str()));
            assert_eq!(answer.status != StatusCode::FORBIDDEN, allowed, "{has:?}: {method} {path}");
            if !allowed {
                let problem = assert_problem(&answer, 403);
                assert_eq!(problem["code"], "missing_scope");
                let detail = problem["detail"].as_str().expect("a sentence");
                assert!(needed.iter().all(|scope| detail.contains(scope.as_str())), "{detail}");
            }
        }
    }
    assert_eq!(honoken.storage().recorded().await, before);
}

#[tokio::test]
async fn a_key_reads_what_it_may_change_and_a_key_for_something_else_does_not() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let scopes = ["passes:read", "passes:import", "links:write"].map(Some);
    let keys = keys_with(&mut honoken, &scopes).await;
    let [reads, imports, links] = &keys[..] else { panic!("three keys") };
    for key in [reads, imports] {
        assert_eq!(key.state("A-1").await, integrator.state("A-1").await);
    }
    for serial in ["A-1", "missing"] {
        assert_eq!(assert_problem(&links.get(serial).await, 403)["code"], "missing_scope");
    }
    for key in [reads, links] {
        assert_eq!(assert_problem(&key.void("A-1").await, 403)["code"], "missing_scope");
        let issue = key.issue(&key.order("A-2", &a_ticket("1A"))).await;
        assert_eq!(assert_problem(&issue, 403)["code"], "missing_scope");
    }
    assert_eq!(integrator.get("A-2").await.status, StatusCode::NOT_FOUND);
    assert_eq!(integrator.state("A-1").await["voided"], false);
}

#[tokio::test]
async fn the_scope_is_looked_at_before_the_body_and_after_the_key() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let [reads] = keys_with(&mut honoken, &[Some("links:write")]).await.try_into().expect("one key");
    let path = format!("{}/content", integrator.path("A-1"));
    for body in ["", "{", &"x".repeat(50_000)] {
        let answer =
            reads.request(Method::PUT, &path, &[("content-type", "text/plain")], body.to_owned()).await;
        answer.assert_status(StatusCode::FORBIDDEN);
    }
    let stranger = reads.with_authorization("Bearer wrong");
    stranger.request(Method::PUT, &path, &[], "").await.assert_status(StatusCode::UNAUTHORIZED);
}

/// A folder of the time before scopes has the key of `dev` without any.
#[tokio::test]
async fn the_key_of_dev_has_every_scope_even_if_it_was_made_before_there_were_any() {
    const KEY: &str = "the-key-of-an-older-folder";
    let (mut honoken, _) = a_service_with_a_pass().await;
    honoken.terminate().await;
    let payload = json!({ "keyDigest": sha256(KEY.as_bytes()), "label": "development" });
    let added = HandmadeEvent {
        aggregate_type: "Organization",
        aggregate_id: "dev",
        kind: "ApiKeyAdded",
        payload: json!({ "ApiKeyAdded": payload }),
    };
    honoken.storage().appends(added).await;
    fs::write(honoken.home().data_dir().join("secrets/api-key"), KEY).expect("a file");
    honoken.restart().await;
    assert_eq!(honoken.ready().api_key, KEY);
    let integrator = honoken.integrator();
    let path = format!("{}/registrations/0123456789", integrator.path("A-1"));
    let registered = integrator.json(Method::PUT, &path, &json!({ "pushToken": "c0ffee" })).await;
    registered.assert_status(StatusCode::CREATED);
    honoken.terminate().await;
    honoken.restart().await;
    let events = honoken.storage().recorded().await;
    let changes = events.values().filter(|event| event.payload["ApiKeyScopesChanged"].is_object());
    assert_eq!(changes.count(), 1, "the scopes are given once");
}

#[tokio::test]
async fn only_a_key_for_importing_may_name_the_token_of_a_pass_or_issue_a_void_one() {
    let (mut honoken, dev) = a_service_with_a_pass().await;
    let keys = keys_with(&mut honoken, &[None, Some("passes:import")]).await;
    let [plain, import] = &keys[..] else { panic!("two keys") };
    let order = |serial: &str, token: &Value| {
        let mut order = dev.order(serial, &a_ticket("1A"));
        order["authenticationToken"] = token.clone();
        order
    };
    let token = json!("the-token-on-phones");
    let refused = plain.issue(&order("B-1", &token)).await;
    assert_eq!(assert_problem(&refused, 403)["code"], "missing_scope");
    plain.issue(&order("B-1", &Value::Null)).await.assert_status(StatusCode::CREATED);

    import.issue(&order("B-2", &token)).await.assert_status(StatusCode::CREATED);
    assert_eq!(dev.credentials("B-2").await.token, "the-token-on-phones");
    import.issue(&order("B-3", &Value::Null)).await.assert_status(StatusCode::CREATED);
    let mut void = order("B-4", &Value::Null);
    void["voided"] = json!(true);
    assert_eq!(assert_problem(&plain.issue(&void).await, 403)["code"], "missing_scope");
    import.issue(&void).await.assert_status(StatusCode::CREATED);
    assert_eq!(dev.state("B-4").await["voided"], true);
    let history = dev.history("B-2", "").await;
    assert!(!history.excerpt().contains("the-token-on-phones"), "{}", history.excerpt());
}

#[tokio::test]
async fn an_order_with_a_token_is_the_same_order_only_with_the_token_it_was_issued_with() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let order = |seat: &str, token: Option<&str>| {
        let mut order = integrator.order("B-1", &a_ticket(seat));
        if let Some(token) = token {
            order["authenticationToken"] = token.into();
        }
        order
    };
    let first = Some("0123456789abcdef");
    integrator.issue(&order("1A", first)).await.assert_status(StatusCode::CREATED);
    integrator.moves_to("B-1", "2B").await;
    for token in [first, None] {
        let again = integrator.issue(&order("1A", token)).await;
        assert_eq!(again.assert_status(StatusCode::OK).json()["changed"], false);
    }
    let other = integrator.issue(&order("1A", Some("another-token-of-a-pass"))).await;
    let problem = assert_problem(&other, 409);
    assert_eq!(problem["code"], "issued_with_another_token");
    assert!(!other.excerpt().contains("0123456789abcdef") && !other.excerpt().contains("another-token"));
    assert_eq!(assert_problem(&integrator.issue(&order("9Z", first)).await, 409)["code"], "already_issued");
    assert_eq!(integrator.credentials("B-1").await.token, "0123456789abcdef");
}

#[tokio::test]
async fn a_token_has_16_to_256_visible_ascii_characters() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let long = "x".repeat(257);
    for wrong in [
        json!(""),
        json!("0123456789abcde"),
        json!("0123456789 abcdef"),
        json!("0123456789abcdeé"),
        json!(long),
    ] {
        let mut order = integrator.order("B-1", &a_ticket("1A"));
        order["authenticationToken"] = wrong;
        let problem = assert_problem(&integrator.issue(&order).await, 422);
        assert_eq!(problem["errors"][0]["pointer"], "/authenticationToken", "{problem}");
    }
    for (serial, right) in [("B-2", "0123456789abcdef".to_owned()), ("B-3", "~!".repeat(128))] {
        let mut order = integrator.order(serial, &a_ticket("1A"));
        order["authenticationToken"] = json!(right);
        integrator.issue(&order).await.assert_status(StatusCode::CREATED);
        assert_eq!(integrator.credentials(serial).await.token, right);
    }
}
