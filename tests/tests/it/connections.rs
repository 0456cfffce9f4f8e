//! Connections: they can be used again after whatever answer, or are said to end; nobody has all of them; and half a request keeps nobody out.

use std::time::Duration;

use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::wire::{Heard, Pooled, Wire, silent, status};
use honoken_tests::{Honoken, Integrator, Serving, a_ticket};
use http::{HeaderMap, Method, StatusCode};

use crate::{a_home_for_serve, a_service};

/// Long enough for an answer that needs no waiting, and less than any connection may be idle, or a body take.
const SOON: Duration = Duration::from_secs(15);

/// So little that a test may wait for it often.
const A_MOMENT: Duration = Duration::from_millis(20);

fn head(method: &str, path: &str, authorization: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

/// Requests that are answered before their body is read, and what is answered.
async fn early_answers(honoken: &Honoken, integrator: &Integrator) -> Vec<(String, usize, u16)> {
    let key = format!("Bearer {}", honoken.ready().api_key);
    let content = format!("{}/content", integrator.path("A-1"));
    let pass = integrator.credentials("A-1").await;
    let registration = format!("/v1{}", honoken.devices().registration_path("d", &pass));
    let mut asked = Vec::new();
    for length in [2, 900, 20_000, 60_000, 200_000, 1_000_000] {
        asked.push((head("PUT", &content, "Bearer wrong", length), length, 401));
        asked.push((head("POST", &registration, "ApplePass wrong", length), length, 401));
        asked.push((head("PUT", "/nowhere", &key, length), length, 404));
        asked.push((head("DELETE", "/v1/log", &key, length), length, 405));
        asked.push((
            head("POST", "/admin/projections/wallet/parked/1/retry", "Basic wrong", length),
            length,
            401,
        ));
        let typed = head("PUT", &content, &key, length).replace("application/json", "text/plain");
        asked.push((typed, length, 415));
        let unknown = format!("{}/content", integrator.path("unknown"));
        asked.push((head("PUT", &unknown, &key, length), length, 404));
    }
    asked
}

#[tokio::test]
async fn after_an_early_answer_a_kept_connection_is_good_or_was_said_to_end() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    let key = format!("Bearer {}", honoken.ready().api_key);
    let mut client = Pooled::to(honoken.address());
    let asked = early_answers(&honoken, &integrator).await;
    for round in 0..4 {
        for (number, (head_of_it, length, expected)) in asked.iter().enumerate() {
            let wrong = client.asks(head_of_it, &vec![b'['; *length]).await;
            let wrong = wrong.unwrap_or_else(|fault| panic!("{fault}: {head_of_it}"));
            assert_eq!(wrong.status, *expected, "{head_of_it}: {wrong:?}");
            assert_eq!(wrong.says_close(), *length > 65_536, "{head_of_it}: {wrong:?}");
            let content = a_ticket(&format!("{round}-{number}")).to_string();
            let path = format!("{}/content", integrator.path("A-1"));
            let good = client.asks(&head("PUT", &path, &key, content.len()), content.as_bytes()).await;
            let good = good.unwrap_or_else(|fault| panic!("{fault} after {head_of_it}"));
            assert_eq!(good.status, 200, "{good:?}");
        }
    }
    let said_to_end = asked.iter().filter(|(_, length, _)| *length > 65_536).count();
    assert_eq!(client.opened, 1 + 4 * said_to_end, "no other connection was given up");
}

#[tokio::test]
async fn a_body_that_does_not_come_after_an_early_answer_ends_the_connection_as_it_was_said() {
    let honoken = a_service().await;
    for further in ["", "Expect: 100-continue\r\n"] {
        for length in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
            let mut wire = Wire::to(honoken.address()).await;
            let request = format!("PUT /nowhere HTTP/1.1\r\nHost: h\r\n{further}{length}\r\n\r\n");
            wire.says(request.as_bytes()).await.unwrap();
            let heard = wire.hears_answer().await.expect("an answer");
            assert!(heard.status == 404 && heard.says_close(), "{request}: {heard:?}");
            assert!(wire.is_closed(SOON).await, "{request}");
        }
    }
}

#[tokio::test]
async fn what_is_no_request_of_http_1_1_is_answered_400_and_the_connection_ends() {
    let honoken = a_service().await;
    let chunks = "2\r\n{}\r\n0\r\n\r\n";
    for head in [
        "GET /health/live HTTP/1.1\r\n\r\n".to_owned(),
        "GET /health/live HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(),
        "GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        "GET /health/live HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(),
        format!("POST /v1/log HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n{chunks}"),
        format!(
            "POST /v1/log HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ),
        format!("POST /v1/log HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{chunks}"),
    ] {
        let mut wire = Wire::to(honoken.address()).await;
        // What follows may have been meant as a part of it, and is not answered.
        wire.says(format!("{head}GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
        let heard = wire.hears_answer().await.expect("an answer");
        assert!(heard.status == 400 && heard.says_close(), "{head}: {heard:?}");
        assert_eq!(heard.header("content-type"), Some("application/problem+json"), "{head}");
        assert!(
            heard.body.contains("unreadable") && heard.header("x-request-id").is_some(),
            "{head}: {heard:?}"
        );
        assert!(wire.is_closed(SOON).await, "{head}");
    }
    let mut wire = Wire::to(honoken.address()).await;
    wire.says(b"GET /health/live HTTP/1.0\r\n\r\n").await.unwrap();
    let heard = wire.hears(SOON).await.expect("the connection is closed");
    assert!(heard.starts_with("HTTP/1.0 200"), "HTTP/1.0 knows no Host: {heard}");
}

/// A length beside chunks is for smugglers: the chunks count, and nothing behind them is read (RFC 9112 section 6.1).
#[tokio::test]
async fn a_length_beside_chunks_ends_the_connection_with_the_answer() {
    let honoken = a_service().await;
    for lengths in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let mut wire = Wire::to(honoken.address()).await;
        let request = format!(
            "POST /v1/log HTTP/1.1\r\nHost: h\r\n{lengths}\r\n\r\nb\r\n{{\"logs\":[]}}\r\n0\r\n\r\n\
             GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n"
        );
        wire.says(request.as_bytes()).await.unwrap();
        let heard = wire.hears_answer().await.expect("an answer");
        assert!(heard.status == 200 && heard.says_close(), "{heard:?}");
        assert!(wire.is_closed(SOON).await, "{lengths}");
    }
}

/// Sends a piece of a body whenever nothing has come, until there is an answer.
async fn drips(wire: &mut Wire, piece: &[u8]) -> Heard {
    for _ in 0..10_000 {
        // What cannot be said any more may have been answered.
        drop(wire.says(piece).await);
        if !wire.is_silent().await {
            break;
        }
    }
    wire.hears_answer().await.expect("an answer, and no end without a word")
}

#[tokio::test]
async fn a_dripping_body_that_is_too_large_is_answered_413() {
    let honoken = a_service().await;
    let chunk = format!("400\r\n{}\r\n", "[".repeat(0x400)).into_bytes();
    for (length, piece) in [
        ("Content-Length: 65537".to_owned(), &b"["[..]),
        ("Content-Length: 10000000".to_owned(), b"["),
        ("Transfer-Encoding: chunked".to_owned(), &chunk),
    ] {
        let mut wire = Wire::to(honoken.address()).await;
        let request = format!("POST /v1/log HTTP/1.1\r\nHost: h\r\n{length}\r\n\r\n");
        wire.says(request.as_bytes()).await.unwrap();
        let heard = drips(&mut wire, piece).await;
        assert!(heard.status == 413 && heard.says_close(), "{length}: {heard:?}");
        // Whoever still sends is listened to for a while, so that the answer is not lost on the way.
        for _ in 0..50 {
            wire.says(piece).await.unwrap_or_else(|fault| panic!("{length}: cut off: {fault}"));
        }
    }
}

/// A service with room for about 270 connections.
async fn a_small_service(home: &Honoken, per_address: &str) -> Serving {
    let serve = home.home().serve("crowded").with_open_files(400);
    serve.with_variable("HONOKEN_CONNECTIONS_PER_ADDRESS", per_address).start().await
}

#[tokio::test]
async fn half_requests_keep_no_newcomer_out() {
    let home = a_home_for_serve().await;
    let serving = a_small_service(&home, "100000").await;
    let integrator = serving.integrator(home.ready());
    let unfinished: [&[u8]; 5] = [
        b"",
        b"GET /health/live HTTP/1.1\r\nHost: h\r\nX-Slow: ",
        b"POST /v1/log HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n{\"logs\":[",
        b"POST /v1/log HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"PUT /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n{",
    ];
    let mut wires = Vec::new();
    for request in unfinished.iter().cycle().take(600) {
        let mut wire = Wire::to(serving.address()).await;
        drop(wire.says(request).await);
        wires.push(wire);
        if wires.len() % 100 == 0 {
            tokio::time::timeout(SOON, integrator.issues(&format!("A-{}", wires.len())))
                .await
                .expect("a newcomer is let in");
        }
    }
    let metrics = serving.metrics().await;
    assert!(metrics.get("honoken_connections_open") <= 272.0, "{metrics:#?}");
    assert!(metrics.get(r#"honoken_connections_closed_total{because="crowded"}"#) >= 300.0, "{metrics:#?}");
    // Those that have waited longest made room, and the latest are still there.
    assert_eq!(silent(&wires[..200]).await, 0, "an old one is still waited for");
    assert!(silent(&wires[560..]).await >= 32, "a new one was closed");
    let evicted = wires[2].hears(SOON).await.expect("it was closed");
    assert!(matches!(status(&evicted), Some(503) | None), "{evicted}");
}

#[tokio::test]
async fn an_address_with_too_many_connections_gets_no_more_and_others_do() {
    let home = a_home_for_serve().await;
    let serving = a_small_service(&home, "20").await;
    let mut first = Vec::new();
    for _ in 0..20 {
        first.push(Wire::to(serving.address()).await);
    }
    for _ in 0..200 {
        let mut beyond = Wire::to(serving.address()).await;
        assert!(beyond.is_closed(SOON).await, "it is closed at once");
    }
    assert_eq!(silent(&first).await, 20, "those before it are left alone");
    let mut other = Wire::from_to("127.0.0.2", serving.address()).await;
    other.says(b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_eq!(other.hears_answer().await.expect("an answer").status, 200);
    drop(first);
    let live = || serving.request(Method::GET, "/health/live", HeaderMap::new(), "");
    eventually(PATIENCE, "there is room again", async || {
        let mut wire = Wire::to(serving.address()).await;
        (!wire.is_closed(A_MOMENT).await).then_some(())
    })
    .await;
    live().await.assert_status(StatusCode::OK);
    let metrics = serving.metrics().await;
    assert!(metrics.get(r#"honoken_connections_closed_total{because="address"}"#) >= 200.0, "{metrics:#?}");
}

#[tokio::test]
async fn without_a_number_an_address_has_half_of_all_connections_and_behind_a_proxy_all() {
    let home = a_home_for_serve().await;
    for (proxies, most) in [("0", 136), ("1", 272)] {
        let serve =
            home.home().serve("halved").with_open_files(400).with_variable("RATE_LIMIT_PROXIES", proxies);
        let serving = serve.start().await;
        let mut wires = Vec::new();
        for _ in 0..260 {
            wires.push(Wire::to(serving.address()).await);
        }
        // Asked by another client, whose connection comes behind all of these.
        let mut other = Wire::from_to("127.0.0.2", serving.address()).await;
        other.says(b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert_eq!(other.hears_answer().await.expect("an answer").status, 200);
        assert_eq!(silent(&wires).await, most.min(260), "with RATE_LIMIT_PROXIES={proxies}");
    }
}

#[tokio::test]
async fn the_limit_of_an_address_holds_in_development_too() {
    let mut honoken = a_service().await;
    honoken.has_variable("HONOKEN_CONNECTIONS_PER_ADDRESS", "5");
    assert_eq!(honoken.terminate().await.code(), Some(0));
    honoken.restart().await;
    let mut first = Vec::new();
    for _ in 0..5 {
        first.push(Wire::to(honoken.address()).await);
    }
    assert!(Wire::to(honoken.address()).await.is_closed(SOON).await);
    assert_eq!(silent(&first).await, 5);
}
