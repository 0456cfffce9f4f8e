//! API keys over HTTP: made, listed, rotated and revoked while the service runs.

use honoken_simulator::Answer;
use honoken_tests::etag::sha256;
use honoken_tests::problem::assert_problem;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, Honoken, Integrator, Operator, Ready};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::processes::{a_projector, an_api, becomes_ready};
use crate::{a_home_for_several, a_service};

const KEYS: &str = "/admin/organizations/dev/keys";

/// The id of a key, and the key itself.
fn made(answer: &Answer) -> (String, String) {
    let body = answer.assert_status(StatusCode::CREATED).json();
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    (text("id"), text("key"))
}

async fn makes(operator: &Operator, order: &Value) -> (String, String) {
    made(&operator.request(Method::POST, KEYS, order).await)
}

async fn rotates(operator: &Operator, id: &str, body: &Value) -> (String, String) {
    made(&operator.request(Method::POST, &format!("{KEYS}/{id}/rotate"), body).await)
}

async fn listed(operator: &Operator) -> Vec<Value> {
    let answer = operator.request(Method::GET, KEYS, &Value::Null).await;
    let body = answer.assert_status(StatusCode::OK).json();
    body["keys"].as_array().expect("a list").clone()
}

async fn shown(operator: &Operator, id: &str) -> Value {
    let keys = listed(operator).await;
    keys.into_iter().find(|key| key["id"] == id).expect("the key is listed")
}

fn with_key(honoken: &Honoken, key: &str) -> Integrator {
    Integrator::new(&Ready { api_key: key.to_owned(), ..honoken.ready().clone() })
}

/// The status of a question with this key.
async fn status(integrator: &Integrator) -> StatusCode {
    integrator.list("").await.status
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_at_once_within_its_scopes() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let order =
        json!({ "label": "gate", "scopes": ["passes:read"], "expiresAt": "2099-03-01T19:30:00+01:00" });
    let (id, key) = makes(&operator, &order).await;
    assert!(key.starts_with("honoken_") && sha256(key.as_bytes()).starts_with(&id) && id.len() == 12, "{id}");
    let gate = with_key(&honoken, &key);
    assert_eq!(shown(&operator, &id).await["lastUsed"], Value::Null);
    assert_eq!(status(&gate).await, StatusCode::OK);
    assert_eq!(assert_problem(&gate.void("SAMPLE-1").await, 403)["code"], "missing_scope");

    let entry = shown(&operator, &id).await;
    assert_eq!(entry["label"], "gate");
    assert_eq!(entry["scopes"], json!(["passes:read"]));
    assert_eq!(entry["expiresAt"], "2099-03-01T18:30:00Z");
    assert_eq!(entry["revoked"], false);
    eventually(PATIENCE, "the use of the key is noted", async || {
        shown(&operator, &id).await["lastUsed"].is_string().then_some(())
    })
    .await;
    let used = shown(&operator, &id).await["lastUsed"].clone();
    assert!(used.as_str() >= shown(&operator, &id).await["createdAt"].as_str(), "{used}");
    assert_eq!(status(&gate).await, StatusCode::OK);
    assert_eq!(shown(&operator, &id).await["lastUsed"], used, "it is noted once an hour");

    let everything = json!(listed(&operator).await).to_string() + &honoken.output_so_far().await;
    assert!(!everything.contains(&key));
    let events = honoken.storage().recorded().await;
    let added =
        events.values().find(|event| event.payload["ApiKeyAdded"]["label"] == "gate").expect("an event");
    assert!(!format!("{added:?}").contains(&key));
}

#[tokio::test]
async fn a_key_without_scopes_has_the_usual_ones_and_does_not_end() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let (id, _) = makes(&operator, &json!({ "label": "till" })).await;
    let entry = shown(&operator, &id).await;
    let scopes = entry["scopes"].as_array().expect("scopes");
    assert!(scopes.contains(&json!("passes:write")) && !scopes.contains(&json!("passes:erase")), "{entry}");
    assert_eq!(entry["expiresAt"], Value::Null);
}

#[tokio::test]
async fn what_is_no_order_of_a_key_is_refused_with_its_place_and_changes_nothing() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let before = honoken.storage().recorded().await;
    for (order, pointer) in [
        (json!({}), "/label"),
        (json!({ "label": "  " }), "/label"),
        (json!({ "label": "x".repeat(257) }), "/label"),
        (json!({ "label": "x", "scopes": [] }), "/scopes"),
        (json!({ "label": "x", "scopes": "passes:read" }), "/scopes"),
        (json!({ "label": "x", "scopes": ["passes:read", "passes:everything"] }), "/scopes/1"),
        (json!({ "label": "x", "expiresAt": "2020-01-01T00:00:00Z" }), "/expiresAt"),
        (json!({ "label": "x", "expiresAt": "tomorrow" }), "/expiresAt"),
        (json!({ "label": "x", "key": "honoken_my-own" }), "/key"),
    ] {
        let answer = operator.request(Method::POST, KEYS, &order).await;
        assert_eq!(assert_problem(&answer, 422)["errors"][0]["pointer"], pointer, "{order}");
    }
    let (id, _) = makes(&operator, &json!({ "label": "till" })).await;
    let rotate = format!("{KEYS}/{id}/rotate");
    for wrong in [json!(-1), json!(31_536_001), json!("1"), json!(1.5)] {
        let answer = operator.request(Method::POST, &rotate, &json!({ "overlapSeconds": wrong })).await;
        assert_eq!(assert_problem(&answer, 422)["errors"][0]["pointer"], "/overlapSeconds", "{wrong}");
    }
    for (method, path) in [
        (Method::POST, "/admin/organizations/missing/keys".to_owned()),
        (Method::GET, "/admin/organizations/missing/keys".to_owned()),
        (Method::GET, "/admin/organizations/no%20id/keys".to_owned()),
        (Method::DELETE, format!("{KEYS}/0123456789ab")),
        (Method::DELETE, format!("/admin/organizations/missing/keys/{id}")),
        (Method::POST, format!("{KEYS}/0123456789ab/rotate")),
    ] {
        let body = if method == Method::POST && path.ends_with("keys") {
            json!({ "label": "x" })
        } else {
            Value::Null
        };
        assert_problem(&operator.request(method, &path, &body).await, 404);
    }
    assert_eq!(honoken.storage().recorded().await.len(), before.len() + 1);
}

#[tokio::test]
async fn a_revoked_key_is_refused_from_the_answer_on() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let (id, key) = makes(&operator, &json!({ "label": "till" })).await;
    let (_, other) = makes(&operator, &json!({ "label": "gate" })).await;
    let till = with_key(&honoken, &key);
    assert_eq!(status(&till).await, StatusCode::OK);
    let path = format!("{KEYS}/{id}");
    let revoked = operator.request(Method::DELETE, &path, &Value::Null).await;
    revoked.assert_status(StatusCode::NO_CONTENT);
    assert_eq!(status(&till).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&with_key(&honoken, &other)).await, StatusCode::OK);
    assert_eq!(shown(&operator, &id).await["revoked"], true);
    let before = honoken.storage().recorded().await.len();
    operator.request(Method::DELETE, &path, &Value::Null).await.assert_status(StatusCode::NO_CONTENT);
    let rotate = operator.request(Method::POST, &format!("{path}/rotate"), &Value::Null).await;
    assert_eq!(assert_problem(&rotate, 409)["code"], "key_revoked");
    assert_eq!(honoken.storage().recorded().await.len(), before);
}

#[tokio::test]
async fn a_rotated_key_works_until_the_overlap_ends_and_its_successor_may_do_the_same() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let (id, key) = makes(&operator, &json!({ "label": "till", "scopes": ["passes:read"] })).await;
    let (next, next_key) = rotates(&operator, &id, &Value::Null).await;
    assert!(next != id && next_key != key);
    for key in [&key, &next_key] {
        let integrator = with_key(&honoken, key);
        assert_eq!(status(&integrator).await, StatusCode::OK);
        assert_eq!(integrator.void("SAMPLE-1").await.status, StatusCode::FORBIDDEN);
    }
    let (old, new) = (shown(&operator, &id).await, shown(&operator, &next).await);
    assert!(old["expiresAt"].is_string() && new["expiresAt"].is_null(), "{old} {new}");
    assert_eq!((&new["label"], &new["scopes"]), (&old["label"], &old["scopes"]));

    let (_, last_key) = rotates(&operator, &next, &json!({ "overlapSeconds": 1 })).await;
    eventually(PATIENCE, "the key has ended", async || {
        (status(&with_key(&honoken, &next_key)).await == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    let again = operator.request(Method::POST, &format!("{KEYS}/{next}/rotate"), &Value::Null).await;
    assert_eq!(assert_problem(&again, 409)["code"], "key_expired");
    assert_eq!(status(&with_key(&honoken, &last_key)).await, StatusCode::OK);

    let (_, at_once) = rotates(&operator, &id, &json!({ "overlapSeconds": 0 })).await;
    assert_eq!(status(&with_key(&honoken, &key)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&with_key(&honoken, &at_once)).await, StatusCode::OK);
}

#[tokio::test]
async fn the_successor_of_a_key_that_ends_lives_as_long_as_it() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let order = json!({ "label": "fair", "expiresAt": "2099-03-01T19:30:00Z" });
    let (id, _) = makes(&operator, &order).await;
    let (next, _) = rotates(&operator, &id, &json!({ "overlapSeconds": 31_536_000 })).await;
    let (old, new) = (shown(&operator, &id).await, shown(&operator, &next).await);
    assert!(new["expiresAt"].as_str() >= Some("2099-03-01T19:30:00Z"), "{new}");
    assert!(old["expiresAt"].as_str() < new["expiresAt"].as_str(), "{old} {new}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_one_process_revokes_is_refused_by_the_others_from_the_answer_on() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let _projector = a_projector(&home, "projector").await;
    let (one, other) = (with_operator(&home, "one").await, an_api(&home, "other").await);
    becomes_ready(&other).await;
    let operator = Operator::known_as(one.base_url(), NAME, PASSWORD);
    for _ in 0..20 {
        let (id, key) = makes(&operator, &json!({ "label": "till" })).await;
        let known = Ready { api_key: key, ..home.ready().clone() };
        let till = other.integrator(&known);
        assert_eq!(status(&till).await, StatusCode::OK);
        let revoked = operator.request(Method::DELETE, &format!("{KEYS}/{id}"), &Value::Null).await;
        revoked.assert_status(StatusCode::NO_CONTENT);
        assert_eq!(status(&till).await, StatusCode::UNAUTHORIZED);
    }
}

const NAME: &str = "admin";
const PASSWORD: &str = "correct horse battery staple";

async fn with_operator(home: &Honoken, name: &str) -> honoken_tests::Serving {
    let serve = home.home().serve(name).with_roles("api").with_variable("HONOKEN_ADMIN_USERNAME", NAME);
    serve.with_variable("HONOKEN_ADMIN_PASSWORD", PASSWORD).start().await
}
