//! A page of another site cannot use the credentials that an operator's browser remembers.

use honoken_tests::chromium::Browser;
use honoken_tests::problem::assert_problem;
use honoken_tests::server::Ready;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::wire::{Wire, status};
use honoken_tests::{Honoken, Operator};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::document::Document;
use crate::{a_home_for_serve, a_service};

/// Both places of the operator's routes.
const PREFIXES: [&str; 2] = ["/admin", "/api/admin"];

/// What a browser says for a page of another site, and for one that it knows nothing about.
const FOREIGN: &[&[(&str, &str)]] = &[
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[("sec-fetch-site", "")],
    &[("origin", "null")],
    &[("origin", "http://evil.example")],
    &[("origin", "http://127.0.0.1")],
    &[("origin", "http://127.0.0.1:1")],
    &[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")],
    &[("sec-fetch-site", "none"), ("origin", "null")],
];

async fn is_paused(operator: &Operator) -> bool {
    operator.pushing().await["pusher"]["paused"].as_bool().expect("it is or is not")
}

fn saying(operator: Operator, words: &[(&'static str, &str)]) -> Operator {
    words.iter().fold(operator, |operator, (name, value)| operator.with_header(name, value))
}

#[tokio::test]
async fn what_a_browser_sends_for_a_foreign_page_changes_nothing() {
    let honoken = a_service().await;
    for prefix in PREFIXES {
        for words in FOREIGN {
            let operator = saying(honoken.operator(), words);
            let answer =
                operator.request(Method::POST, &format!("{prefix}/pusher/pause"), &Value::Null).await;
            assert_problem(&answer, 403);
            assert_eq!(answer.json()["code"], "cross_site", "{words:?}");
            assert!(!is_paused(&honoken.operator()).await, "{words:?}");
        }
    }
}

#[tokio::test]
async fn our_own_pages_and_callers_that_are_no_browser_go_on() {
    let honoken = a_service().await;
    let own = format!("http://{}", honoken.address());
    let loud = own.to_uppercase();
    for prefix in PREFIXES {
        let allowed: [&[(&str, &str)]; 6] = [
            &[],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", &own)],
            &[("origin", &loud)],
            &[("sec-fetch-site", "same-origin"), ("origin", &own)],
        ];
        for words in allowed {
            for (action, paused) in [("pause", true), ("resume", false)] {
                let operator = saying(honoken.operator(), words);
                let answer =
                    operator.request(Method::POST, &format!("{prefix}/pusher/{action}"), &Value::Null).await;
                answer.assert_status(StatusCode::OK);
                assert_eq!(answer.json()["paused"], paused, "{words:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_route_that_changes_something_for_an_operator_refuses_foreign_pages() {
    let honoken = a_service().await;
    let document = Document::of(&honoken).await;
    let operator = honoken.operator().with_header("sec-fetch-site", "cross-site");
    let (mut refused, before) = (0, honoken.storage().recorded().await);
    for operation in document.operations() {
        if operation.security.as_deref() != Some("operator") {
            continue;
        }
        let path = operation
            .in_path
            .iter()
            .fold(operation.path.clone(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        for path in [path.clone(), format!("/api{path}")] {
            let answer = operator.request(operation.method.clone(), &path, &Value::Null).await;
            if operation.method == Method::GET {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{path}: reading changes nothing");
            } else {
                assert_eq!(assert_problem(&answer, 403)["code"], "cross_site", "{} {path}", operation.method);
                refused += 1;
            }
        }
        if operation.method != Method::GET {
            let described = document.describes(&operation, "403");
            assert!(described.contains("`cross_site`"), "{}: {described}", operation.id);
        }
    }
    assert!(refused >= 20, "{refused} refusals");
    assert_eq!(honoken.storage().recorded().await, before, "nothing has happened");
}

#[tokio::test]
async fn without_right_credentials_the_answer_is_the_same_as_ever() {
    let honoken = a_service().await;
    let Ready { base_url, admin_username, .. } = honoken.ready();
    let stranger = Operator::known_as(base_url, admin_username, "wrong");
    let mut headers = HeaderMap::new();
    headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    for prefix in PREFIXES {
        let path = format!("{prefix}/pusher/pause");
        let anonymous = honoken.request(Method::POST, &path, headers.clone(), "").await;
        assert_problem(&anonymous, 401);
        for words in FOREIGN {
            let answer = saying(stranger.clone(), words).request(Method::POST, &path, &Value::Null).await;
            assert_problem(&answer, 401);
        }
    }
}

#[tokio::test]
async fn keys_and_tokens_that_no_browser_adds_are_asked_for_nothing_else() {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    let headers = [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://shop.example"),
        ("content-type", "application/json"),
    ];
    let order = integrator.order("A-1", &honoken_tests::a_ticket("1A")).to_string();
    let answer = integrator.request(Method::POST, "/manage/v1/passes", &headers, order).await;
    answer.assert_status(StatusCode::CREATED);
}

/// A request to pause pushing as a browser sends it that reaches the service under this name.
async fn status_of(address: &str, authorization: &str, host: &str, origin: &str) -> Option<u16> {
    let mut wire = Wire::to(address).await;
    let head = format!(
        "POST /admin/pusher/pause HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nAuthorization: {authorization}\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    wire.says(head.as_bytes()).await.expect("it listens");
    status(&wire.hears(PATIENCE).await.expect("an answer"))
}

#[tokio::test]
async fn behind_a_proxy_the_host_or_the_public_url_is_ours_whatever_the_scheme() {
    let home = a_home_for_serve().await;
    let serve =
        home.home().serve("public").with_variable("HONOKEN_PUBLIC_URL", "https://passes.example.com/wallet");
    let serving = serve
        .with_variable("HONOKEN_ADMIN_USERNAME", "operator")
        .with_variable("HONOKEN_ADMIN_PASSWORD", "a password of some length")
        .start()
        .await;
    let known = Ready {
        admin_username: "operator".to_owned(),
        admin_password: "a password of some length".to_owned(),
        ..serving.as_known(home.ready())
    };
    let basic = crate::properties::basic(&known);
    let basic = basic.to_str().expect("Base64");
    for (host, origin, expected) in [
        ("tickets.example", "https://tickets.example", 200),
        ("tickets.example:443", "https://tickets.example", 200),
        ("tickets.example", "https://tickets.example:443", 200),
        ("tickets.example", "http://tickets.example", 200),
        ("Tickets.Example:80", "http://tickets.example", 200),
        ("10.0.0.7:8080", "https://passes.example.com", 200),
        ("10.0.0.7:8080", "https://PASSES.example.com:443", 200),
        ("10.0.0.7:8080", "https://passes.example.com:8443", 403),
        ("10.0.0.7:8080", "https://passes.example.com.evil.example", 403),
        ("10.0.0.7:8080", "https://tickets.example", 403),
        ("tickets.example:80", "https://tickets.example", 403),
        ("tickets.example", "https://evil.example", 403),
        ("tickets.example", "tickets.example", 403),
    ] {
        let found = status_of(serving.address(), basic, host, origin).await;
        assert_eq!(found, Some(expected), "{host} {origin}");
    }
}

/// A site whose only page posts a form to another address as soon as it is open.
async fn a_site_whose_form_posts_to(target: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    // By another name than the service has: for a browser that is another site.
    let site = format!("http://localhost:{}/", listener.local_addr().expect("an address").port());
    let page = format!(
        "<!doctype html><form method=post action=\"{target}\"></form><script>document.forms[0].submit()</script>"
    );
    tokio::spawn(async move {
        while let Ok((mut browser, _)) = listener.accept().await {
            let page = page.clone();
            tokio::spawn(async move {
                let mut head = [0; 8192];
                let _asked = browser.read(&mut head).await?;
                let length = page.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                browser.write_all((head + &page).as_bytes()).await
            });
        }
    });
    site
}

/// A browser that has shown an operator something below a prefix, and remembers name and password as browsers do.
async fn a_browser_that_remembers(honoken: &Honoken, prefix: &str) -> Browser {
    let Ready { admin_username, admin_password, .. } = honoken.ready();
    let mut browser = Browser::start().await;
    let address = honoken.address();
    let url = format!("http://{admin_username}:{admin_password}@{address}{prefix}/projections");
    assert_eq!(browser.opens(&url).await, 200);
    browser
}

#[tokio::test]
async fn a_form_of_a_foreign_page_pauses_nothing_though_the_browser_remembers_the_operator() {
    let honoken = a_service().await;
    for prefix in PREFIXES {
        let mut browser = a_browser_that_remembers(&honoken, prefix).await;
        let path = format!("{prefix}/pusher/pause");
        let site = a_site_whose_form_posts_to(&honoken.url(&path)).await;
        browser.goes_to(&site).await;
        let status = browser.comes_to(&path).await;
        assert_eq!(status, 403, "401 would say that the browser has forgotten the operator");
        assert!(browser.runs("document.documentElement.innerText").await.to_string().contains("cross_site"));
        assert!(!is_paused(&honoken.operator()).await, "pushing goes on");
    }
}

#[tokio::test]
async fn our_own_page_may_do_what_the_operator_tries_out() {
    let honoken = a_service().await;
    let mut browser = a_browser_that_remembers(&honoken, "/admin").await;
    assert_eq!(browser.opens(&honoken.url("/docs")).await, 200);
    for (operation, paused) in [("pausePusher", true), ("resumePusher", false)] {
        for part in [".opblock-summary-control", ".try-out__btn", ".execute"] {
            browser.clicks(&format!("#operations-admin-{operation} {part}")).await;
        }
        eventually(PATIENCE, operation, async || {
            (is_paused(&honoken.operator()).await == paused).then_some(())
        })
        .await;
    }
}
