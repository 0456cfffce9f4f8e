//! Broken and hostile input: no 5xx, no panic, and other requests go on.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use honoken_pkpass::reader;
use honoken_tests::problem::{assert_is_problem, assert_problem};
use honoken_tests::wire::{Wire, status};
use honoken_tests::{Honoken, Integrator, a_ticket, etag};
use http::{HeaderMap, Method, StatusCode};
use proptest::collection::{hash_map, vec};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::a_service;

/// Longer than any limit of the service.
const LONG: Duration = Duration::from_secs(90);
/// Long enough for an answer that needs no waiting.
const SOON: Duration = Duration::from_secs(10);

async fn a_service_with_a_pass() -> (Honoken, Integrator) {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    (honoken, integrator)
}

/// The process is there, answers, and never panicked.
async fn assert_well(honoken: &mut Honoken) {
    honoken.assert_alive();
    let live = honoken.request(Method::GET, "/health/live", HeaderMap::new(), "").await;
    live.assert_status(StatusCode::OK);
    let output = honoken.output_so_far().await;
    assert!(!output.contains("panicked"), "{output}");
}

#[tokio::test]
async fn bytes_that_are_not_http_hurt_nobody() {
    let mut honoken = a_service().await;
    let requests: [&[u8]; 15] = [
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: a\0b\r\n\r\n",
        b"GET http://elsewhere/v1/log HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        b"POST /v1/log HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: -1\r\n\r\n{}",
        b"POST /v1/log HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        b"POST /v1/log HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
        b"POST /v1/log HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ];
    let address = honoken.address();
    let exchanges = requests.map(async |request| {
        let mut wire = Wire::to(address).await;
        wire.says(request).await.unwrap();
        (String::from_utf8_lossy(request), wire.hears(LONG).await)
    });
    for (request, heard) in join_all(exchanges).await {
        let heard = heard.unwrap_or_else(|| panic!("never closed: {request}"));
        let status = status(&heard);
        assert!(status.is_none_or(|status| status < 500 || status == 505), "{request}: {heard}");
    }
    assert_well(&mut honoken).await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let mut honoken = a_service().await;
    let long = "x".repeat(200_000);
    let many = "X-Again: y\r\n".repeat(500);
    for head in [
        format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: ApplePass {long}\r\n\r\n"),
    ] {
        let mut wire = Wire::to(honoken.address()).await;
        // The server may close before it has heard everything.
        drop(wire.says(head.as_bytes()).await);
        let heard = wire.hears(LONG).await.expect("the connection is closed");
        assert!(status(&heard).is_none_or(|status| (400..500).contains(&status)), "{heard}");
    }
    assert_well(&mut honoken).await;
}

fn head_of_a_put(honoken: &Honoken, integrator: &Integrator, further: &str) -> String {
    format!(
        "PUT {}/content HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{further}\r\n\r\n",
        integrator.path("A-1"),
        honoken.ready().api_key
    )
}

#[tokio::test]
async fn a_body_that_is_declared_too_large_is_refused_before_it_comes() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    for length in ["262145", "10000000000", "18446744073709551615"] {
        let start = head_of_a_put(&honoken, &integrator, &format!("Content-Length: {length}"));
        let mut wire = Wire::to(honoken.address()).await;
        wire.says(start.as_bytes()).await.unwrap();
        let heard = wire
            .hears(SOON)
            .await
            .unwrap_or_else(|| panic!("waits for {length} bytes that it will not take"));
        // The largest one is not even a length to the parser, which says 431.
        assert!(matches!(status(&heard), Some(413 | 400 | 431)), "{length}: {heard}");
    }
    assert_well(&mut honoken).await;
}

#[tokio::test]
async fn a_client_that_sends_too_much_gets_to_read_the_refusal() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let path = format!("{}/content", integrator.path("A-1"));
    for length in [262_145, 300_000, 500_000, 1_000_000].repeat(10) {
        let answer = integrator.tries(Method::PUT, &path, &[], "[".repeat(length)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{length} bytes end in {error:?} instead of 413"));
        assert_problem(&answer, 413);
    }
    assert_well(&mut honoken).await;
}

#[tokio::test]
async fn a_body_that_grows_too_large_chunk_by_chunk_is_refused() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let start = head_of_a_put(&honoken, &integrator, "Transfer-Encoding: chunked");
    let mut wire = Wire::to(honoken.address()).await;
    wire.says(start.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "[".repeat(0x10000));
    for _ in 0..64 {
        if wire.says(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let heard = wire.hears(LONG).await.expect("the connection is closed");
    // A client that is cut off while it still sends may not get to see the answer.
    assert!(matches!(status(&heard), Some(413) | None), "{heard}");
    assert_well(&mut honoken).await;
    assert_eq!(integrator.state("A-1").await["content"], a_ticket("1A"));
}

#[tokio::test]
async fn a_body_in_many_small_chunks_is_taken() {
    let (honoken, integrator) = a_service_with_a_pass().await;
    let mut request = head_of_a_put(&honoken, &integrator, "Transfer-Encoding: chunked");
    for character in a_ticket("2B").to_string().chars() {
        write!(request, "{:x}\r\n{character}\r\n", character.len_utf8()).unwrap();
    }
    request.push_str("0\r\n\r\n");
    let mut wire = Wire::to(honoken.address()).await;
    wire.says(request.as_bytes()).await.unwrap();
    let heard = wire.hears(LONG).await.expect("the connection is closed");
    assert_eq!(status(&heard), Some(200), "{heard}");
}

#[tokio::test]
async fn clients_that_never_finish_are_cut_off_and_others_are_served_meanwhile() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let body_missing = head_of_a_put(&honoken, &integrator, "Content-Length: 1000");
    let ready = honoken.ready();
    let pass = integrator.credentials("A-1").await;
    let registration = format!(
        "POST /v1{} HTTP/1.1\r\nHost: h\r\nAuthorization: {}\r\nContent-Length: 90\r\n\r\n{{",
        honoken.devices().registration_path("d", &pass),
        pass.authorization()
    );
    let operator = STANDARD.encode(format!("{}:{}", ready.admin_username, ready.admin_password));
    let decision = format!(
        "POST /admin/projections/wallet/parked/1/skip HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {operator}\r\n\
         Content-Length: 90\r\n\r\n{{"
    );
    let upload = format!(
        "POST /manage/v1/blobs HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        ready.api_key
    );
    let unfinished = [
        String::new(),
        "\r\n\r\n".to_owned(),
        "G".to_owned(),
        "P".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ".to_owned(),
        "GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        body_missing.clone(),
        format!("{body_missing}{{\"description\""),
        "POST /v1/log HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n{\"logs\":[".to_owned(),
        registration,
        decision,
        upload,
    ];
    let mut slow = Vec::new();
    for request in unfinished.iter().cycle().take(60) {
        let mut wire = Wire::to(honoken.address()).await;
        wire.says(request.as_bytes()).await.unwrap();
        slow.push(wire);
    }
    for seat in 0..10 {
        let seat = format!("seat {seat}");
        tokio::time::timeout(SOON, integrator.moves_to("A-1", &seat))
            .await
            .expect("others are served meanwhile");
    }
    let ends = join_all(slow.iter_mut().map(|wire| wire.hears(LONG))).await;
    let endless: BTreeSet<&String> = unfinished
        .iter()
        .cycle()
        .zip(&ends)
        .filter(|(_, heard)| heard.is_none())
        .map(|(request, _)| request)
        .collect();
    assert!(endless.is_empty(), "never cut off: {endless:#?}");
    for (request, heard) in unfinished.iter().cycle().zip(ends.into_iter().flatten()) {
        assert_ne!(status(&heard), Some(500), "{request:?}: {heard}");
    }
    assert_eq!(integrator.state("A-1").await["content"]["seat"], "seat 9");
    assert_well(&mut honoken).await;
}

#[tokio::test]
async fn odd_headers_are_no_reason_to_fail() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let pass = integrator.credentials("A-1").await;
    let odd = [
        "",
        " ",
        "\t",
        ",",
        ",,,,",
        "\"",
        "\"\\\"",
        "é",
        "🎫",
        "*",
        "-1",
        "NaN",
        "%00",
        ";;;",
        "W/W/W/",
        "99999999999999999999",
    ];
    let names = [
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "range",
        "accept",
        "accept-encoding",
        "content-encoding",
        "idempotency-key",
        "x-request-id",
        "expect",
        "traceparent",
        "x-forwarded-for",
        "cookie",
        "user-agent",
        "origin",
    ];
    for name in names {
        for value in odd {
            let answer = honoken.devices().get(&pass, &[(name, value)]).await;
            assert!(
                matches!(answer.status.as_u16(), 200 | 304 | 400..500),
                "{name}: {value:?}: {}",
                answer.status
            );
            let content = a_ticket(value).to_string();
            let path = format!("{}/content", integrator.path("A-1"));
            let answer = integrator.request(Method::PUT, &path, &[(name, value)], content).await;
            assert!(answer.status.as_u16() < 500, "{name}: {value:?}: {}", answer.excerpt());
            if !answer.status.is_success() {
                assert_is_problem(&answer);
            }
        }
    }
    integrator.state("A-1").await;
    assert_well(&mut honoken).await;
}

#[tokio::test]
async fn odd_paths_are_no_reason_to_fail() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let pass_type = integrator.pass_type_identifier();
    let odd = [
        "%",
        "%%",
        "%0",
        "%00",
        "%ff",
        "%c0%af",
        "%2e%2e",
        "..",
        "%2F..%2F",
        "{x}",
        "{*x}",
        "*",
        "a//b",
        "%E2%80%AE",
        "\\",
        "|",
        "^",
        "`",
    ];
    for segment in odd.map(ToOwned::to_owned).into_iter().chain(["x".repeat(8000), "%25".repeat(2000)]) {
        for path in [
            format!("/{segment}"),
            format!("/v1/passes/{pass_type}/{segment}"),
            format!("/v1/passes/{segment}/A-1"),
            format!("/v1/devices/{segment}/registrations/{pass_type}"),
            format!("/v1/devices/{segment}/registrations/{pass_type}/{segment}"),
            format!("/manage/v1/passes/{pass_type}/{segment}"),
            format!("/manage/v1/passes/{segment}/A-1/pkpass"),
            format!("/manage/v1/passes/{pass_type}/A-1/assets/{segment}"),
        ] {
            let answer = integrator.tries(Method::GET, &path, &[], "").await;
            // What cannot be written into a request line at all is the client's own refusal.
            let Ok(answer) = answer else { continue };
            assert!(answer.status.as_u16() < 500, "{path}: {}", answer.excerpt());
            if answer.status.is_client_error() {
                assert_is_problem(&answer);
            }
        }
    }
    assert_well(&mut honoken).await;
}

/// Names that mean something somewhere, so that chance meets the rules behind them.
const KNOWN: [&str; 40] = [
    "passTypeIdentifier",
    "serialNumber",
    "ticketStyle",
    "poster",
    "content",
    "assets",
    "icon.png",
    "logo.png",
    "background.png",
    "description",
    "eventName",
    "eventDateISO",
    "venueName",
    "seat",
    "section",
    "eventTicket",
    "primaryFields",
    "secondaryFields",
    "auxiliaryFields",
    "headerFields",
    "backFields",
    "key",
    "value",
    "label",
    "dateStyle",
    "numberStyle",
    "currencyCode",
    "textAlignment",
    "changeMessage",
    "row",
    "barcodes",
    "barcode",
    "format",
    "message",
    "messageEncoding",
    "nfc",
    "semantics",
    "relevantDates",
    "locations",
    "backgroundColor",
];

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,30}",
        proptest::sample::select(&KNOWN[..]).prop_map(str::to_owned),
        Just("2027-03-01T19:30+01:00".to_owned()),
        Just("PKBarcodeFormatQR".to_owned()),
        Just("rgb(1, 2, 3)".to_owned()),
        Just("event".to_owned()),
        Just("pass.dev.honoken.event".to_owned()),
        Just("0".repeat(64)),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let name =
            prop_oneof![3 => proptest::sample::select(&KNOWN[..]).prop_map(str::to_owned), 1 => any_text()];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            hash_map(name, inner, 0..8)
                .prop_map(|object| Value::Object(object.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The same values in every run.
fn samples(count: usize) -> Vec<Value> {
    let mut runner = TestRunner::deterministic();
    let strategy = any_json();
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a value").current()).collect()
}

#[tokio::test]
async fn random_json_on_every_route_is_taken_or_refused_with_a_reason() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let pass = integrator.path("A-1");
    let credentials = integrator.credentials("A-1").await;
    let registration = format!("/v1{}", honoken.devices().registration_path("d", &credentials));
    for sample in samples(150) {
        let mut order = integrator.order("random", &sample);
        let content = if sample.is_object() {
            sample.clone()
        } else {
            json!({ "description": "x", "userInfo": sample })
        };
        order["serialNumber"] = Value::Null;
        order["content"] = content.clone();
        for (method, path, body) in [
            (Method::POST, "/manage/v1/passes", &sample),
            (Method::POST, "/manage/v1/passes", &order),
            (Method::PUT, &format!("{pass}/content"), &sample),
            (Method::PUT, &format!("{pass}/content"), &content),
            (Method::POST, &format!("{pass}/void"), &sample),
            (Method::POST, &format!("{pass}/reinstate"), &sample),
            (Method::PUT, &format!("{pass}/assets/logo.png"), &sample),
            (Method::POST, "/manage/v1/blobs", &sample),
            (Method::POST, "/v1/log", &sample),
            (Method::POST, registration.as_str(), &sample),
        ] {
            let answer = integrator.json(method.clone(), path, body).await;
            assert!(answer.status.as_u16() < 500, "{method} {path} {body}: {}", answer.excerpt());
            if answer.status.is_client_error() {
                assert_is_problem(&answer);
            }
        }
    }
    integrator.state("A-1").await;
    assert_well(&mut honoken).await;
}

#[tokio::test]
async fn whatever_content_is_accepted_makes_a_pass_that_a_phone_accepts() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let mut accepted = 0;
    for sample in samples(600).into_iter().filter(Value::is_object) {
        let answer = integrator.replace("A-1", &sample).await;
        if answer.status != StatusCode::OK {
            assert!(matches!(answer.status.as_u16(), 400 | 422), "{sample}: {}", answer.excerpt());
            continue;
        }
        accepted += 1;
        let pkpass = integrator.downloads("A-1").await;
        let report = reader::inspect(&pkpass);
        assert!(report.valid, "{sample}\n{report}");
        etag::assert_belongs(&integrator.state("A-1").await);
    }
    assert!(accepted >= 10, "chance should find some acceptable contents, and found {accepted}");
}

#[tokio::test]
async fn random_damage_to_a_good_order_is_no_reason_to_fail() {
    let (mut honoken, integrator) = a_service_with_a_pass().await;
    let mut order = integrator.order("damaged", &a_ticket("1A"));
    order["serialNumber"] = Value::Null;
    let order = order.to_string().into_bytes();
    let mut runner = TestRunner::deterministic();
    let damage = vec((0..order.len(), any::<u8>()), 1..4);
    for _ in 0..300 {
        let mut damaged = order.clone();
        for (at, byte) in damage.new_tree(&mut runner).expect("some damage").current() {
            damaged[at] = byte;
        }
        let answer = integrator.request(Method::POST, "/manage/v1/passes", &[], damaged.clone()).await;
        let told = String::from_utf8_lossy(&damaged);
        assert!(
            matches!(answer.status.as_u16(), 200 | 201 | 400 | 409 | 422),
            "{told}: {}",
            answer.excerpt()
        );
        if answer.status.is_client_error() {
            assert_is_problem(&answer);
        }
    }
    assert_well(&mut honoken).await;
}

#[tokio::test]
async fn content_with_every_odd_character_stays_as_it_is() {
    let (_honoken, integrator) = a_service_with_a_pass().await;
    let odd = [
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{200b}",
        "\u{202e}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{1f1e9}\u{1f1ea}",
        "e\u{301}\u{302}\u{303}",
        "\u{e000}",
        "\\u0000",
        "</script>",
        "${jndi:ldap://x}",
        "'; drop table events; --",
        "%s%n",
    ];
    for text in odd {
        integrator.replaces("A-1", &json!({ "description": format!("odd: {text}"), text: text })).await;
        assert_eq!(integrator.state("A-1").await["content"][text], text, "{text:?}");
        assert!(reader::inspect(&integrator.downloads("A-1").await).valid, "{text:?}");
    }
    let answer = integrator.replace("A-1", &json!({ "description": "\0" })).await;
    assert_problem(&answer, 400);
}
