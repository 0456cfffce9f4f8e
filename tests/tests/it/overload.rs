//! More than can be done: refused at once with a time to come back, and whoever asks for something else is served meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use honoken_simulator::Answer;
use honoken_tests::device::{device, push_token};
use honoken_tests::problem::assert_problem;
use honoken_tests::wire::Wire;
use honoken_tests::{Operator, Serving, a_ticket, etag};
use http::{HeaderMap, Method, StatusCode};

use crate::a_home_for_serve;

/// Tries to bring about what depends on the moment.
const ROUNDS: usize = 50;

#[track_caller]
fn assert_says_when(answer: &Answer) {
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!(seconds >= 1);
}

/// A right answer, or a refusal that says when to come back. Whether it was refused.
#[track_caller]
fn is_shed(answer: &Answer, right: StatusCode) -> bool {
    if answer.status == right {
        return false;
    }
    assert_eq!(assert_problem(answer, 503)["code"], "overloaded");
    assert_says_when(answer);
    true
}

async fn assert_health_and_metrics_are_answered(serving: &Serving) {
    let live = serving.request(Method::GET, "/health/live", HeaderMap::new(), "").await;
    live.assert_status(StatusCode::OK);
    let ready = serving.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
    ready.assert_status(StatusCode::OK);
    serving.metrics().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_commands_is_shed_and_phones_are_served() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("flooded").with_variable("HONOKEN_REQUESTS_AT_WORK", "1");
    let serving = serve.with_variable("HONOKEN_REQUESTS_WAITING", "2").start().await;
    let (integrator, devices) = (serving.integrator(home.ready()), serving.devices());
    integrator.issues("A-1").await;
    let pass = integrator.credentials("A-1").await;
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);

    let (mut shed, mut served) = (0, BTreeMap::new());
    for round in 0..ROUNDS {
        let flood = join_all((0..40).map(async |number| {
            let serial = format!("F-{round}-{number}");
            let answer = integrator.issue(&integrator.order(&serial, &a_ticket("1A"))).await;
            (serial, answer)
        }));
        let phone = async {
            for _ in 0..10 {
                let listed = devices.lists(&device(1), integrator.pass_type_identifier(), None).await;
                assert_eq!(listed.expect("polls are served").0, ["A-1"]);
                devices.get(&pass, &[("if-none-match", "*")]).await.assert_status(StatusCode::NOT_MODIFIED);
                assert_health_and_metrics_are_answered(&serving).await;
            }
        };
        let (answers, ()) = tokio::join!(flood, phone);
        for (serial, answer) in answers {
            if is_shed(&answer, StatusCode::CREATED) {
                shed += 1;
                assert_problem(&integrator.get(&serial).await, 404);
            } else {
                served.insert(serial, answer.json());
            }
        }
        if shed > 0 {
            break;
        }
    }
    assert!(shed > 0 && !served.is_empty(), "{shed} shed, {} served", served.len());
    for (serial, answer) in served {
        assert_eq!(integrator.state(&serial).await["etag"], answer["etag"]);
    }
    let metrics = serving.metrics().await;
    assert!((metrics.get(r#"honoken_requests_shed_total{queue="manage"}"#) - f64::from(shed)).abs() < 0.5);
    assert!(metrics.get(r#"honoken_requests_shed_total{queue="device"}"#).abs() < 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wave_of_downloads_keeps_nobody_else_waiting() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("signing").with_variable("HONOKEN_BUILDS_WAITING", "0");
    let serving = serve.with_variable("HONOKEN_REQUESTS_AT_WORK", "4").start().await;
    let (integrator, devices) = (serving.integrator(home.ready()), serving.devices());
    let passes: Vec<_> = (0..60).map(|number| format!("W-{number}")).collect();
    let mut credentials = Vec::new();
    for serial in &passes {
        integrator.issues(serial).await;
        credentials.push(integrator.credentials(serial).await);
    }
    let registered = devices.register(&device(1), &push_token(1, 0), &credentials[0]).await;
    registered.assert_status(StatusCode::CREATED);
    let mut shed = 0;
    for round in 0..ROUNDS {
        // A change to each, so that each has to be built again.
        for serial in &passes {
            integrator.moves_to(serial, &format!("seat {round}")).await;
        }
        let wave = join_all(credentials.iter().map(|pass| devices.get(pass, &[])));
        let others = async {
            for number in 0..5 {
                let listed = devices.lists(&device(1), integrator.pass_type_identifier(), None).await;
                assert_eq!(listed.expect("polls are served").0, ["W-0"]);
                integrator.issues(&format!("during-{round}-{number}")).await;
            }
        };
        let (answers, ()) = tokio::join!(wave, others);
        shed += answers.iter().filter(|answer| is_shed(answer, StatusCode::OK)).count();
        if shed > 0 {
            break;
        }
    }
    assert!(shed > 0, "nothing was shed in {ROUNDS} waves");
    let metrics = serving.metrics().await;
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let counted = metrics.get(r#"honoken_requests_shed_total{queue="build"}"#) - shed as f64;
    assert!(counted.abs() < 0.5, "{metrics:#?}");
    for (serial, pass) in passes.iter().zip(&credentials) {
        let state = integrator.state(serial).await;
        let file = devices.get(pass, &[]).await;
        file.assert_status(StatusCode::OK);
        assert_eq!(file.header("etag"), Some(format!("\"{}\"", state["etag"].as_str().unwrap()).as_str()));
        etag::assert_belongs(&state);
    }
}

/// Slow callers of `/v1/log`, which asks for no token, wait for themselves alone.
#[tokio::test]
async fn callers_that_take_their_time_with_the_body_do_not_hold_a_turn() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("slow").with_variable("HONOKEN_REQUESTS_AT_WORK", "1");
    let serving = serve.with_variable("HONOKEN_REQUESTS_WAITING", "100").start().await;
    let (integrator, devices) = (serving.integrator(home.ready()), serving.devices());
    let key = &home.ready().api_key;
    let slow = [
        "POST /v1/log HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n{\"logs\":[".to_owned(),
        format!(
            "POST /manage/v1/blobs HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\nContent-Length: 9000\r\n\r\nx"
        ),
        format!(
            "POST /manage/v1/passes HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\nContent-Length: 9000\r\n\r\n{{"
        ),
    ];
    let mut wires = Vec::new();
    for request in slow.iter().cycle().take(30) {
        let mut wire = Wire::to(serving.address()).await;
        wire.says(request.as_bytes()).await.unwrap();
        wires.push(wire);
    }
    let soon = Duration::from_secs(10);
    tokio::time::timeout(soon, async {
        for number in 0..5 {
            integrator.issues(&format!("A-{number}")).await;
            let listed = devices.list(&device(1), integrator.pass_type_identifier(), None).await;
            listed.assert_status(StatusCode::NO_CONTENT);
        }
    })
    .await
    .expect("others are served meanwhile");
}

#[tokio::test]
async fn idle_connections_keep_no_newcomer_out() {
    let home = a_home_for_serve().await;
    // Room for about 270 connections.
    let serve = home.home().serve("crowded").with_open_files(400);
    let serving = serve.with_variable("HONOKEN_CONNECTIONS_PER_ADDRESS", "1000").start().await;
    let integrator = serving.integrator(home.ready());
    let mut idle = Vec::new();
    for number in 0..600 {
        let mut wire = Wire::to(serving.address()).await;
        if number % 2 == 0 {
            // Every other one has been answered once and stays.
            wire.says(b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n").await.ok();
        }
        idle.push(wire);
    }
    // Less than an idle connection may last.
    let soon = Duration::from_secs(20);
    tokio::time::timeout(soon, integrator.issues("A-1")).await.expect("a newcomer is let in");
    let metrics = serving.metrics().await;
    assert!(metrics.get("honoken_connections_open") <= 272.0, "{metrics:#?}");
    drop(idle);
}

#[tokio::test]
async fn an_organisation_that_asks_too_often_is_answered_429() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("limited").with_variable("RATE_LIMIT_MANAGE_PER_SECOND", "1");
    let serving = serve.with_variable("RATE_LIMIT_MANAGE_BURST", "3").start().await;
    let integrator = serving.integrator(home.ready());
    let mut refused = 0;
    // However slow the machine, these many do not fit into one a second.
    for _ in 0..ROUNDS {
        let answers = join_all((0..20).map(|_| integrator.get("missing"))).await;
        for answer in answers {
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                assert_eq!(assert_problem(&answer, 429)["code"], "too_many_requests");
                assert_says_when(&answer);
                refused += 1;
            } else {
                assert_problem(&answer, 404);
            }
        }
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0);
    let metrics = serving.metrics().await;
    let counted = metrics.get(r#"honoken_requests_rate_limited_total{limit="manage"}"#);
    assert!((counted - f64::from(refused)).abs() < 0.5, "{metrics:#?}");
    // Phones have no such limit.
    for _ in 0..20 {
        let listed = serving.devices().list(&device(1), integrator.pass_type_identifier(), None).await;
        listed.assert_status(StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_client_that_guesses_keys_is_told_to_wait_and_its_neighbour_and_the_right_key_are_not() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("guarded").with_variable("RATE_LIMIT_FAILURES_PER_MINUTE", "3");
    let serve = serve.with_variable("HONOKEN_ADMIN_USERNAME", "admin");
    let serve = serve.with_variable("HONOKEN_ADMIN_PASSWORD", &home.ready().admin_password);
    let serving = serve.with_variable("RATE_LIMIT_PROXIES", "1").start().await;
    let integrator = serving.integrator(home.ready());
    let guesser = integrator.clone().with_authorization("Bearer guessed");
    let from = |address: &'static str| [("x-forwarded-for", address)];
    let asks = async |who: &honoken_tests::Integrator, address| {
        who.request(Method::GET, "/manage/v1/passes/a/b", &from(address), "").await
    };
    for number in 0..3 {
        // What a client says itself stands before what the proxy says.
        let claimed = ["1.1.1.1, 10.0.0.1", "2.2.2.2, 10.0.0.1", "10.0.0.1"][number];
        assert_problem(&asks(&guesser, claimed).await, 401);
    }
    let answer = asks(&guesser, "3.3.3.3, 10.0.0.1").await;
    assert_eq!(assert_problem(&answer, 429)["code"], "too_many_requests");
    assert_says_when(&answer);
    assert_problem(&asks(&guesser, "10.0.0.2").await, 401);
    for address in ["10.0.0.1", "10.0.0.2"] {
        assert_problem(&asks(&integrator, address).await, 404);
    }
    // The operator's door has a guard of its own; without proxies' words it is the address that connects.
    let operator = Operator::known_as(serving.base_url(), "admin", "guessed");
    let path = "/admin/projections";
    for _ in 0..3 {
        assert_problem(&operator.request(Method::GET, path, &serde_json::Value::Null).await, 401);
    }
    let answers =
        join_all((0..20).map(|_| operator.request(Method::GET, path, &serde_json::Value::Null))).await;
    let told_to_wait = answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS);
    assert!(told_to_wait.count() > 10);
}
