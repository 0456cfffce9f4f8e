//! Logins that fail: passwords are not guessed, and whoever has the right key or password gets in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use honoken_simulator::Answer;
use honoken_tests::problem::assert_problem;
use honoken_tests::server::Home;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Honoken, Operator, Serving};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;

use crate::{PROGRAM, a_home_for_serve};

const NAME: &str = "admin";
const PASSWORD: &str = "correct horse battery staple";

/// A `serve` with an operator, behind a proxy, with some more variables.
async fn guarded(home: &Honoken, variables: &[(&str, &str)]) -> Serving {
    let mut serve = home.home().serve("guarded");
    let operator = [("HONOKEN_ADMIN_USERNAME", NAME), ("HONOKEN_ADMIN_PASSWORD", PASSWORD)];
    for (name, value) in operator.iter().chain(variables) {
        serve = serve.with_variable(name, value);
    }
    serve.start().await
}

const BEHIND_A_PROXY: (&str, &str) = ("RATE_LIMIT_PROXIES", "1");

fn headers(authorization: &str, address: &str) -> HeaderMap {
    HeaderMap::from_iter([
        (header::AUTHORIZATION, HeaderValue::try_from(authorization).expect("a header")),
        (HeaderName::from_static("x-forwarded-for"), HeaderValue::try_from(address).expect("a header")),
    ])
}

async fn operates(serving: &Serving, password: &str, address: &str) -> Answer {
    let credentials = STANDARD.encode(format!("{NAME}:{password}"));
    let headers = headers(&format!("Basic {credentials}"), address);
    serving.request(Method::GET, "/admin/projections", headers, "").await
}

async fn manages(serving: &Serving, key: &str, address: &str) -> Answer {
    let headers = headers(&format!("Bearer {key}"), address);
    serving.request(Method::GET, "/manage/v1/passes/pass.com.example/unknown", headers, "").await
}

/// Makes so many attempts at a time, and says how many were looked at, each of which was answered so. The others must wait.
async fn looked_at(
    serving: &Serving,
    attempts: usize,
    password: &str,
    address: &str,
    answered: StatusCode,
) -> usize {
    let answers = join_all((0..attempts).map(|_| operates(serving, password, address))).await;
    let (looked_at, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == answered);
    for answer in others {
        assert_eq!(assert_problem(answer, 429)["code"], "too_many_requests");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    looked_at.len()
}

/// As many as can be looked at since then, one a second.
fn once_a_second(since: Instant) -> usize {
    usize::try_from(since.elapsed().as_secs()).expect("few seconds") + 1
}

#[tokio::test(flavor = "multi_thread")]
async fn after_ten_wrong_passwords_one_a_second_is_compared_right_or_wrong() {
    let home = a_home_for_serve().await;
    let serving = guarded(&home, &[BEHIND_A_PROXY]).await;
    let started = Instant::now();
    let wrong =
        looked_at(&serving, 40, "wrong horse battery staple", "10.0.0.1", StatusCode::UNAUTHORIZED).await;
    let most = 10 + once_a_second(started);
    assert!((10..=most).contains(&wrong), "{wrong} wrong passwords were compared, and not {most}");

    let started = Instant::now();
    let right = looked_at(&serving, 40, PASSWORD, "10.0.0.1", StatusCode::OK).await;
    assert!(right <= once_a_second(started), "{right} right passwords got in");
    let counted = serving.metrics().await.get(r#"honoken_requests_rate_limited_total{limit="failures"}"#);
    let expected = 80 - wrong - right;
    assert_eq!(format!("{counted:.0}"), expected.to_string(), "{counted} counted of {expected}");

    // Other addresses are not concerned; whoever knows the password gets in from this one, too, when its turn comes.
    operates(&serving, PASSWORD, "10.0.0.2").await.assert_status(StatusCode::OK);
    eventually(PATIENCE, "the right password is compared", async || {
        let answer = operates(&serving, PASSWORD, "10.0.0.1").await;
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_addresses_of_a_64_are_one_client() {
    let home = a_home_for_serve().await;
    let serving = guarded(&home, &[BEHIND_A_PROXY]).await;
    let started = Instant::now();
    let answers = join_all((0..40).map(async |number| {
        operates(&serving, "wrong horse battery staple", &format!("2001:db8:1:2::{number}")).await
    }))
    .await;
    let compared = answers.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
    assert!((10..=10 + once_a_second(started)).contains(&compared), "{compared} were compared");
    operates(&serving, PASSWORD, "2001:db8:1:3::1").await.assert_status(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_key_passes_however_many_wrong_ones_came_from_its_address() {
    let home = a_home_for_serve().await;
    let serving = guarded(&home, &[BEHIND_A_PROXY]).await;
    let key = &home.ready().api_key;
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.extend(join_all((0..10).map(|_| manages(&serving, "guessed", "10.0.0.1"))).await);
    }
    let (refused, limited): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == StatusCode::UNAUTHORIZED);
    assert!(!limited.is_empty() && refused.len() >= 60, "{} of 200 were told to wait", limited.len());
    for answer in limited {
        assert_eq!(assert_problem(answer, 429)["code"], "too_many_requests");
        assert!(answer.header("retry-after").is_some());
    }
    for _ in 0..10 {
        assert_problem(&manages(&serving, key, "10.0.0.1").await, 404);
    }
    // Passwords are another thing.
    operates(&serving, PASSWORD, "10.0.0.1").await.assert_status(StatusCode::OK);
}

#[tokio::test]
async fn in_dev_wrong_passwords_and_keys_are_not_limited() {
    let honoken = Honoken::start_with_certificates(PROGRAM, crate::CACHE.as_ref()).await;
    let guesser = Operator::known_as(&honoken.url(""), &honoken.ready().admin_username, "guessed");
    let integrator = honoken.integrator().with_authorization("Bearer guessed");
    for _ in 0..100 {
        let answer = guesser.request(Method::GET, "/admin/projections", &Value::Null).await;
        assert_problem(&answer, 401);
        assert_problem(&integrator.get("A-1").await, 401);
    }
    honoken.operator().wallet_projection().await;
}

#[tokio::test]
async fn serve_refuses_a_short_password_and_says_what_to_do() {
    let home = a_home_for_serve().await;
    for password in ["x", "elevenchars"] {
        let serve = home.home().serve("refused").with_variable("HONOKEN_ADMIN_USERNAME", NAME);
        let serve = serve.with_variable("HONOKEN_ADMIN_PASSWORD", password);
        let refused = serve.command().output().await.expect("it ends");
        assert_eq!(refused.status.code(), Some(1), "{password}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("HONOKEN_ADMIN_PASSWORD") && said.contains("12 characters"), "{said}");
        assert!(said.contains("openssl rand"), "{said}");
        assert!(!said.contains("elevenchars"), "{said}");
    }
    let serving = guarded(&home, &[("HONOKEN_ADMIN_PASSWORD", "twelve chars")]).await;
    let operator = Operator::known_as(serving.base_url(), NAME, "twelve chars");
    operator.wallet_projection().await;
}

#[tokio::test]
async fn dev_takes_any_password() {
    let home = Home::new(PROGRAM).await.with_variable("HONOKEN_ADMIN_USERNAME", NAME);
    let home = home.with_variable("HONOKEN_ADMIN_PASSWORD", "x");
    let honoken = Honoken::start_in_with_certificates(home, crate::CACHE.as_ref()).await;
    honoken.operator().wallet_projection().await;
}

#[tokio::test]
async fn a_proxy_that_was_not_configured_is_told_of_once() {
    let home = a_home_for_serve().await;
    let told = |serving: &Serving| {
        serving.output().lines().filter(|line| line.contains("RATE_LIMIT_PROXIES")).count()
    };
    let serving = guarded(&home, &[]).await;
    let live = async |serving: &Serving, header: &'static str, value| {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static(header), HeaderValue::from_static(value))]);
        serving.request(Method::GET, "/health/live", headers, "").await.assert_status(StatusCode::OK);
    };
    live(&serving, "accept", "*/*").await;
    assert_eq!(told(&serving), 0, "no proxy is there");
    for _ in 0..3 {
        live(&serving, "x-forwarded-for", "10.0.0.1").await;
        live(&serving, "forwarded", "for=10.0.0.1").await;
    }
    eventually(PATIENCE, "the proxy is told of", async || (told(&serving) > 0).then_some(())).await;
    assert_eq!(told(&serving), 1);
    drop(serving);

    let mut told_of = guarded(&home, &[BEHIND_A_PROXY]).await;
    let before = told(&told_of);
    live(&told_of, "x-forwarded-for", "10.0.0.1").await;
    told_of.terminate().await;
    assert_eq!(told(&told_of), before);
}
