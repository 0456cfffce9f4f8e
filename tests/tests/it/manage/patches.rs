//! `PATCH …/content`: JSON Merge Patch and JSON Patch.

use futures::future::join_all;
use honoken_tests::problem::{assert_points_at, assert_problem};
use honoken_tests::{Change, a_ticket};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::a_service_with_a_pass;

const MERGE: &str = "application/merge-patch+json";
const OPERATIONS: &str = "application/json-patch+json";

#[tokio::test]
async fn a_merge_patch_changes_what_it_names() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let patch = json!({ "seat": "2B", "section": null, "userInfo": { "tier": "gold" } });
    let change = integrator.merges("A-1", &patch).await;
    let mut expected = a_ticket("2B");
    expected.as_object_mut().unwrap().remove("section");
    expected["userInfo"] = json!({ "tier": "gold" });
    let state = integrator.state("A-1").await;
    assert_eq!((&state["content"], &state["etag"]), (&expected, &json!(change.etag)));
}

#[tokio::test]
async fn plain_json_and_no_content_type_are_a_merge_patch() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let path = format!("{}/content", integrator.path("A-1"));
    for (at, headers) in [
        vec![],
        vec![("content-type", "application/json")],
        vec![("content-type", "Application/JSON; charset=utf-8")],
        vec![("content-type", "application/merge-patch+json;charset=utf-8")],
    ]
    .into_iter()
    .enumerate()
    {
        let seat = format!("{at}B");
        let answer =
            integrator.request(Method::PATCH, &path, &headers, json!({ "seat": seat }).to_string()).await;
        assert!(Change::read(answer.assert_status(StatusCode::OK)).changed);
        assert_eq!(integrator.state("A-1").await["content"], a_ticket(&seat));
    }
}

#[tokio::test]
async fn operations_are_carried_out_in_order() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let patch = json!([
        { "op": "test", "path": "/seat", "value": "1A" },
        { "op": "replace", "path": "/seat", "value": "2B" },
        { "op": "add", "path": "/userInfo", "value": { "list": [1, 0.1, 1e30] } },
        { "op": "add", "path": "/userInfo/list/-", "value": null },
        { "op": "copy", "from": "/userInfo/list/1", "path": "/userInfo/list/0" },
        { "op": "move", "from": "/section", "path": "/userInfo/section" },
        { "op": "remove", "path": "/venueName" },
    ]);
    let answer = integrator.patch("A-1", OPERATIONS, &patch).await;
    assert!(Change::read(answer.assert_status(StatusCode::OK)).changed);
    let mut expected = a_ticket("2B");
    expected["userInfo"] = json!({ "list": [0.1, 1, 0.1, 1e30, null], "section": "Stalls" });
    for key in ["section", "venueName"] {
        expected.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(integrator.state("A-1").await["content"], expected);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_says_so() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    for (content_type, patch) in [
        (MERGE, json!({})),
        (MERGE, json!({ "seat": "1A", "missing": null })),
        (OPERATIONS, json!([])),
        (OPERATIONS, json!([{ "op": "test", "path": "/seat", "value": "1A" }])),
        (OPERATIONS, json!([{ "op": "replace", "path": "/seat", "value": "1A" }])),
    ] {
        let answer = integrator.patch("A-1", content_type, &patch).await;
        assert!(!Change::read(answer.assert_status(StatusCode::OK)).changed, "{patch}");
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn a_test_that_does_not_hold_is_409_and_names_its_operation() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    let patch = json!([
        { "op": "replace", "path": "/seat", "value": "2B" },
        { "op": "test", "path": "/seat", "value": "1A" },
    ]);
    let problem = assert_problem(&integrator.patch("A-1", OPERATIONS, &patch).await, 409);
    assert_eq!(problem["code"], "patch_test_failed");
    assert_eq!(problem["errors"][0]["pointer"], "/1");
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn an_operation_that_cannot_be_carried_out_is_422_and_named() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    let first = json!({ "op": "replace", "path": "/seat", "value": "2B" });
    let cases = [
        (json!({ "op": "remove", "path": "/missing" }), "/1/path"),
        (json!({ "op": "add", "path": "/seat/deeper", "value": 1 }), "/1/path"),
        (json!({ "op": "copy", "from": "/missing", "path": "/x" }), "/1/from"),
        (json!({ "op": "move", "from": "/missing", "path": "/x" }), "/1/from"),
        (json!({ "op": "test", "path": "/missing", "value": null }), "/1/path"),
        (json!({ "op": "increment", "path": "/seat" }), "/1/op"),
        (json!({ "path": "/seat" }), "/1/op"),
        (json!({ "op": 7, "path": "/seat" }), "/1/op"),
        (json!({ "op": "remove" }), "/1/path"),
        (json!({ "op": "remove", "path": 7 }), "/1/path"),
        (json!({ "op": "remove", "path": "seat" }), "/1/path"),
        (json!({ "op": "remove", "path": "/a~2b" }), "/1/path"),
        (json!({ "op": "add", "path": "/x" }), "/1/value"),
        (json!({ "op": "copy", "path": "/x" }), "/1/from"),
        (json!("remove"), "/1"),
    ];
    for (operation, pointer) in cases {
        assert_points_at(&integrator.patch("A-1", OPERATIONS, &json!([first, operation])).await, pointer);
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn a_patch_that_is_none_is_422() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let cases = [
        (MERGE, json!([])),
        (MERGE, json!(null)),
        (MERGE, json!("x")),
        ("application/json", json!([{ "op": "remove", "path": "/seat" }])),
        (OPERATIONS, json!({ "op": "remove", "path": "/seat" })),
        (OPERATIONS, json!([{ "op": "replace", "path": "", "value": [] }])),
        (OPERATIONS, Value::Array(vec![json!({ "op": "test", "path": "/seat", "value": "1A" }); 257])),
    ];
    for (content_type, patch) in cases {
        assert_points_at(&integrator.patch("A-1", content_type, &patch).await, "");
    }
    assert_eq!(integrator.state("A-1").await["content"], a_ticket("1A"));
}

#[tokio::test]
async fn what_a_patch_leads_to_has_to_be_acceptable_content() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    let operation =
        json!([{ "op": "add", "path": "/eventTicket", "value": { "primaryFields": [{ "key": "a" }] } }]);
    let cases = [
        (MERGE, json!({ "eventDateISO": "tomorrow" }), "/eventDateISO"),
        (MERGE, json!({ "voided": true }), "/voided"),
        (MERGE, json!({ "storeCard": {} }), "/storeCard"),
        (OPERATIONS, operation, "/eventTicket/primaryFields/0/value"),
    ];
    for (content_type, patch, pointer) in cases {
        assert_points_at(&integrator.patch("A-1", content_type, &patch).await, pointer);
    }
    assert_eq!(integrator.state("A-1").await, before);
    let change = integrator.merges("A-1", &json!({ "description": null })).await;
    assert!(change.warnings.iter().any(|warning| warning["pointer"] == "/description"), "{change:?}");
}

#[tokio::test]
async fn copies_of_copies_are_refused_before_they_are_large() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let copy = |at: usize| json!({ "op": "copy", "from": "", "path": format!("/x{at}") });
    let bomb: Value = (0..60).map(copy).collect();
    let problem = assert_problem(&integrator.patch("A-1", OPERATIONS, &bomb).await, 422);
    assert_eq!(problem["errors"][0]["code"], "content_too_large");
    integrator.merges("A-1", &json!({ "userInfo": { "text": "x".repeat(200_000) } })).await;
    let more = json!({ "more": "x".repeat(200_000) });
    let problem = assert_problem(&integrator.patch("A-1", MERGE, &more).await, 422);
    assert_eq!(problem["errors"][0]["code"], "content_too_large");
}

#[tokio::test]
async fn another_content_type_is_415_and_told_which_would_do() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for content_type in
        ["text/plain", "application/xml", "application/json-patch", "application/problem+json", ""]
    {
        let answer = integrator.patch("A-1", content_type, &json!({ "seat": "2B" })).await;
        assert_problem(&answer, 415);
        let accepted = answer.header("accept-patch").expect("Accept-Patch");
        assert!(accepted.contains(MERGE) && accepted.contains(OPERATIONS), "{accepted}");
    }
    assert_eq!(integrator.state("A-1").await["content"], a_ticket("1A"));
}

#[tokio::test]
async fn a_patch_that_cannot_be_read_is_400() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let path = format!("{}/content", integrator.path("A-1"));
    for body in ["", "{", r#"{"a":1,"a":2}"#, r#"{"a":9007199254740992}"#, r#"{"a":"\u0000"}"#, "[{]"] {
        for content_type in [MERGE, OPERATIONS] {
            let answer =
                integrator.request(Method::PATCH, &path, &[("content-type", content_type)], body).await;
            assert_problem(&answer, 400);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_patches_different_keys_loses_none() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let keys: Vec<String> = (0..20).map(|at| format!("key{at}")).collect();
    let calls = keys.iter().map(|key| {
        let integrator = integrator.clone();
        async move { integrator.merges("A-1", &json!({ key: key })).await }
    });
    join_all(calls).await;
    let content = integrator.state("A-1").await["content"].clone();
    assert!(keys.iter().all(|key| content[key] == json!(key)), "{content}");
}
