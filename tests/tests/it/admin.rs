//! The operator's door, and how the service says that it is well.

use honoken_tests::Operator;
use honoken_tests::problem::assert_problem;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::a_service;

#[tokio::test]
async fn the_projection_follows_the_log_to_its_head() {
    let honoken = a_service().await;
    let change = honoken.integrator().issues("A-1").await;
    let wallet = honoken.operator().wallet_projection().await;
    assert_eq!(wallet["position"], change.position);
    assert_eq!(wallet["head"], change.position);
    assert_eq!(wallet["parked"], 0);
    assert_eq!(wallet["rebuild"], Value::Null);
    assert!(wallet["version"].is_number(), "{wallet}");
}

#[tokio::test]
async fn the_operator_has_to_say_who_he_is() {
    let honoken = a_service().await;
    let ready = honoken.ready();
    for path in ["/admin/projections", "/api/admin/projections", "/admin/projections/wallet/parked"] {
        let anonymous = honoken.request(Method::GET, path, HeaderMap::new(), "").await;
        assert_problem(&anonymous, 401);
        for (name, password) in [
            (ready.admin_username.as_str(), ""),
            (ready.admin_username.as_str(), "wrong"),
            ("", ready.admin_password.as_str()),
            ("somebody", ready.admin_password.as_str()),
            ("admin", "admin"),
        ] {
            let stranger = Operator::known_as(&ready.base_url, name, password);
            assert_problem(&stranger.request(Method::GET, path, &Value::Null).await, 401);
        }
        honoken.operator().request(Method::GET, path, &Value::Null).await.assert_status(StatusCode::OK);
    }
}

#[tokio::test]
async fn an_integrators_key_is_no_operators_password() {
    let honoken = a_service().await;
    let answer = honoken.integrator().request(Method::GET, "/admin/projections", &[], "").await;
    assert_problem(&answer, 401);
    let stranger = Operator::known_as(&honoken.ready().base_url, "", &honoken.ready().api_key);
    assert_problem(&stranger.request(Method::GET, "/admin/projections", &Value::Null).await, 401);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let honoken = a_service().await;
    let operator = honoken.operator();
    let missing = operator.request(Method::GET, "/admin/projections/nothing/parked", &Value::Null).await;
    assert_problem(&missing, 404);
    assert_problem(&operator.request(Method::GET, "/admin/nothing", &Value::Null).await, 404);
    let answer = operator.retries(1).await;
    assert!(matches!(answer.status.as_u16(), 404 | 409), "nothing is parked there: {}", answer.excerpt());
    let answer = operator.skips(1, "no reason").await;
    assert!(matches!(answer.status.as_u16(), 404 | 409), "nothing is parked there: {}", answer.excerpt());
    let path = "/admin/projections/wallet/parked/one/retry";
    let answer = operator.request(Method::POST, path, &json!({})).await;
    assert!(answer.status.is_client_error(), "{}", answer.excerpt());
}

#[tokio::test]
async fn a_running_service_is_live_and_ready() {
    let honoken = a_service().await;
    for path in ["/health/live", "/health/ready"] {
        let answer = honoken.request(Method::GET, path, HeaderMap::new(), "").await;
        answer.assert_status(StatusCode::OK);
        assert!(answer.header("x-request-id").is_some());
    }
}
