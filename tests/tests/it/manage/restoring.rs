//! `POST …/restore`: a pass gets back what it had, as one change. `GET …/at/pkpass`: the files that it had.

use std::fs;
use std::path::PathBuf;

use honoken_tests::device::{device, push_token};
use honoken_tests::etag::sha256;
use honoken_tests::problem::{assert_points_at, assert_problem};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Change, Honoken, Integrator, a_ticket, drawing, package};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::a_service_with_a_pass;
use crate::a_service;

/// What a restoration brings back, as the state shows it.
const PARTS: [&str; 5] = ["ticketStyle", "poster", "content", "assets", "localizations"];

fn position_of(state: &Value) -> u64 {
    state["position"].as_u64().expect("a position")
}

fn parts(state: &Value) -> Vec<&Value> {
    PARTS.iter().map(|part| &state[*part]).collect()
}

/// A pass with an own logo and German texts that becomes another one in every part. Gives its state before.
async fn changes_in_every_part(integrator: &Integrator) -> Value {
    integrator.puts_asset("A-1", "logo.png", drawing::logo(1)).await;
    let german = format!("{}/localizations/de", integrator.path("A-1"));
    let texts = json!({ "strings": { "Stalls": "Parkett" } });
    integrator.json(Method::PUT, &german, &texts).await.assert_status(StatusCode::OK);
    let before = integrator.state("A-1").await;
    integrator.draw_as("A-1", &json!({ "ticketStyle": "generic" })).await.assert_status(StatusCode::OK);
    integrator.moves_to("A-1", "2B").await;
    integrator.puts_asset("A-1", "logo.png", drawing::logo(2)).await;
    integrator.request(Method::DELETE, &german, &[], "").await.assert_status(StatusCode::OK);
    before
}

#[tokio::test]
async fn every_part_comes_back_as_one_change_that_its_phone_gets() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let before = changes_in_every_part(&integrator).await;
    let pass = integrator.credentials("A-1").await;
    let devices = honoken.devices();
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    let (_, tag) = devices.lists(&device(1), &pass.pass_type_identifier, None).await.expect("it is listed");

    let other = integrator.state("A-1").await;
    let change = integrator.restores("A-1", position_of(&before)).await;
    let after = integrator.state("A-1").await;
    assert_eq!(parts(&after), parts(&before));
    assert_eq!((after["etag"].as_str(), position_of(&after)), (Some(change.etag.as_str()), change.position));
    let (serials, _) =
        devices.lists(&device(1), &pass.pass_type_identifier, Some(&tag)).await.expect("it is listed");
    assert_eq!(serials, ["A-1"]);
    let files = package::files(&devices.get(&pass, &[]).await.assert_status(StatusCode::OK).body);
    assert_eq!(files["logo.png"].0, drawing::logo(1));
    assert!(files.contains_key("de.lproj/pass.strings"));

    let again =
        Change::read(integrator.restore("A-1", position_of(&before)).await.assert_status(StatusCode::OK));
    assert!(!again.changed, "{again:?}");
    assert_eq!(integrator.state("A-1").await["etag"], after["etag"]);
    // The way back is open as well.
    integrator.restores("A-1", position_of(&other)).await;
    assert_eq!(parts(&integrator.state("A-1").await), parts(&other));
}

#[tokio::test]
async fn a_void_pass_stays_void_and_a_retired_one_is_not_changed() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let first = position_of(&integrator.state("A-1").await);
    integrator.moves_to("A-1", "2B").await;
    integrator.voids("A-1").await;
    integrator.restores("A-1", first).await;
    let state = integrator.state("A-1").await;
    assert_eq!((&state["voided"], &state["content"]), (&json!(true), &a_ticket("1A")));
    let valid = position_of(&state) - 1;
    integrator.retires("A-1").await;
    assert_eq!(assert_problem(&integrator.restore("A-1", valid).await, 409)["code"], "retired");
}

#[tokio::test]
async fn a_position_that_is_none_and_a_state_that_is_another_by_now_are_refused() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let first = integrator.state("A-1").await;
    let position = position_of(&first);
    let changed = integrator.moves_to("A-1", "2B").await;
    assert_problem(&integrator.restore("A-1", position - 1).await, 404);
    let beyond = integrator.restore("A-1", changed.position + 1_000_000_000_000).await;
    assert_points_at(&beyond, "/position");
    let path = format!("{}/restore", integrator.path("A-1"));
    for body in [json!({ "position": 0 }), json!({ "position": "1" }), json!({ "position": 1.5 }), json!({})]
    {
        assert_points_at(&integrator.json(Method::POST, &path, &body).await, "/position");
    }
    let body = json!({ "position": position }).to_string();
    let old = format!("\"{}\"", first["etag"].as_str().expect("a tag"));
    let answer = integrator.request(Method::POST, &path, &[("if-match", &old)], body.clone()).await;
    assert_problem(&answer, 412);
    assert_eq!(integrator.state("A-1").await["content"], a_ticket("2B"));
    let current = format!("\"{}\"", changed.etag);
    let answer = integrator.request(Method::POST, &path, &[("if-match", &current)], body).await;
    assert!(Change::read(answer.assert_status(StatusCode::OK)).changed);
}

#[tokio::test]
async fn a_state_that_todays_rules_refuse_does_not_come_back() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let operator = honoken.operator();
    let put = integrator.put_type_asset("background.png", drawing::background(1)).await;
    operator.sees_finished(&put).await;
    let mut order = integrator.order("A-1", &a_ticket("1A"));
    order["poster"] = json!(true);
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    let poster = position_of(&integrator.state("A-1").await);
    integrator.draw_as("A-1", &json!({ "poster": false })).await.assert_status(StatusCode::OK);
    operator.sees_finished(&integrator.remove_type_asset("background.png").await).await;
    let before = integrator.state("A-1").await;
    let refused = integrator.restore("A-1", poster).await;
    assert_points_at(&refused, "/poster");
    assert_eq!(refused.json()["errors"][0]["code"], "missing_image");
    assert_eq!(integrator.state("A-1").await, before);
}

/// The place of an image in the folder of a service.
fn stored(honoken: &Honoken, image: &[u8]) -> PathBuf {
    let digest = sha256(image);
    honoken.home().data_dir().join("blobs").join(&digest[..2]).join(&digest[2..])
}

#[tokio::test]
async fn an_image_that_is_gone_is_named_and_its_pass_stays_as_it_is() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let before = changes_in_every_part(&integrator).await;
    let at = format!("?position={}", position_of(&before));
    honoken.terminate().await;
    fs::remove_file(stored(&honoken, &drawing::logo(1))).expect("it was stored");
    honoken.restart().await;
    let integrator = honoken.integrator();
    let now = integrator.state("A-1").await;
    for answer in
        [integrator.restore("A-1", position_of(&before)).await, integrator.past_files("A-1", &at).await]
    {
        let problem = assert_problem(&answer, 409);
        assert_eq!(problem["code"], "image_gone");
        assert!(problem["detail"].as_str().expect("a sentence").contains("logo.png"), "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], "/assets/logo.png");
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(integrator.state("A-1").await, now);
    // Its state can still be read, and comes back once the image does.
    integrator.past("A-1", &at).await.assert_status(StatusCode::OK);
    integrator.uploads(&drawing::logo(1)).await;
    integrator.restores("A-1", position_of(&before)).await;
}

#[tokio::test]
async fn the_files_of_a_state_are_those_that_phones_had_and_no_phone_takes_them() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let path = format!("{}/localizations/de", integrator.path("A-1"));
    let texts = json!({ "strings": { "Stalls": "Parkett" } });
    integrator.json(Method::PUT, &path, &texts).await.assert_status(StatusCode::OK);
    integrator.puts_asset("A-1", "logo.png", drawing::logo(1)).await;
    let state = integrator.state("A-1").await;
    let pkpass = package::files(&integrator.downloads("A-1").await);
    integrator.voids("A-1").await;
    integrator.moves_to("A-1", "2B").await;
    integrator.removes_asset("A-1", "logo.png").await;

    let answer = integrator.past_files("A-1", &format!("?position={}", position_of(&state))).await;
    answer.assert_status(StatusCode::OK).assert_header("content-type", "application/zip");
    let name = answer.headers["content-disposition"].to_str().expect("text");
    assert!(name.contains("\"A-1.zip\"") && !name.contains(".pkpass"), "{name}");
    let files = package::files(&answer.body);
    let json_of = |file: &[u8]| serde_json::from_slice::<Value>(file).expect("JSON");
    let (past, mut then) = (json_of(&files["pass.json"].0), json_of(&pkpass["pass.json"].0));
    for member in ["webServiceURL", "authenticationToken"] {
        assert!(then.as_object_mut().expect("an object").remove(member).is_some());
    }
    assert_eq!(past, then);
    for (file, bytes) in &pkpass {
        if !["pass.json", "manifest.json", "signature"].contains(&file.as_str()) {
            assert_eq!(files.get(file), Some(bytes), "{file}");
        }
    }
    assert_eq!(files.len() + 1, pkpass.len(), "all but the signature: {:?}", files.keys());

    let newest = integrator.past_files("A-1", "").await;
    let newest = package::files(&newest.assert_status(StatusCode::OK).body);
    assert_eq!(json_of(&newest["pass.json"].0)["voided"], true);
    assert_ne!(newest.get("logo.png").map(|(bytes, _)| bytes.clone()), Some(drawing::logo(1)));
    let none = integrator.past_files("A-1", "?position=0").await;
    assert_problem(&none, 422);
    assert_problem(&integrator.past_files("A-1", "?time=1999-01-01T00:00:00Z").await, 404);
}

#[tokio::test]
async fn an_image_that_a_former_state_names_is_not_removed_as_garbage() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let before = changes_in_every_part(&integrator).await;
    integrator.uploads(&drawing::icon(200)).await;
    let gc = ["blobs", "gc", "--hold-seconds", "0", "--older-than-days", "0"];
    eventually(PATIENCE, "what nothing names goes", async || {
        let output = honoken.home().runs(&gc).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (!stored(&honoken, &drawing::icon(200)).exists()).then_some(())
    })
    .await;
    assert!(stored(&honoken, &drawing::logo(1)).exists());
    integrator.restores("A-1", position_of(&before)).await;
    let files = package::files(&integrator.downloads("A-1").await);
    assert_eq!(files["logo.png"].0, drawing::logo(1));
}
