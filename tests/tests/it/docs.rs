//! `/` and `/docs` in a real browser: they show the first steps and the document, what is tried out there is acceptable as it stands, and no
//! request leaves for another host.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use honoken_tests::Honoken;
use honoken_tests::chromium::Browser;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::{a_fresh_service, a_service};

/// Long enough for a browser on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a browser made of a page.
struct Seen {
    /// The page after its scripts have run.
    page: String,
    /// What the page asked for, by its own doing.
    asked: Vec<String>,
    /// What the browser had to say: errors of scripts, and what the Content-Security-Policy forbade.
    console: Vec<String>,
}

/// Opens a page in Chromium.
async fn browser(url: &str) -> Seen {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let net_log = folder.path().join("net.json");
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let net_log_file = format!("--log-net-log={}", net_log.display());
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
    ]);
    command.args(["--no-first-run", "--disable-background-networking", "--disable-component-update"]);
    command.args(["--disable-sync", "--virtual-time-budget=30000", "--enable-logging=stderr", "--dump-dom"]);
    command.args([&profile, &net_log_file, url]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the browser is done");
    let output = output.expect("please install Debian's `chromium`, as scripts/test does");
    let console = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{console}");

    let net_log = File::open(&net_log).expect("the browser keeps a log of the net");
    let net_log: Value = serde_json::from_reader(net_log).expect("the log of the net is JSON");
    let origin = url.split('/').take(3).collect::<Vec<_>>().join("/");
    // Requests without an origin are the browser's own: for the page itself, and to its maker.
    let of_page = |event: &&Value| event["params"]["initiator"].as_str() == Some(&origin);
    let events = net_log["events"].as_array().expect("events").iter().filter(of_page);
    let mut asked: Vec<String> =
        events.filter_map(|event| event["params"]["url"].as_str().map(str::to_owned)).collect();
    asked.sort();
    asked.dedup();
    Seen {
        page: String::from_utf8(output.stdout).expect("a page is text"),
        asked,
        console: console.lines().filter(|line| line.contains(":CONSOLE:")).map(str::to_owned).collect(),
    }
}

/// Opens the page below an address, and checks it.
async fn shows_the_document(base_url: &str) {
    let seen = browser(&format!("{base_url}/docs")).await;
    for shown in
        ["Issue a pass", "Register a device for the updates of a pass", "Get the progress of the projections"]
    {
        assert!(seen.page.contains(shown), "{shown:?} is not shown; {:?}\n{}", seen.console, seen.page);
    }
    let mut expected = [
        "docs/favicon-32x32.png",
        "docs/start.js",
        "docs/swagger-ui-bundle.js",
        "docs/swagger-ui.css",
        "openapi.json",
    ]
    .map(|part| format!("{base_url}/{part}"));
    expected.sort();
    assert_eq!(seen.asked, expected);
    assert!(seen.console.is_empty(), "{:?}", seen.console);
}

#[tokio::test]
async fn a_browser_shows_the_document_and_asks_nobody_else() {
    let honoken = a_service().await;
    shows_the_document(&honoken.ready().base_url).await;
}

#[tokio::test]
async fn the_page_works_under_the_path_of_a_proxy() {
    let honoken = a_service().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/wallet", listener.local_addr().unwrap());
    let proxy = tokio::spawn(takes_the_path_off(listener, honoken.address().to_owned()));
    shows_the_document(&base_url).await;
    proxy.abort();
}

/// A proxy that shows the service under `/wallet`; one request a connection.
async fn takes_the_path_off(listener: TcpListener, service: String) {
    while let Ok((mut browser, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(browser.read_u8().await?);
            }
            let head = String::from_utf8_lossy(&head);
            let Some(below) = head.strip_prefix("GET /wallet/") else {
                return browser.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
            };
            let head = format!("GET /{}", below.replacen("keep-alive", "close", 1));
            let mut service = TcpStream::connect(service).await?;
            service.write_all(head.as_bytes()).await?;
            copy(&mut service, &mut browser).await.map(drop)
        });
    }
}

#[tokio::test]
async fn every_part_of_the_page_has_its_type_and_a_strict_policy() {
    let honoken = a_service().await;
    for (path, content_type) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/start.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/favicon-32x32.png", "image/png"),
    ] {
        let answer = asks(&honoken, path).await;
        answer.assert_status(StatusCode::OK).assert_header("content-type", content_type);
        answer.assert_header("x-content-type-options", "nosniff");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    for path in ["/docs/../openapi.json", "/docs/page.html", "/docs/", "/docs/%2e%2e%2fstart.js"] {
        asks(&honoken, path).await.assert_status(StatusCode::NOT_FOUND);
    }
}

/// Gives the scripts below a way to wait for a part of the page.
const UNTIL: &str = "window.until = async it => {
  for (let attempt = 0; attempt < 2000; attempt++) {
    const found = it();
    if (found) return found;
    await new Promise(resolve => setTimeout(resolve, 10));
  }
  throw new Error('it does not come: ' + it);
};
true";

/// Opens an operation on the page and executes it with what is filled in already. Gives the status, or says that the page asks for a file.
const EXECUTES: &str = "(async id => {
  const block = document.getElementById(id);
  block.querySelector('.opblock-summary-control').click();
  (await until(() => block.querySelector('.try-out__btn'))).click();
  const execute = await until(() => block.querySelector('.execute'));
  const file = block.querySelector('input[type=file]');
  execute.click();
  const status = await until(() => block.querySelector('.live-responses-table .response .response-col_status') || (file && file.closest('.opblock-section-request-body')));
  const shown = status.matches('.response-col_status') ? parseInt(status.textContent) + ' ' + block.querySelector('.live-responses-table .response').innerText : 'asks for a file';
  block.querySelector('.opblock-summary-control').click();
  return shown;
})";

/// Fills in the credentials of the page, as a person does.
const AUTHORIZES: &str = "(async values => {
  (await until(() => document.querySelector('.btn.authorize'))).click();
  for (const [selector, value] of values) {
    const input = await until(() => document.querySelector(selector));
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, value);
    input.dispatchEvent(new Event('input', { bubbles: true }));
  }
  for (const form of document.querySelectorAll('.auth-container form')) form.querySelector('.authorize').click();
  (await until(() => document.querySelectorAll('.auth-container .authorize').length == 0 && document.querySelector('.btn-done'))).click();
})";

#[tokio::test]
async fn what_is_tried_out_is_sent_as_it_is_filled_in() {
    let honoken = a_fresh_service().await;
    let ready = honoken.ready();
    let token = honoken.integrator().credentials(&ready.serial_number).await.token;
    let mut browser = Browser::start().await;
    assert_eq!(browser.opens(&honoken.url("/docs")).await, 200);
    let values = json!([
        ["#auth-bearer-value, [aria-label=auth-bearer-value]", ready.api_key],
        ["#api_key_value, [aria-label=auth-apikey-value]", format!("ApplePass {token}")],
        ["#auth-basic-username, [aria-label=auth-basic-username]", ready.admin_username],
        ["#auth-basic-password, [aria-label=auth-basic-password]", ready.admin_password],
    ]);
    browser.runs(UNTIL).await;
    browser.runs(&format!("{AUTHORIZES}({values})")).await;
    // `tests/it/document.rs` tries what is filled in everywhere; here the browser shows that this is what it sends.
    for (operation, expected) in [
        ("replaceContent", "200"),
        ("incrementNumber", "200"),
        ("listPasses", "200"),
        ("putPassAsset", "asks for a file"),
    ] {
        let shown = browser.runs(&format!("{EXECUTES}('operations-manage-{operation}')")).await;
        let shown = shown.as_str().expect("a text");
        assert!(shown.starts_with(expected), "{operation}: {shown}");
    }
}

#[tokio::test]
async fn the_first_page_leads_to_the_others_and_shows_the_first_steps_in_dev() {
    let honoken = a_service().await;
    let answer = asks(&honoken, "/").await;
    answer.assert_status(StatusCode::OK).assert_header("content-type", "text/html; charset=utf-8");
    let page = String::from_utf8(answer.body.to_vec()).expect("text");
    for part in
        ["href=\"docs\"", "href=\"openapi.json\"", "First steps", "curl -fsS", env!("CARGO_PKG_VERSION")]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let ready = honoken.ready();
    for secret in [&ready.api_key, &ready.admin_password] {
        assert!(!page.contains(secret.as_str()), "a secret is on the page");
    }
    let seen = browser(&honoken.url("/")).await;
    assert!(seen.asked.is_empty() && seen.console.is_empty(), "{:?} {:?}", seen.asked, seen.console);
}

async fn asks(honoken: &Honoken, path: &str) -> honoken_simulator::Answer {
    honoken.request(Method::GET, path, HeaderMap::new(), "").await
}
