//! The doctor over HTTP: `POST /manage/v1/lint` for integrators, `/inspect` for everybody where it is wanted.

use honoken_simulator::Answer;
use honoken_tests::problem::assert_problem;
use honoken_tests::{Honoken, Integrator, a_ticket, package};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use zip::CompressionMethod;

use crate::a_service;

const LINT: &str = "/manage/v1/lint";
const PKPASS: (&str, &str) = ("content-type", "application/vnd.apple.pkpass");

async fn lints(integrator: &Integrator, path: &str, body: &Value) -> Value {
    report(&integrator.json(Method::POST, path, body).await)
}

#[track_caller]
fn report(answer: &Answer) -> Value {
    let report = answer.assert_status(StatusCode::OK).json();
    let findings = report["findings"].as_array().expect("findings");
    let has_error = findings.iter().any(|finding| finding["severity"] == "error");
    assert_eq!(report["acceptable"], !has_error, "{report}");
    let mut keys: Vec<&String> = report.as_object().expect("an object").keys().collect();
    keys.sort();
    assert_eq!(keys, ["acceptable", "findings"]);
    report
}

#[track_caller]
fn assert_finds(report: &Value, severity: &str, code: &str, pointer: &str) {
    let findings = report["findings"].as_array().expect("findings");
    let is_it = |finding: &&Value| {
        finding["code"] == code && finding["severity"] == severity && finding["pointer"] == pointer
    };
    let found = findings.iter().find(is_it).unwrap_or_else(|| panic!("{code} at {pointer}: {report}"));
    assert!(found["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
}

#[tokio::test]
async fn an_order_is_linted_as_it_would_be_issued_and_nothing_is_issued() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let good = integrator.order("L-1", &a_ticket("1A"));
    let report = lints(&integrator, LINT, &good).await;
    assert_eq!(report["acceptable"], true, "{report}");
    let issued = integrator.issue(&good).await.assert_status(StatusCode::CREATED).json();
    assert_eq!(report["findings"], issued["warnings"], "what issuing warns of");

    for (member, value, code, pointer) in [
        ("content", json!({ "eventDateISO": "tomorrow" }), "date_invalid", "/content/eventDateISO"),
        ("ticketStyle", json!("parchment"), "invalid", "/ticketStyle"),
        ("passTypeIdentifier", json!("pass.com.example.other"), "unknown_pass_type", "/passTypeIdentifier"),
        ("assets", json!({ "logo.png": "0".repeat(64) }), "unknown_blob", "/assets/logo.png"),
        ("poster", json!(true), "missing_image", "/assets/background.png"),
    ] {
        let mut order = integrator.order("L-2", &a_ticket("1A"));
        order[member] = value;
        let report = lints(&integrator, LINT, &order).await;
        assert_eq!(report["acceptable"], false, "{member}: {report}");
        assert_finds(&report, "error", code, pointer);
        assert_eq!(integrator.issue(&order).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{member}");
    }
    assert_problem(&integrator.get("L-2").await, 404);
    assert_eq!(
        integrator.lists_serials("").await.iter().filter(|serial| serial.starts_with("L-")).count(),
        1
    );
}

#[tokio::test]
async fn a_bare_pass_json_is_linted_by_the_style_that_is_named_or_told() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let card = json!({
        "formatVersion": 1, "passTypeIdentifier": "pass.com.example.elsewhere", "serialNumber": "1",
        "teamIdentifier": "TEAM123456", "organizationName": "The Club", "description": "A card",
        "generic": { "primaryFields": [{ "key": "a", "value": "x", "numberStyle": "PKNumberStyleDecimal" }] },
    });
    let report = lints(&integrator, LINT, &card).await;
    assert_finds(&report, "error", "formatter_conflict", "/generic/primaryFields/0/numberStyle");
    let content = json!({ "eventName": "Opening", "eventDateISO": "2027-03-01" });
    let report = lints(&integrator, "/manage/v1/lint?ticketStyle=event", &content).await;
    assert_finds(&report, "error", "date_invalid", "/eventDateISO");
    let report = lints(&integrator, "/manage/v1/lint?ticketStyle=coupon", &card).await;
    assert_finds(&report, "error", "other_style", "/generic");
    let untold = json!({ "formatVersion": 1, "description": "A card" });
    assert_problem(&integrator.json(Method::POST, LINT, &untold).await, 422);
    let unknown = integrator.json(Method::POST, "/manage/v1/lint?ticketStyle=parchment", &card).await;
    assert_problem(&unknown, 422);
}

#[tokio::test]
async fn a_signed_file_is_linted_as_a_phone_reads_it() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("F-1").await;
    let pass = integrator.downloads("F-1").await;
    let good = report(&integrator.request(Method::POST, LINT, &[PKPASS], pass.clone()).await);
    assert_eq!(good["acceptable"], true, "{good}");
    assert_finds(&good, "warning", "root_not_apples", "/files/signature");
    let mut files = package::files(&pass);
    files.insert(".DS_Store".to_owned(), (b"junk".to_vec(), CompressionMethod::Stored));
    let junk = report(&integrator.request(Method::POST, LINT, &[PKPASS], package::archive(&files)).await);
    assert_finds(&junk, "error", "file_not_listed", "/files/.DS_Store");
    let page = report(&integrator.request(Method::POST, LINT, &[PKPASS], "<html></html>").await);
    assert_finds(&page, "error", "archive_unreadable", "");
}

#[tokio::test]
async fn linting_needs_a_key_and_is_bounded() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let stranger = honoken.request(Method::POST, LINT, HeaderMap::new(), "{}").await;
    assert_problem(&stranger, 401);
    let large = vec![0; 9 * 1024 * 1024];
    assert_problem(&integrator.request(Method::POST, LINT, &[PKPASS], large).await, 413);
    let text = integrator.request(Method::POST, LINT, &[("content-type", "text/plain")], "{}").await;
    assert_problem(&text, 415);
    assert_problem(&integrator.request(Method::POST, LINT, &[], "{").await, 400);
}

/// A form with a file, as a browser sends it.
fn form(file: &[u8]) -> (HeaderMap, Vec<u8>) {
    let boundary = "----formboundary7MA4YWxk";
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"pass\"; filename=\"a.pkpass\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    let body = [head.as_bytes(), file, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let headers = HeaderMap::from_iter([(
        header::CONTENT_TYPE,
        HeaderValue::from_str(&content_type).expect("a header"),
    )]);
    (headers, body)
}

async fn inspects(honoken: &Honoken, file: &[u8]) -> Answer {
    let (headers, body) = form(file);
    honoken.request(Method::POST, "/inspect", headers, body).await
}

#[tokio::test]
async fn the_public_page_is_there_only_where_it_is_wanted() {
    let honoken = a_service().await;
    assert_problem(&honoken.request(Method::GET, "/inspect", HeaderMap::new(), "").await, 404);
    assert_problem(&inspects(&honoken, b"PK").await, 404);
}

#[tokio::test]
async fn anybody_has_a_pass_inspected_where_that_is_wanted() {
    let mut honoken = a_service().await;
    let pass = honoken.integrator().downloads(&honoken.ready().serial_number).await;
    honoken.terminate().await;
    honoken.has_variable("HONOKEN_PUBLIC_DOCTOR", "true");
    honoken.restart().await;
    let before = honoken.storage().positions().await.len();

    let page = honoken.request(Method::GET, "/inspect", HeaderMap::new(), "").await;
    let text = String::from_utf8(page.assert_status(StatusCode::OK).body.to_vec()).unwrap();
    assert!(text.contains("<form") && !text.contains("<script"), "{text}");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers["cache-control"], "no-store");

    let shown = async |file: &[u8]| {
        let answer = inspects(&honoken, file).await;
        String::from_utf8(answer.assert_status(StatusCode::OK).body.to_vec()).unwrap()
    };
    assert!(shown(&pass).await.contains("This pass is sound, but for its certificate"));
    let mut files = package::files(&pass);
    let markup = "<script>alert(1)</script>.txt";
    files.insert(markup.to_owned(), (b"x".to_vec(), CompressionMethod::Stored));
    let text = shown(&package::archive(&files)).await;
    assert!(text.contains("A phone does not take this pass") && text.contains("file_not_listed"), "{text}");
    assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"), "{text}");
    assert!(shown(b"<html>").await.contains("an HTML page"));
    assert!(shown(b"").await.contains("choose one"));
    assert_problem(&honoken.request(Method::POST, "/inspect", HeaderMap::new(), "PK").await, 415);
    assert_problem(&inspects(&honoken, &vec![0; 4 * 1024 * 1024]).await, 413);
    assert_eq!(honoken.storage().positions().await.len(), before, "nothing of it is kept");

    let mut answers = Vec::new();
    for _ in 0..30 {
        answers.push(inspects(&honoken, b"PK").await.status);
    }
    assert!(answers.contains(&StatusCode::TOO_MANY_REQUESTS), "{answers:?}");
}
