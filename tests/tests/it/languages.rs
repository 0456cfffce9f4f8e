//! Texts and images in other languages: given to a pass or its type, in its tag, in its file.

use honoken_simulator::Answer;
use honoken_tests::device::device;
use honoken_tests::problem::assert_problem;
use honoken_tests::{Integrator, a_ticket, drawing, package};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::a_service;

fn strings(pairs: &[(&str, &str)]) -> Value {
    let strings: serde_json::Map<String, Value> =
        pairs.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
    json!({ "strings": strings })
}

async fn sends(integrator: &Integrator, method: Method, path: &str, body: &Value) -> Answer {
    integrator.request(method, path, &[("content-type", "application/json")], body.to_string()).await
}

fn of_pass(integrator: &Integrator, serial_number: &str, language: &str) -> String {
    format!("{}/localizations/{language}", integrator.path(serial_number))
}

fn of_type(integrator: &Integrator, language: &str) -> String {
    format!("/manage/v1/pass-types/{}/localizations/{language}", integrator.pass_type_identifier())
}

/// A `pass.strings` file, decoded by its byte order mark.
fn decoded(bytes: &[u8]) -> String {
    match bytes {
        [0xff, 0xfe, rest @ ..] => {
            let units: Vec<u16> = rest.chunks(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
            String::from_utf16(&units).expect("UTF-16")
        }
        bytes => {
            assert!(bytes.is_ascii(), "what is not ASCII has a mark");
            String::from_utf8(bytes.to_vec()).expect("ASCII")
        }
    }
}

#[tokio::test]
async fn texts_given_at_issue_are_in_the_state_the_tag_and_the_file() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let mut order = integrator.order("sprachen", &a_ticket("1A"));
    order["localizations"] = json!({
        "de": strings(&[("1A", "Reihe 1 \"A\"")]),
        "zh-Hans": strings(&[("1A", "座位")]),
    });
    let issued = integrator.issue(&order).await;
    let answer = issued.assert_status(StatusCode::CREATED).json();
    let warnings = answer["warnings"].as_array().unwrap();
    let about_texts = warnings.iter().find(|each| each["code"].as_str().unwrap().starts_with("strings"));
    assert_eq!(about_texts, None, "every key is a text of the pass");
    // The harness computes the tag of every state that it reads.
    let state = integrator.state("sprachen").await;
    assert_eq!(state["localizations"], order["localizations"]);
    integrator.issue(&order).await.assert_status(StatusCode::OK);

    let pass = integrator.credentials("sprachen").await;
    let got = honoken.devices().get(&pass, &[]).await;
    let files = package::files(&got.assert_status(StatusCode::OK).body);
    assert_eq!(decoded(&files["de.lproj/pass.strings"].0), "\"1A\" = \"Reihe 1 \\\"A\\\"\";\n");
    assert_eq!(files["zh-Hans.lproj/pass.strings"].0[..2], [0xff, 0xfe]);
    assert_eq!(decoded(&files["zh-Hans.lproj/pass.strings"].0), "\"1A\" = \"座位\";\n");
    let manifest: Value = serde_json::from_slice(&files["manifest.json"].0).unwrap();
    assert!(manifest["de.lproj/pass.strings"].is_string(), "{manifest}");
    package::assert_verifies(&got.body, &honoken.ready().ca_file).await;
}

#[tokio::test]
async fn a_language_of_a_pass_is_put_read_and_removed_and_its_phone_hears_of_it() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("a").await;
    let before = integrator.state("a").await;
    let pass = integrator.credentials("a").await;
    honoken.devices().register(&device(1), "token", &pass).await.assert_status(StatusCode::CREATED);
    let (_, tag) = honoken.devices().lists(&device(1), &pass.pass_type_identifier, None).await.unwrap();

    let path = of_pass(&integrator, "a", "de");
    let texts = strings(&[("1A", "Platz 1A"), ("Nowhere", "Nirgends")]);
    let put = sends(&integrator, Method::PUT, &path, &texts).await.assert_status(StatusCode::OK).json();
    assert_eq!(put["changed"], true);
    let warned: Vec<&str> =
        put["warnings"].as_array().unwrap().iter().map(|each| each["code"].as_str().unwrap()).collect();
    assert_eq!(warned, ["strings_key_unused"]);
    assert_ne!(put["etag"], before["etag"]);
    let again = sends(&integrator, Method::PUT, &path, &texts).await.assert_status(StatusCode::OK).json();
    assert_eq!((&again["changed"], &again["etag"]), (&json!(false), &put["etag"]));
    let read = integrator.request(Method::GET, &path, &[], "").await;
    assert_eq!(read.assert_status(StatusCode::OK).json(), texts);
    let (serials, _) =
        honoken.devices().lists(&device(1), &pass.pass_type_identifier, Some(&tag)).await.unwrap();
    assert_eq!(serials, ["a"]);

    let stale = [("content-type", "application/json"), ("if-match", "\"0\"")];
    let refused = integrator.request(Method::PUT, &path, &stale, strings(&[("1A", "x")]).to_string()).await;
    assert_problem(&refused, 412);
    let gone = integrator.request(Method::DELETE, &path, &[], "").await;
    assert_eq!(gone.assert_status(StatusCode::OK).json()["changed"], true);
    assert_eq!(integrator.state("a").await.get("localizations"), None);
    assert_problem(&integrator.request(Method::GET, &path, &[], "").await, 404);
}

#[tokio::test]
async fn texts_of_a_type_reach_its_passes_and_leave_their_own() {
    let honoken = a_service().await;
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    integrator.issues("bare").await;
    let mut order = integrator.order("own", &a_ticket("1A"));
    order["localizations"] = json!({ "de": strings(&[("1A", "Loge")]) });
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);

    let texts = strings(&[("1A", "Platz 1A"), ("Gate", "Tor")]);
    let put = sends(&integrator, Method::PUT, &of_type(&integrator, "de"), &texts).await;
    let job = put.assert_status(StatusCode::ACCEPTED).json()["job"].clone();
    assert_eq!(job["kind"], "passTypeLocalizations");
    let finished = operator.sees_finished(&put).await;
    assert_eq!((&finished["total"], &finished["failed"]), (&json!(3), &json!(0)));
    let seen = integrator.request(Method::GET, put.header("location").unwrap(), &[], "").await;
    assert_eq!(seen.assert_status(StatusCode::OK).json(), finished);
    assert_eq!(integrator.state("bare").await["localizations"]["de"], texts);
    let merged = strings(&[("1A", "Loge"), ("Gate", "Tor")]);
    assert_eq!(integrator.state("own").await["localizations"]["de"], merged);
    integrator.issues("later").await;
    assert_eq!(integrator.state("later").await["localizations"]["de"], texts);
    let read = integrator.request(Method::GET, &of_type(&integrator, "de"), &[], "").await;
    assert_eq!(read.assert_status(StatusCode::OK).json(), texts);
    let again = sends(&integrator, Method::PUT, &of_type(&integrator, "de"), &texts).await;
    assert_eq!(again.assert_status(StatusCode::OK).json(), json!({ "changed": false }));

    let removed = integrator.request(Method::DELETE, &of_type(&integrator, "de"), &[], "").await;
    operator.sees_finished(&removed).await;
    assert_eq!(integrator.state("bare").await.get("localizations"), None);
    assert_eq!(integrator.state("own").await["localizations"]["de"], strings(&[("1A", "Loge")]));
}

#[tokio::test]
async fn an_image_of_a_language_keeps_the_fallback_from_hiding_it() {
    let honoken = a_service().await;
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    integrator.issues("a").await;
    operator.sees_finished(&integrator.put_type_asset("logo.png", drawing::logo(1)).await).await;
    assert!(integrator.state("a").await["assets"]["logo.png"].is_string());

    let german = drawing::logo(2);
    let png = [("content-type", "image/png")];
    // The slash stays, or is encoded: both are the same file.
    let plain = format!("{}/assets/de.lproj/logo.png", integrator.path("a"));
    let put = integrator.request(Method::PUT, &plain, &png, german.clone()).await;
    assert_eq!(put.assert_status(StatusCode::OK).json()["changed"], true);
    for path in [plain.clone(), integrator.asset_path("a", "de.lproj/logo.png")] {
        assert_eq!(
            integrator.request(Method::GET, &path, &[], "").await.assert_status(StatusCode::OK).body,
            german
        );
    }
    let state = integrator.state("a").await;
    assert_eq!(state["assets"].get("logo.png"), None, "it would hide the German one: {state}");
    let pass = integrator.credentials("a").await;
    let files = package::files(&honoken.devices().get(&pass, &[]).await.assert_status(StatusCode::OK).body);
    assert_eq!(files["de.lproj/logo.png"].0, german);
    assert!(!files.contains_key("logo.png"));

    let both =
        integrator.put_asset("a", "logo.png", drawing::logo(3)).await.assert_status(StatusCode::OK).json();
    assert_eq!(both["warnings"][0]["code"], "image_language", "{both}");
    integrator.request(Method::DELETE, &plain, &[], "").await.assert_status(StatusCode::OK);
    let icon = format!("{}/assets/fr.lproj/icon.png", integrator.path("a"));
    let put = integrator.request(Method::PUT, &icon, &png, drawing::icon(5)).await;
    let answer = put.assert_status(StatusCode::OK).json();
    assert_eq!(answer["warnings"][0]["code"], "image_language", "{answer}");
    assert!(
        integrator.state("a").await["assets"]["icon.png"].is_string(),
        "the icon for all languages stays"
    );

    let of_type =
        format!("/manage/v1/pass-types/{}/assets/it.lproj/logo.png", integrator.pass_type_identifier());
    let put = integrator.request(Method::PUT, &of_type, &png, drawing::logo(7)).await;
    put.assert_status(StatusCode::ACCEPTED);
    let scaled = format!("{}/assets/es.lproj/thumbnail.png?scale=auto", integrator.path("a"));
    let made = integrator.request(Method::PUT, &scaled, &png, drawing::icon(9)).await;
    let made = made.assert_status(StatusCode::OK).json()["assets"].clone();
    let names: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(names, ["es.lproj/thumbnail.png", "es.lproj/thumbnail@2x.png", "es.lproj/thumbnail@3x.png"]);
}

#[tokio::test]
async fn languages_that_are_none_are_refused_with_their_place_and_change_nothing() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("a").await;
    let before = integrator.state("a").await;
    let mut order = integrator.order("b", &a_ticket("1A"));
    for (localizations, pointer) in [
        (json!([]), "/localizations"),
        (json!({ "d": strings(&[("A", "B")]) }), "/localizations/d"),
        (json!({ "../de": strings(&[("A", "B")]) }), "/localizations/..~1de"),
        (json!({ "de": 1 }), "/localizations/de"),
        (json!({ "de": {} }), "/localizations/de/strings"),
        (json!({ "de": { "strings": {} } }), "/localizations/de/strings"),
        (json!({ "de": { "strings": { "A/B": 1 } } }), "/localizations/de/strings/A~1B"),
        (json!({ "de": { "strings": { "A": "B" }, "images": {} } }), "/localizations/de/images"),
    ] {
        order["localizations"] = localizations.clone();
        let refused = integrator.issue(&order).await;
        let problem = assert_problem(&refused, 422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{localizations}: {problem}");
    }
    for (language, body, status) in [
        ("d", strings(&[("A", "B")]), 422),
        ("de%2F..", strings(&[("A", "B")]), 422),
        ("de", json!({ "strings": { "": "x" } }), 422),
        ("de", json!([]), 422),
    ] {
        for path in [of_pass(&integrator, "a", language), of_type(&integrator, language)] {
            assert_problem(&sends(&integrator, Method::PUT, &path, &body).await, status);
        }
    }
    assert_problem(
        &sends(&integrator, Method::PUT, &of_pass(&integrator, "no", "de"), &strings(&[("A", "B")])).await,
        404,
    );
    assert_eq!(integrator.state("a").await, before);
}

#[tokio::test]
async fn a_pass_that_would_be_left_without_its_icon_gets_the_texts_of_its_type() {
    let honoken = a_service().await;
    let (integrator, operator) = (honoken.integrator(), honoken.operator());
    integrator.issues("bare").await;
    for file in ["icon.png", "icon@2x.png", "icon@3x.png"] {
        let removed = operator.remove_brand_asset(file).await;
        if removed.status == StatusCode::ACCEPTED {
            operator.sees_finished(&removed).await;
        }
    }
    let before = integrator.state("bare").await;
    let texts = strings(&[("1A", "Platz 1A")]);
    let put = sends(&integrator, Method::PUT, &of_type(&integrator, "de"), &texts).await;
    let finished = operator.sees_finished(&put).await;
    assert_eq!(finished["failures"][0]["code"], "missing_image", "{finished}");
    let after = integrator.state("bare").await;
    assert_eq!((&after["assets"], &after["localizations"]["de"]), (&before["assets"], &texts));
}
