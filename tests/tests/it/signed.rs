//! Requests of operators that have to be signed: signatures are made here by `openssl`, over bases that are written out by hand.

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use honoken_service::clock::{Clock, SystemClock};
use honoken_simulator::Answer;
use honoken_tests::drawing;
use honoken_tests::problem::assert_problem;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Honoken, Serving};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{a_home_for_serve, a_home_for_several};

const NAME: &str = "admin";
const PASSWORD: &str = "correct horse battery staple";
const KEY: [u8; 40] = *b"forty bytes that both of them have known";
const EMPTY: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

/// What `openssl` makes of bytes.
fn openssl(arguments: &[&str], bytes: &[u8]) -> String {
    let mut command = std::process::Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = command.spawn().expect("openssl is there");
    running.stdin.take().expect("a pipe").write_all(bytes).expect("it reads");
    let Output { stdout, status, .. } = running.wait_with_output().expect("it ends");
    assert!(status.success() && stdout.len() == 32, "{arguments:?}");
    STANDARD.encode(stdout)
}

fn now() -> i64 {
    SystemClock.unix_seconds().0
}

/// A request, and what was signed of it.
#[derive(Clone)]
struct Request {
    method: Method,
    path: &'static str,
    query: &'static str,
    body: Vec<u8>,
    created: i64,
    nonce: &'static str,
    key: [u8; 40],
    password: &'static str,
    address: &'static str,
}

impl Request {
    fn new(method: Method, path: &'static str, nonce: &'static str) -> Self {
        let (key, password, address) = (KEY, PASSWORD, "10.0.0.1");
        Self { method, path, query: "", body: Vec::new(), created: now(), nonce, key, password, address }
    }

    fn digest(&self) -> String {
        if self.body.is_empty() {
            return EMPTY.to_owned();
        }
        format!("sha-256=:{}:", openssl(&["dgst", "-sha256", "-binary"], &self.body))
    }

    fn credentials(&self) -> Vec<(&'static str, String)> {
        let pair = STANDARD.encode(format!("{NAME}:{}", self.password));
        vec![("authorization", format!("Basic {pair}")), ("x-forwarded-for", self.address.to_owned())]
    }

    fn signed(&self) -> Vec<(&'static str, String)> {
        let Self { method, path, query, created, nonce, .. } = self;
        let query = if query.is_empty() { "?" } else { query };
        let digest = self.digest();
        let parameters = format!(
            r#"("@method" "@path" "@query" "content-digest");created={created};nonce="{nonce}";keyid="admin";alg="hmac-sha256""#
        );
        let base = format!(
            "\"@method\": {method}\n\"@path\": {path}\n\"@query\": {query}\n\"content-digest\": {digest}\n\"@signature-params\": {parameters}"
        );
        let key = format!("hexkey:{}", hex::encode(self.key));
        let mac = openssl(&["dgst", "-sha256", "-mac", "HMAC", "-macopt", &key, "-binary"], base.as_bytes());
        let mut headers = self.credentials();
        headers.push(("content-digest", digest));
        headers.push(("signature-input", format!("honoken={parameters}")));
        headers.push(("signature", format!("honoken=:{mac}:")));
        headers
    }

    async fn goes(&self, serving: &Serving, headers: Vec<(&'static str, String)>) -> Answer {
        let json = ("content-type", "application/json".to_owned());
        let headers = headers.into_iter().chain([json]).map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::try_from(value).expect("a header"))
        });
        let (method, url) = (self.method.clone(), format!("{}{}", self.path, self.query));
        serving.request(method, &url, headers.collect(), self.body.clone()).await
    }

    async fn goes_signed(&self, serving: &Serving) -> Answer {
        self.goes(serving, self.signed()).await
    }
}

#[track_caller]
fn assert_not_signed(answer: &Answer, why: &str) {
    let problem = assert_problem(answer, 401);
    assert_eq!(problem["code"], "signature_required", "{problem}");
    assert!(problem["detail"].as_str().expect("a text").contains(why), "{problem}");
    assert!(answer.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Basic")));
}

/// A process that demands signatures.
async fn demanding(home: &Honoken, name: &str) -> Serving {
    let serve = home.home().serve(name).with_variable("HONOKEN_ADMIN_USERNAME", NAME);
    let serve =
        serve.with_variable("HONOKEN_ADMIN_PASSWORD", PASSWORD).with_variable("RATE_LIMIT_PROXIES", "1");
    serve.with_variable("HONOKEN_ADMIN_SIGNING_KEY", &STANDARD.encode(KEY)).start().await
}

#[tokio::test]
async fn what_operators_ask_for_is_signed_once_for_all_processes() {
    let home = a_home_for_several().await;
    let (one, other) = (demanding(&home, "one").await, demanding(&home, "other").await);

    let read = Request::new(Method::GET, "/admin/projections", "n-1");
    // As often as it likes: nobody guesses.
    for _ in 0..15 {
        assert_not_signed(&read.goes(&one, read.credentials()).await, "`Signature-Input` and `Signature`");
    }
    assert_problem(&read.goes(&one, Vec::new()).await, 401);
    let headers = read.signed();
    read.goes(&one, headers.clone()).await.assert_status(StatusCode::OK);
    for process in [&one, &other] {
        assert_not_signed(&read.goes(process, headers.clone()).await, "nonce was used");
    }

    // Everything that is signed counts, as it was sent.
    let query = Request { query: "?actor=ve%72a", ..Request::new(Method::GET, "/api/admin/audit", "n-2") };
    query.goes_signed(&other).await.assert_status(StatusCode::OK);
    let image = Request::new(Method::PUT, "/admin/brand-assets/de.lproj/logo.png", "n-3");
    let image = Request { body: drawing::noise(600, 600), ..image };
    assert!(image.body.len() > 64 * 1024);
    image.goes_signed(&one).await.assert_status(StatusCode::ACCEPTED);
    Request::new(Method::POST, "/admin/relay/pause", "n-4")
        .goes_signed(&one)
        .await
        .assert_status(StatusCode::OK);

    // Another body changes nothing and uses up no nonce.
    let order = json!({ "name": "vera", "role": "viewer", "password": "the password of vera" }).to_string();
    let add =
        Request { body: order.clone().into_bytes(), ..Request::new(Method::POST, "/admin/operators", "n-5") };
    let headers = add.signed();
    let changed = Request { body: order.replace("viewer", "owner").into_bytes(), ..add.clone() };
    assert_not_signed(&changed.goes(&one, headers.clone()).await, "not the one of `Content-Digest`");
    let answer = add.goes(&one, headers).await;
    assert_eq!(answer.assert_status(StatusCode::CREATED).json()["role"], "viewer");

    for (created, why) in [(now() - 310, "more than 300 s ago"), (now() + 60, "in the future")] {
        let late = Request { created, ..Request::new(Method::GET, "/admin/projections", "n-6") };
        assert_not_signed(&late.goes_signed(&one).await, why);
    }
    // A password is not looked at without the key, and the key alone opens nothing.
    let guess = Request { password: "wrong horse battery staple", ..read.clone() };
    assert_not_signed(&guess.goes(&one, guess.credentials()).await, "`Signature-Input`");
    let guess = Request { nonce: "n-7", ..guess };
    assert_eq!(assert_problem(&guess.goes_signed(&one).await, 401)["code"], "unauthorized");

    // Wrong signatures are failed logins.
    let forged = Request {
        key: [b'x'; 40],
        address: "10.0.0.2",
        ..Request::new(Method::GET, "/admin/projections", "n-8")
    };
    let headers = forged.signed();
    let started = Instant::now();
    let answers = join_all((0..40).map(|_| forged.goes(&one, headers.clone()))).await;
    let (slowed, compared): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS);
    for answer in &compared {
        assert_not_signed(answer, "not that of this request");
    }
    // Ten, and then one a second.
    let most = 11 + usize::try_from(started.elapsed().as_secs()).expect("few seconds");
    assert!(
        (10..=most).contains(&compared.len()),
        "{} were compared, {} were not",
        compared.len(),
        slowed.len()
    );
    Request::new(Method::GET, "/admin/projections", "n-9")
        .goes_signed(&one)
        .await
        .assert_status(StatusCode::OK);
    let counted = one.metrics().await.get(r#"honoken_credentials_refused_total{credentials="signature"}"#);
    assert_eq!(format!("{counted:.0}"), (compared.len() + 1).to_string());

    let printed = [&one, &other].map(Serving::output).join("\n");
    for secret in [&STANDARD.encode(KEY), PASSWORD, "the password of vera"] {
        assert!(!printed.contains(secret), "{secret} was printed");
    }
}

/// `honoken admin` with some variables.
async fn admin(home: &Honoken, serving: &Serving, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = home.home().command(&["admin", "--server", serving.base_url()]);
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").expect("the program starts")
}

#[tokio::test]
async fn the_command_line_signs() {
    let home = a_home_for_serve().await;
    let one = demanding(&home, "one").await;
    let key = STANDARD.encode(KEY);
    let operator = [("HONOKEN_ADMIN_USERNAME", NAME), ("HONOKEN_ADMIN_PASSWORD", PASSWORD)];
    let signing = [operator[0], operator[1], ("HONOKEN_ADMIN_SIGNING_KEY", key.as_str())];
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    // Twice, each with a nonce of its own.
    for _ in 0..2 {
        let output = admin(&home, &one, &["GET", "/admin/audit?actor=nobody%20there"], &signing).await;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let body: Value = serde_json::from_slice(&output.stdout).expect("the answer");
        assert_eq!(body, json!({ "entries": [], "next": null }));
    }
    let folder = home.home().folder().to_owned();
    let (order, icon) = (folder.join("operator.json"), folder.join("icon.png"));
    fs::write(
        &order,
        json!({ "name": "vera", "role": "viewer", "password": "the password of vera" }).to_string(),
    )
    .unwrap();
    fs::write(&icon, drawing::icon(9)).unwrap();
    let (order, icon) = (order.to_str().unwrap(), icon.to_str().unwrap());
    for arguments in [
        &["post", "/admin/operators", "--file", order][..],
        &["PATCH", "/admin/operators/vera", "--data", r#"{"role": "operator"}"#],
        &["PUT", "/admin/brand-assets/icon.png", "--content-type", "image/png", "--file", icon],
        &["DELETE", "/admin/operators/vera"],
    ] {
        let output = admin(&home, &one, arguments, &signing).await;
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
    }
    let output = admin(&home, &one, &["DELETE", "/admin/operators/vera"], &signing).await;
    assert_eq!((output.status.code(), said(&output).contains("404")), (Some(1), true), "{}", said(&output));
    let output = admin(&home, &one, &["GET", "/admin/projections"], &operator).await;
    assert!(output.status.code() == Some(1) && said(&output).contains("401"), "{}", said(&output));
    let problem: Value = serde_json::from_slice(&output.stdout).expect("a problem");
    assert_eq!(problem["code"], "signature_required");
    for (variables, named) in [
        (&[][..], "HONOKEN_ADMIN_USERNAME"),
        (&operator[..1], "HONOKEN_ADMIN_PASSWORD"),
        (
            &[operator[0], operator[1], ("HONOKEN_ADMIN_SIGNING_KEY", "short")][..],
            "HONOKEN_ADMIN_SIGNING_KEY",
        ),
    ] {
        let output = admin(&home, &one, &["GET", "/admin/projections"], variables).await;
        assert!(output.status.code() == Some(2) && said(&output).contains(named), "{}", said(&output));
    }
    let refused = admin(&home, &one, &["GET", "/manage/v1/passes"], &signing).await;
    assert!(
        refused.status.code() == Some(2) && said(&refused).contains("below /admin/"),
        "{}",
        said(&refused)
    );
    eventually(PATIENCE, "the record names the requests", async || {
        let output = admin(&home, &one, &["GET", "/admin/audit?action=addOperator"], &signing).await;
        let body: Value = serde_json::from_slice(&output.stdout).expect("the answer");
        (body["entries"][0]["actor"] == NAME).then_some(())
    })
    .await;
}
