//! Replacing content, voiding, reinstating; `If-Match`; what every answer to a change has in common.

use honoken_simulator::{Answer, Package};
use honoken_tests::device::{device, push_token};
use honoken_tests::etag::unix_seconds;
use honoken_tests::problem::{assert_points_at, assert_problem};
use honoken_tests::{Change, Integrator, a_ticket, drawing};
use http::{Method, StatusCode};
use serde_json::json;

use super::a_service_with_a_pass;
use crate::a_service;

#[tokio::test]
async fn replacing_content_replaces_all_of_it() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let content =
        json!({ "description": "Something else", "userInfo": { "deep": [1, 2.5, null, true, "é"] } });
    integrator.replaces("A-1", &content).await;
    assert_eq!(integrator.state("A-1").await["content"], content);
}

#[tokio::test]
async fn replacing_content_with_its_equal_changes_nothing() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.replaces("A-1", &json!({ "description": "é", "userInfo": { "a": 1, "b": 100 } })).await;
    let before = integrator.state("A-1").await;
    let path = format!("{}/content", integrator.path("A-1"));
    let spelled = r#" {"userInfo":{"b":1e2,"a":1.0},"description":"\u00E9"} "#;
    let answer = integrator.request(Method::PUT, &path, &[], spelled).await;
    let change = Change::read(answer.assert_status(StatusCode::OK));
    assert!(!change.changed && change.projected, "{change:?}");
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn content_that_is_not_acceptable_is_422_with_pointers_into_it() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    let cases = [
        (json!([]), ""),
        (json!("text"), ""),
        (json!(null), ""),
        (json!({ "eventDateISO": "2027-03-01 19:30" }), "/eventDateISO"),
        (json!({ "authenticationToken": "0123456789abcdef" }), "/authenticationToken"),
        (json!({ "voided": true }), "/voided"),
        (
            json!({ "eventTicket": { "primaryFields": [{ "key": "a" }] } }),
            "/eventTicket/primaryFields/0/value",
        ),
        (json!({ "eventTicket": {}, "coupon": {} }), "/coupon"),
        (json!({ "backgroundColor": 7 }), "/backgroundColor"),
    ];
    for (content, pointer) in cases {
        let answer = integrator.replace("A-1", &content).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{content}: {}", answer.excerpt());
        assert_points_at(&answer, pointer);
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn voiding_and_reinstating_show_in_the_state() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.voids("A-1").await;
    assert_eq!(integrator.state("A-1").await["voided"], true);
    assert!(!Change::read(integrator.void("A-1").await.assert_status(StatusCode::OK)).changed);
    integrator.reinstates("A-1").await;
    assert_eq!(integrator.state("A-1").await["voided"], false);
    assert!(!Change::read(integrator.reinstate("A-1").await.assert_status(StatusCode::OK)).changed);
}

#[tokio::test]
async fn a_voided_pass_can_still_be_changed_and_stays_void() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    integrator.voids("A-1").await;
    integrator.moves_to("A-1", "2B").await;
    let state = integrator.state("A-1").await;
    assert_eq!((&state["voided"], &state["content"]["seat"]), (&json!(true), &json!("2B")));
}

#[tokio::test]
async fn a_pass_that_does_not_exist_is_404_on_every_route() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let here = integrator.path("missing");
    for pass in [
        here.clone(),
        "/manage/v1/passes/pass.com.example.unknown/A-1".to_owned(),
        "/manage/v1/passes/x/y".to_owned(),
    ] {
        let content = a_ticket("1A").to_string();
        let icon = drawing::icon(1);
        let calls: [(Method, &str, Vec<u8>); 16] = [
            (Method::GET, "", vec![]),
            (Method::PATCH, "", br#"{"poster":true}"#.to_vec()),
            (Method::DELETE, "", vec![]),
            (Method::PATCH, "/content", br#"{"seat":"2B"}"#.to_vec()),
            (Method::POST, "/increment", br#"{"pointer":"/points","by":1}"#.to_vec()),
            (Method::GET, "/history", vec![]),
            (Method::GET, "/at?position=1", vec![]),
            (Method::GET, "/at/pkpass?position=1", vec![]),
            (Method::POST, "/restore", br#"{"position":1}"#.to_vec()),
            (Method::PUT, "/content", content.into_bytes()),
            (Method::POST, "/void", vec![]),
            (Method::POST, "/reinstate", vec![]),
            (Method::GET, "/pkpass", vec![]),
            (Method::PUT, "/assets/icon.png", icon),
            (Method::GET, "/assets/icon.png", vec![]),
            (Method::DELETE, "/assets/icon.png", vec![]),
        ];
        for (method, rest, body) in calls {
            let answer = integrator.request(method.clone(), &format!("{pass}{rest}"), &[], body).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {pass}{rest}: {}", answer.excerpt());
            assert_problem(&answer, 404);
        }
    }
}

/// How many ways there are to change a pass.
const CHANGES: usize = 9;

/// Every way to change a pass, with `If-Match`. Each of them changes the pass of [`a_service_with_a_pass`].
async fn changes_if(integrator: &Integrator, kind: usize, if_match: &str) -> Answer {
    let pass = integrator.path("A-1");
    let (method, path, body) = match kind {
        0 => (Method::PUT, format!("{pass}/content"), a_ticket("2B").to_string().into_bytes()),
        1 => (Method::POST, format!("{pass}/void"), vec![]),
        2 => (Method::POST, format!("{pass}/reinstate"), vec![]),
        3 => (Method::PUT, format!("{pass}/assets/logo.png"), drawing::logo(9)),
        4 => (Method::DELETE, format!("{pass}/assets/logo.png"), vec![]),
        5 => (Method::PATCH, format!("{pass}/content"), br#"{"userInfo":{"points":40}}"#.to_vec()),
        6 => {
            (Method::POST, format!("{pass}/increment"), br#"{"pointer":"/userInfo/points","by":2}"#.to_vec())
        }
        7 => (Method::PATCH, pass, br#"{"ticketStyle":"generic"}"#.to_vec()),
        _ => (Method::DELETE, pass, vec![]),
    };
    integrator.request(method, &path, &[("if-match", if_match)], body).await
}

#[tokio::test]
async fn if_match_with_another_tag_is_412_on_every_change() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let state = integrator.state("A-1").await;
    let etag = state["etag"].as_str().unwrap();
    let other = "0".repeat(64);
    let refused = [
        format!("\"{other}\""),
        format!("W/\"{etag}\""),
        format!("\"{other}\", \"{}\"", "1".repeat(64)),
        "\"\"".to_owned(),
        format!("\"{}\"", etag.to_uppercase()),
    ];
    for if_match in refused {
        for kind in 0..CHANGES {
            let answer = changes_if(&integrator, kind, &if_match).await;
            assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED, "{if_match} on change {kind}");
            assert_problem(&answer, 412);
        }
    }
    assert_eq!(integrator.state("A-1").await, state);
}

#[tokio::test]
async fn if_match_with_the_current_tag_lets_every_change_through() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for kind in 0..CHANGES {
        let etag = integrator.state("A-1").await["etag"].as_str().unwrap().to_owned();
        let answer = changes_if(&integrator, kind, &format!("\"{}\", \"{etag}\"", "0".repeat(64))).await;
        let change = Change::read(answer.assert_status(StatusCode::OK));
        assert!(change.changed, "change {kind}");
        // The same call again knows an old state.
        assert_problem(&changes_if(&integrator, kind, &format!("\"{etag}\"")).await, 412);
        integrator.state("A-1").await;
    }
}

#[tokio::test]
async fn if_match_with_a_star_means_any_state_of_an_existing_pass() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    for kind in 0..CHANGES {
        changes_if(&integrator, kind, "*").await.assert_status(StatusCode::OK);
    }
}

#[tokio::test]
async fn an_if_match_that_cannot_be_read_changes_nothing() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let before = integrator.state("A-1").await;
    for garbled in ["", "tag", "\"unclosed", ","] {
        let answer = changes_if(&integrator, 0, garbled).await;
        assert!(matches!(answer.status.as_u16(), 400 | 412), "{garbled:?}: {}", answer.status);
        assert_problem(&answer, answer.status.as_u16());
    }
    assert_eq!(integrator.state("A-1").await, before);
}

#[tokio::test]
async fn what_was_answered_is_visible_at_once_to_everybody() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let pass = integrator.credentials("A-1").await;
    let devices = honoken.devices();
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    let mut last =
        Change::read(integrator.replace("A-1", &a_ticket("0")).await.assert_status(StatusCode::OK));
    for round in 0..5_u8 {
        let changes = [
            integrator.moves_to("A-1", &format!("{round}A")).await,
            integrator.voids("A-1").await,
            integrator.puts_asset("A-1", "logo.png", drawing::logo(round)).await,
            integrator.reinstates("A-1").await,
            integrator.removes_asset("A-1", "logo.png").await,
        ];
        assert!(changes.is_sorted_by(|one, next| one.position < next.position), "{changes:?}");
        for change in changes {
            assert!(change.position > last.position && change.updated_at > last.updated_at, "{change:?}");
            last = change;
        }
        let state = integrator.state("A-1").await;
        assert_eq!(state["etag"], last.etag);
        assert_eq!(state["position"], last.position);
        assert_eq!(state["updateTag"], last.update_tag);
        assert_eq!(unix_seconds(&state["updatedAt"]), last.updated_at);
        let got = devices.get(&pass, &[]).await;
        got.assert_header("etag", &format!("\"{}\"", last.etag));
        let (_, tag) = devices.lists(&device(1), integrator.pass_type_identifier(), None).await.unwrap();
        assert_eq!(tag, last.update_tag);
    }
}

#[tokio::test]
async fn each_single_change_can_be_read_back_with_a_tag_that_belongs_to_it() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let mut etags = vec![integrator.state("A-1").await["etag"].clone()];
    for kind in 0..CHANGES {
        let change = Change::read(changes_if(&integrator, kind, "*").await.assert_status(StatusCode::OK));
        assert!(change.changed, "change {kind}");
        // `state` recomputes the tag.
        let state = integrator.state("A-1").await;
        assert_eq!(state["etag"], change.etag, "change {kind}");
        assert!(!etags.contains(&state["etag"]), "change {kind} led to an old tag");
        etags.push(state["etag"].clone());
    }
}

#[tokio::test]
async fn odd_content_keeps_its_meaning_and_its_tag() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let contents = [
        r#"{"description":"x","userInfo":{"🎫":1,"Ａ":2,"é":3,"":4,"\u2028":5,"\"":6}}"#,
        r#"{"description":"x","userInfo":[1e30,1e-7,0.1,-0.0,1.5e300,9007199254740991,-9007199254740991,123456789.125]}"#,
        r#"{"description":"\ud83c\udfab \u0001 \u007f \u2029 \ufeff \ufffd"}"#,
        r#"{"description":"x","userInfo":[[],{},[[{}]],null,false,"",{"a":{"a":{"a":{}}}}]}"#,
        r#"{"description":"e\u0301 and \u00e9 are not the same"}"#,
    ];
    for content in contents {
        let path = format!("{}/content", integrator.path("A-1"));
        let answer = integrator.request(Method::PUT, &path, &[], content).await;
        assert!(Change::read(answer.assert_status(StatusCode::OK)).changed, "{content}");
        let state = integrator.state("A-1").await;
        let sent: serde_json::Value = serde_json::from_str(content).unwrap();
        let canonical = |value| serde_json_canonicalizer::to_string(value).unwrap();
        assert_eq!(canonical(&state["content"]), canonical(&sent));
    }
}

#[tokio::test]
async fn the_code_of_a_railway_ticket_keeps_its_zeros() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let message: String = (0..=255_u8).rev().map(char::from).collect();
    let mut content = a_ticket("1A");
    content["barcodes"] =
        json!([{ "format": "PKBarcodeFormatAztec", "message": message, "messageEncoding": "iso-8859-1" }]);
    content["userInfo"] = json!({ "an escape": "\u{fdd0}0" });
    integrator.replaces("A-1", &content).await;
    let state = integrator.state("A-1").await;
    assert_eq!(state["content"], content);
    honoken_tests::etag::assert_belongs(&state);
    let package = Package::open(integrator.downloads("A-1").await).unwrap();
    assert_eq!(package.pass_json()["barcodes"][0]["message"], message);
    assert_eq!(integrator.issue(&integrator.order("B-1", &content)).await.status, StatusCode::CREATED);

    let operations = |path: &str| json!([{ "op": "replace", "path": path, "value": "a\0b" }]);
    let patch =
        async |path: &str| integrator.patch("A-1", "application/json-patch+json", &operations(path)).await;
    patch("/barcodes/0/message").await.assert_status(StatusCode::OK);
    assert_points_at(&patch("/seat").await, "/seat");
    let copy = json!([{ "op": "copy", "from": "/barcodes/0/message", "path": "/barcodes/0/altText" }]);
    let copied = integrator.patch("A-1", "application/json-patch+json", &copy).await;
    assert_points_at(&copied, "/barcodes/0/altText");
    let seat = integrator.patch("A-1", "application/merge-patch+json", &json!({ "seat": "\0" })).await;
    assert_problem(&seat, 400);
    assert_eq!(integrator.state("A-1").await["content"]["barcodes"][0]["message"], "a\0b");
    drop(honoken);
}
