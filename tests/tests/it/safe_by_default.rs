//! What is not asked for is closed: a trial leaves the database of a service alone, and what is for operators is not for everybody.

use std::fs;

use honoken_simulator::{HttpClient, Trust};
use honoken_tests::authority::Authority;
use honoken_tests::problem::assert_problem;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Honoken, Operator};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use crate::certs::{Office, said};
use crate::{a_home_for_serve, a_service};

/// Starts `dev`, which refuses the database, and gives what it says.
async fn dev_is_refused(home: &honoken_tests::server::Home) -> String {
    let before = home.storage().recorded().await;
    let output = home.runs(&["dev", "--listen", "127.0.0.1:0"]).await;
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    assert_eq!(home.storage().recorded().await, before, "nothing has happened");
    for words in ["`honoken serve`", "--data-dir", "DATABASE_URL"] {
        assert!(said.contains(words), "{said}");
    }
    said
}

#[tokio::test]
async fn dev_refuses_a_database_that_serve_has_run_on() {
    let home = a_home_for_serve().await;
    let mut serving = home.home().serve("serve").start().await;
    serving.terminate().await;
    let said = dev_is_refused(home.home()).await;
    assert!(said.contains("has run on this database"), "{said}");
}

#[tokio::test]
async fn dev_refuses_a_database_that_others_began() {
    let office = Office::new().await;
    office.makes_api_key("till").await;
    let said = dev_is_refused(&office.home).await;
    assert!(said.contains("was not begun by `honoken dev`"), "{said}");
    assert!(!office.home.data_dir().join("certificates").exists(), "nothing was made");
}

#[tokio::test]
async fn organisations_that_were_made_while_dev_ran_are_its_own() {
    let mut honoken = a_service().await;
    honoken.terminate().await;
    let made = honoken
        .home()
        .runs(&["keys", "create", "--organization", "club", "--name", "The Club", "--label", "till"])
        .await;
    assert!(made.status.success(), "{}", said(&made));
    honoken.restart().await;
    honoken.integrator().issues("A-1").await;
}

#[tokio::test]
async fn metrics_are_public_in_production_only_where_that_was_asked_for() {
    let home = a_home_for_serve().await;
    let status = async |name: &str, place: &str, environment: &str| {
        let serve = home.home().serve(name).with_variable("HONOKEN_METRICS_LISTEN", place);
        let mut serving = serve.with_variable("ENVIRONMENT", environment).start().await;
        let answer = serving.request(Method::GET, "/metrics", HeaderMap::new(), "").await;
        serving.terminate().await;
        answer.status
    };
    assert_eq!(status("unset", "", "").await, StatusCode::NOT_FOUND, "`serve` is production");
    for (name, environment) in [("named", "production"), ("upper", "PRODUCTION"), ("short", "Prod")] {
        assert_eq!(status(name, "", environment).await, StatusCode::NOT_FOUND, "{environment}");
    }
    assert_eq!(status("asked", "public", "").await, StatusCode::OK);
    assert_eq!(status("staging", "", "staging").await, StatusCode::OK);
}

#[tokio::test]
async fn a_public_url_in_the_clear_is_refused_in_production() {
    let home = a_home_for_serve().await;
    let with = |name: &str, environment: &str| {
        let serve = home.home().serve(name).with_variable("HONOKEN_PUBLIC_URL", "http://passes.example.com");
        serve.with_variable("ENVIRONMENT", environment)
    };
    let output = with("production", "prod").command().output().await.expect("it ends by itself");
    let told = said(&output);
    assert!(!output.status.success() && told.contains("HONOKEN_PUBLIC_URL begins with http://"), "{told}");
    with("staging", "staging").start().await;
}

fn operator_at(url: &str, home: &Honoken) -> Operator {
    let ready = honoken_tests::server::Ready { base_url: url.to_owned(), ..home.ready().clone() };
    Operator::new(&ready)
}

#[tokio::test]
async fn operators_have_an_address_of_their_own_where_they_want_one() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("admin").with_variable("HONOKEN_ADMIN_LISTEN", "127.0.0.1:0");
    let serve = serve.with_variable("HONOKEN_ADMIN_USERNAME", &home.ready().admin_username);
    let serving = serve.with_variable("HONOKEN_ADMIN_PASSWORD", &home.ready().admin_password).start().await;
    let admin_url = serving.ready().admin_url.clone().expect("the ready file says where");
    assert_ne!(admin_url, serving.base_url());

    let (there, here) = (operator_at(&admin_url, &home), serving.operator(home.ready()));
    for path in ["/admin/projections", "/api/admin/projections"] {
        there.request(Method::GET, path, &Value::Null).await.assert_status(StatusCode::OK);
        let absent = here.request(Method::GET, path, &Value::Null).await;
        assert_eq!(assert_problem(&absent, 404)["code"], "not_found", "not even a login");
    }
    assert_problem(&there.request(Method::GET, "/manage/v1/passes", &Value::Null).await, 404);
    assert_problem(&here.request(Method::GET, "/console", &Value::Null).await, 404);
    serving.integrator(home.ready()).issues("A-1").await;
}

#[tokio::test]
async fn the_service_speaks_tls_itself_with_files_that_may_be_replaced() {
    let (first, second) = (Authority::new().await, Authority::new().await);
    for authority in [&first, &second] {
        authority.certifies("service", "DNS:localhost,IP:127.0.0.1", "serverAuth").await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let copies = |from: &Authority| {
        for name in ["service.pem", "service.key"] {
            // As a program does that renews certificates: written beside and moved into place.
            let new = folder.path().join("new");
            fs::copy(from.file(name), &new).expect("a copy");
            fs::rename(new, folder.path().join(name)).expect("in place");
        }
    };
    copies(&first);
    let home = a_home_for_serve().await;
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let serve = home.home().serve("tls").with_variable("HONOKEN_TLS_CERT_FILE", &path("service.pem"));
    let serve = serve.with_variable("HONOKEN_TLS_KEY_FILE", &path("service.key"));
    let serving = serve.start().await;
    let url = format!("{}/health/live", serving.base_url());
    assert!(url.starts_with("https://"), "{url}");
    let asks = async |authority: &Authority| {
        let root = fs::read(authority.file("ca.pem")).expect("a root");
        let client = HttpClient::new().with_trust(Trust::system_and(Some(&root)).expect("a root"));
        let answer = client.request(Method::GET, &url, HeaderMap::new(), "").await;
        answer.is_ok_and(|answer| answer.status == StatusCode::OK)
    };
    assert!(asks(&first).await && !asks(&second).await);
    // A half replaced pair does not end the service, nor does it use it.
    fs::write(folder.path().join("service.key"), "half").expect("a file");
    assert!(serving.logs("the earlier certificate stays in use").await.contains("HONOKEN_TLS_KEY_FILE"));
    assert!(asks(&first).await);
    copies(&second);
    eventually(PATIENCE, "the new certificate is shown", async || asks(&second).await.then_some(())).await;

    let clear = serving.base_url().replace("https://", "http://");
    let answer = HttpClient::new().request(Method::GET, &clear, HeaderMap::new(), "").await;
    assert!(answer.is_err(), "nothing is answered in the clear");
}

#[tokio::test]
async fn files_that_are_no_certificate_and_its_key_stop_the_start() {
    let home = a_home_for_serve().await;
    let (one, other) = (Authority::new().await, Authority::new().await);
    let cases = [
        ("none", "/nowhere.pem".to_owned(), one.text("ca.key"), "holds no certificate"),
        ("key", one.text("ca.pem"), one.text("ca.pem"), "holds no private key"),
        ("mixed", one.text("ca.pem"), other.text("ca.key"), "cannot be used together"),
    ];
    for (name, certificate, key, why) in cases {
        let serve = home.home().serve(name).with_variable("HONOKEN_TLS_CERT_FILE", &certificate);
        let output =
            serve.with_variable("HONOKEN_TLS_KEY_FILE", &key).command().output().await.expect("it ends");
        let told = said(&output);
        assert!(
            !output.status.success() && told.contains("HONOKEN_TLS_CERT_FILE") && told.contains(why),
            "{told}"
        );
    }
}
