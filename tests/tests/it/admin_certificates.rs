//! Certificates and pass types over HTTP, while the service runs.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use honoken_pkpass::reader;
use honoken_simulator::Answer;
use honoken_tests::apple::{A_YEAR, Apple, Lasts, TEAM, fingerprint};
use honoken_tests::problem::{assert_points_at, assert_problem};
use honoken_tests::server::Ready;
use honoken_tests::storage::{Part, files_below};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Honoken, Integrator, Operator, Serving, a_ticket, package};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{a_home_for_several, a_service};

const PASS_TYPE: &str = "pass.com.example.ticket";

/// An operator of a running service, and Apple.
struct Desk {
    honoken: Honoken,
    apple: Apple,
}

/// A certificate with a key of the operator's own.
struct Certified {
    certificate: PathBuf,
    key: PathBuf,
}

impl Desk {
    async fn new() -> Self {
        Self { honoken: a_service().await, apple: Apple::new().await }
    }

    async fn asks(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.honoken.operator().request(method, path, body).await
    }

    async fn puts(&self, name: &str, body: &Value) -> Answer {
        self.asks(Method::PUT, &format!("/admin/certs/{name}"), body).await
    }

    async fn shows(&self, name: &str) -> Value {
        let answer = self.asks(Method::GET, &format!("/admin/certs/{name}"), &Value::Null).await;
        answer.assert_status(StatusCode::OK).json()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.honoken.home().folder().join(name)
    }

    /// Makes a key and a request with `openssl`, as an operator does, and Apple answers it.
    async fn gets_certificate(&self, name: &str, team: &str, lasts: Lasts) -> Certified {
        let (key, request) = (self.file(&format!("{name}.key")), self.file(&format!("{name}.csr")));
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=request",
            "-keyout",
            text(&key),
            "-out",
            text(&request),
        ])
        .await;
        let certificate = self.apple.certifies_for(&request, PASS_TYPE, team, name, lasts).await;
        Certified { certificate, key }
    }

    /// The bundle of the earlier service.
    fn bundle(&self, certified: &Certified, team: &str) -> Value {
        json!({
            "bundleData": {
                "wwdr": STANDARD.encode(fs::read(self.apple.intermediate_file()).expect("a file")),
                "signerCert": STANDARD.encode(fs::read(&certified.certificate).expect("a file")),
                "signerKey": fs::read_to_string(&certified.key).expect("a file"),
                "signerKeyPassphrase": ""
            },
            "isEnhanced": false,
            "teamId": team,
            "description": "Tickets"
        })
    }

    /// An installed certificate whose pass type the sample organisation owns.
    async fn is_set_up(&self, name: &str) -> Certified {
        let certified = self.gets_certificate("first", TEAM, A_YEAR).await;
        let mut body = self.bundle(&certified, TEAM);
        body["organization"] = "dev".into();
        self.puts(name, &body).await.assert_status(StatusCode::OK);
        certified
    }

    fn integrator(&self) -> Integrator {
        let ready = self.honoken.ready();
        Integrator::new(&Ready { pass_type_identifier: PASS_TYPE.to_owned(), ..ready.clone() })
    }

    async fn signer_of(&self, serial_number: &str) -> String {
        signer(&self.integrator().downloads(serial_number).await)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

async fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().await.expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn signer(pkpass: &[u8]) -> String {
    reader::inspect(pkpass).signature.expect("a signature").signer.expect("a signer").fingerprint
}

fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn a_certificate_is_installed_renewed_and_revoked_while_the_service_runs() {
    let desk = Desk::new().await;
    let first = desk.is_set_up("club-2026").await;
    let shown = desk.shows("club-2026").await;
    assert_eq!(shown["certRef"], "club-2026");
    assert_eq!((&shown["passTypeIdentifier"], &shown["teamIdentifier"]), (&json!(PASS_TYPE), &json!(TEAM)));
    assert_eq!((&shown["isEnhanced"], &shown["description"]), (&json!(false), &json!("Tickets")));
    assert_eq!(shown["fingerprint"], fingerprint(&first.certificate));
    assert_eq!((&shown["state"], &shown["passTypes"]), (&json!("good"), &json!([PASS_TYPE])));
    assert!([395, 396].contains(&shown["daysLeft"].as_i64().unwrap()), "{shown}");
    let codes: Vec<_> = shown["warnings"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["not_issued_by_apple"], "this Apple is none");

    let integrator = desk.integrator();
    integrator.issues("A-1").await;
    let pkpass = integrator.downloads("A-1").await;
    package::assert_verifies(&pkpass, &desk.apple.root()).await;
    assert_eq!(signer(&pkpass), fingerprint(&first.certificate));

    let mut again = desk.bundle(&first, TEAM);
    again["organization"] = "dev".into();
    let again = desk.puts("club-2026", &again).await.assert_status(StatusCode::OK).json();
    assert_eq!((&again["changed"], &again["revision"]), (&json!(false), &shown["revision"]));

    let second = desk.gets_certificate("second", TEAM, Lasts::days(-1, 800)).await;
    let renewed = desk.puts("club-2026", &desk.bundle(&second, TEAM)).await;
    let renewed = renewed.assert_status(StatusCode::OK).json();
    assert_eq!(renewed["changed"], true);
    assert_ne!(renewed["revision"], shown["revision"]);
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&second.certificate), "the next download has it");

    let refused = desk.puts("club-2026", &desk.bundle(&first, TEAM)).await;
    assert_problem(&refused, 409);
    assert_eq!(code(&refused), "needs_force");
    assert!(refused.json()["detail"].as_str().unwrap().contains("\"force\": true"), "{}", refused.excerpt());
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&second.certificate), "nothing has changed");
    let mut forced = desk.bundle(&first, TEAM);
    forced["force"] = true.into();
    desk.puts("club-2026", &forced).await.assert_status(StatusCode::OK);
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&first.certificate));

    for _ in 0..2 {
        let revoked = desk.asks(Method::DELETE, "/admin/certs/club-2026", &Value::Null).await;
        revoked.assert_status(StatusCode::NO_CONTENT);
        integrator.pkpass("A-1").await.assert_status(StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(desk.shows("club-2026").await["state"], "revoked");
    integrator.moves_to("A-1", "2B").await;
    desk.puts("club-2026", &desk.bundle(&second, TEAM)).await.assert_status(StatusCode::OK);
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&second.certificate), "it is installed again");
}

#[tokio::test]
async fn a_key_that_is_made_here_never_travels() {
    let desk = Desk::new().await;
    let order = json!({ "passTypeIdentifier": PASS_TYPE, "teamId": TEAM });
    let path = "/admin/certs/club/csr";
    let answer = desk.asks(Method::POST, path, &order).await.assert_status(StatusCode::OK).json();
    let request = desk.file("from-here.csr");
    fs::write(&request, answer["csr"].as_str().unwrap()).unwrap();
    let again = desk.asks(Method::POST, path, &order).await.assert_status(StatusCode::OK).json();
    let repeated = desk.file("again.csr");
    fs::write(&repeated, again["csr"].as_str().unwrap()).unwrap();
    assert_eq!(public_key(&request).await, public_key(&repeated).await, "the earlier request is as good");
    let waits = desk.shows("club").await;
    assert_eq!((&waits["state"], &waits["requested"]), (&json!("requested"), &json!(true)));
    assert_eq!((&waits["fingerprint"], &waits["daysLeft"]), (&Value::Null, &Value::Null));

    let certificate = desk.apple.certifies(&request, PASS_TYPE, "from-here", A_YEAR).await;
    let body = json!({
        "bundleData": {
            "wwdr": STANDARD.encode(fs::read(desk.apple.intermediate_file()).unwrap()),
            "signerCert": STANDARD.encode(fs::read(&certificate).unwrap())
        },
        "teamId": TEAM, "organization": "dev"
    });
    let missing = desk.puts("another", &body).await;
    assert_problem(&missing, 422);
    assert_points_at(&missing, "/bundleData/signerKey");
    let installed = desk.puts("club", &body).await.assert_status(StatusCode::OK).json();
    assert_eq!((&installed["changed"], &installed["requested"]), (&json!(true), &json!(false)));
    let retried = desk.puts("club", &body).await.assert_status(StatusCode::OK).json();
    assert_eq!(retried["changed"], false, "the answer may have been lost");
    desk.integrator().issues("A-1").await;
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&certificate));

    let next = desk.asks(Method::POST, path, &order).await.assert_status(StatusCode::OK).json();
    let renewal = desk.file("renewal.csr");
    fs::write(&renewal, next["csr"].as_str().unwrap()).unwrap();
    assert_ne!(public_key(&request).await, public_key(&renewal).await, "a renewal has a key of its own");
    desk.asks(Method::DELETE, "/admin/certs/club", &Value::Null).await.assert_status(StatusCode::NO_CONTENT);
    assert_eq!(desk.shows("club").await["requested"], false);
}

async fn public_key(request: &Path) -> String {
    let arguments = ["req", "-in", text(request), "-noout", "-pubkey", "-verify"];
    let output = Command::new("openssl").args(arguments).output().await.expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn what_does_not_belong_together_is_named_and_changes_nothing() {
    let desk = Desk::new().await;
    let first = desk.gets_certificate("first", TEAM, A_YEAR).await;
    let other = desk.gets_certificate("other", TEAM, A_YEAR).await;
    let expired = desk.gets_certificate("expired", TEAM, Lasts::days(-30, -1)).await;
    let right = desk.bundle(&first, TEAM);
    let head = desk.honoken.operator().head().await;
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body = right.clone();
        change(&mut body);
        body
    };
    let older = STANDARD.encode(fs::read(desk.apple.older_intermediate_file()).unwrap());
    let cases: [(&str, Value); 13] = [
        (
            "/bundleData/signerKey",
            changed(&|body| {
                body["bundleData"]["signerKey"] = fs::read_to_string(&other.key).unwrap().into();
            }),
        ),
        ("/bundleData/signerKey", changed(&|body| body["bundleData"]["signerKey"] = "no key".into())),
        ("/bundleData/signerCert", changed(&|body| body["bundleData"]["signerCert"] = "AAAA".into())),
        ("/bundleData/wwdr", changed(&|body| body["bundleData"]["wwdr"] = older.clone().into())),
        (
            "/bundleData/wwdr",
            changed(&|body| drop(body["bundleData"].as_object_mut().unwrap().remove("wwdr"))),
        ),
        ("/bundleData/extra", changed(&|body| body["bundleData"]["extra"] = 1.into())),
        ("/extra", changed(&|body| body["extra"] = 1.into())),
        ("/teamId", changed(&|body| body["teamId"] = "FOREIGN123".into())),
        ("/teamId", changed(&|body| drop(body.as_object_mut().unwrap().remove("teamId")))),
        ("/organization", changed(&|body| body["organization"] = "nobody".into())),
        ("/isEnhanced", changed(&|body| body["isEnhanced"] = "yes".into())),
        ("/bundleData", json!({ "teamId": TEAM })),
        ("", desk.bundle(&expired, TEAM)),
    ];
    for (pointer, body) in cases {
        let refused = desk.puts("club", &body).await;
        assert_problem(&refused, 422);
        assert_points_at(&refused, pointer);
        let said = refused.excerpt();
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
    assert_problem(&desk.puts("-club", &right).await, 422);
    assert_eq!(desk.honoken.operator().head().await, head, "nothing has happened");
    assert_problem(&desk.asks(Method::GET, "/admin/certs/club", &Value::Null).await, 404);
}

#[tokio::test]
async fn an_old_p12_is_taken_with_its_passphrase_alone() {
    let desk = Desk::new().await;
    let certified = desk.gets_certificate("keychain", TEAM, A_YEAR).await;
    // Keychain exports no intermediate, so it is put in.
    let (pem, p12) = (desk.file("chain.pem"), desk.file("chain.p12"));
    let (leaf, wwdr) = (desk.file("leaf.pem"), desk.file("wwdr.pem"));
    openssl(&["x509", "-in", text(&certified.certificate), "-inform", "DER", "-out", text(&leaf)]).await;
    openssl(&["x509", "-in", text(&desk.apple.intermediate_file()), "-inform", "DER", "-out", text(&wwdr)])
        .await;
    fs::write(&pem, [fs::read(&leaf).unwrap(), fs::read(&wwdr).unwrap()].concat()).unwrap();
    openssl(&[
        "pkcs12",
        "-export",
        "-legacy",
        "-in",
        text(&pem),
        "-inkey",
        text(&certified.key),
        "-out",
        text(&p12),
        "-passout",
        "pass:geheim",
    ])
    .await;
    let mut body = json!({ "p12": STANDARD.encode(fs::read(&p12).unwrap()), "teamId": TEAM });
    let refused = desk.puts("keychain", &body).await;
    assert_problem(&refused, 422);
    assert_points_at(&refused, "/passphrase");
    body["passphrase"] = "offen".into();
    let refused = desk.puts("keychain", &body).await;
    assert_points_at(&refused, "/passphrase");
    assert!(!refused.excerpt().contains("offen"), "{}", refused.excerpt());
    body["passphrase"] = "geheim".into();
    let installed = desk.puts("keychain", &body).await.assert_status(StatusCode::OK).json();
    assert_eq!(installed["fingerprint"], fingerprint(&certified.certificate));
    let codes: Vec<_> = installed["warnings"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["not_issued_by_apple", "no_organization"]);
}

#[tokio::test]
async fn a_pass_is_made_to_try_a_certificate() {
    let desk = Desk::new().await;
    let certified = desk.is_set_up("club").await;
    let head = desk.honoken.operator().head().await;
    let tries = || desk.asks(Method::POST, "/admin/certs/club/test", &Value::Null);
    let answer = tries().await;
    answer.assert_status(StatusCode::OK);
    assert_eq!(answer.header("content-type"), Some("application/vnd.apple.pkpass"));
    package::assert_verifies(&answer.body, &desk.apple.root()).await;
    assert_eq!(signer(&answer.body), fingerprint(&certified.certificate));
    let report = reader::inspect(&answer.body);
    assert!(report.valid, "{report}");
    let (first, second) = (report.pass.unwrap(), reader::inspect(&tries().await.body).pass.unwrap());
    assert_ne!(first.serial_number, second.serial_number);
    assert!(!first.has_web_service_url);
    assert_eq!(desk.honoken.operator().head().await, head, "nobody keeps it");
    assert_problem(&desk.asks(Method::POST, "/admin/certs/other/test", &Value::Null).await, 404);
    desk.asks(Method::DELETE, "/admin/certs/club", &Value::Null).await.assert_status(StatusCode::NO_CONTENT);
    assert_problem(&tries().await, 409);
}

#[tokio::test]
async fn a_pass_type_names_its_certificate_and_moves_only_on_purpose() {
    let desk = Desk::new().await;
    let first = desk.is_set_up("club-2026").await;
    desk.integrator().issues("A-1").await;
    let second = desk.gets_certificate("second", TEAM, A_YEAR).await;
    let installed = desk.puts("club-2027", &desk.bundle(&second, TEAM)).await;
    let installed = installed.assert_status(StatusCode::OK).json();
    assert_eq!(installed["passTypes"], json!([]));
    assert!(installed["warnings"].to_string().contains("not_in_use"), "{installed}");
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&first.certificate));

    let path = format!("/admin/pass-types/{PASS_TYPE}");
    let order = json!({ "organization": "dev", "certRef": "club-2027" });
    let moved = desk.asks(Method::PUT, &path, &order).await.assert_status(StatusCode::OK).json();
    let expected = json!({
        "passTypeIdentifier": PASS_TYPE, "organization": "dev", "certRef": "club-2027", "teamIdentifier": TEAM, "changed": true
    });
    assert_eq!(moved, expected);
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&second.certificate));
    let again = desk.asks(Method::PUT, &path, &order).await.assert_status(StatusCode::OK).json();
    assert_eq!(again["changed"], false);
    let listed = desk.asks(Method::GET, "/admin/pass-types?limit=1", &Value::Null).await.json();
    assert_eq!(listed["passTypes"][0]["certRef"], "club-2027");
    let next = listed["next"].as_str().unwrap();
    let path_of_next = format!("/admin/pass-types?limit=1&cursor={next}");
    let listed = desk.asks(Method::GET, &path_of_next, &Value::Null).await.json();
    assert_eq!(
        (&listed["passTypes"][0]["passTypeIdentifier"], &listed["next"]),
        (&json!("pass.dev.honoken.event"), &Value::Null)
    );

    let foreign = desk.gets_certificate("foreign", "FOREIGN123", A_YEAR).await;
    let refused = desk.puts("club-2027", &desk.bundle(&foreign, "FOREIGN123")).await;
    assert_eq!((refused.status.as_u16(), code(&refused)), (409, "needs_force".to_owned()));
    desk.puts("foreign", &desk.bundle(&foreign, "FOREIGN123")).await.assert_status(StatusCode::OK);
    let mut order = json!({ "organization": "dev", "certRef": "foreign" });
    let refused = desk.asks(Method::PUT, &path, &order).await;
    assert_eq!((refused.status.as_u16(), code(&refused)), (409, "needs_force".to_owned()));
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&second.certificate));
    order["force"] = true.into();
    desk.asks(Method::PUT, &path, &order).await.assert_status(StatusCode::OK);
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&foreign.certificate));

    for (pointer, wrong) in [
        ("/organization", json!({ "organization": "nobody", "certRef": "foreign" })),
        ("/certRef", json!({ "organization": "dev", "certRef": "nothing" })),
        ("/certRef", json!({ "organization": "dev", "certRef": "pass.dev.honoken.event" })),
        ("/certRef", json!({ "organization": "dev" })),
        ("/force", json!({ "organization": "dev", "certRef": "foreign", "force": 1 })),
        ("/erasable", json!({ "organization": "dev", "certRef": "foreign", "erasable": true })),
    ] {
        let refused = desk.asks(Method::PUT, &path, &wrong).await;
        assert_problem(&refused, 422);
        assert_points_at(&refused, pointer);
    }
}

#[tokio::test]
async fn a_list_goes_on_behind_its_cursor() {
    let desk = Desk::new().await;
    let certified = desk.is_set_up("b").await;
    desk.puts("a", &desk.bundle(&certified, TEAM)).await.assert_status(StatusCode::OK);
    let (mut names, mut path) = (Vec::new(), "/admin/certs?limit=1".to_owned());
    loop {
        let page = desk.asks(Method::GET, &path, &Value::Null).await.assert_status(StatusCode::OK).json();
        names.extend(
            page["certs"].as_array().unwrap().iter().map(|one| one["certRef"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/admin/certs?limit=1&cursor={next}");
    }
    assert_eq!(names, ["a", "b", "pass.dev.honoken.event"]);
    assert_problem(&desk.asks(Method::GET, "/admin/certs?page=2", &Value::Null).await, 422);
}

#[tokio::test]
async fn an_invalidated_certificate_is_read_again_and_signs_on() {
    let desk = Desk::new().await;
    let certified = desk.is_set_up("club").await;
    desk.integrator().issues("A-1").await;
    let told = desk.asks(Method::POST, "/admin/invalidate/certs/club", &Value::Null).await;
    told.assert_status(StatusCode::NO_CONTENT);
    assert_eq!(desk.signer_of("A-1").await, fingerprint(&certified.certificate));
    assert_eq!(
        desk.honoken
            .home()
            .output()
            .matches("the certificate of pass.com.example.ticket signs from now on")
            .count(),
        2
    );
    assert_problem(&desk.asks(Method::POST, "/admin/invalidate/certs/nothing", &Value::Null).await, 404);
}

#[tokio::test]
async fn no_secret_of_a_certificate_is_found_in_any_output_or_file() {
    let desk = Desk::new().await;
    let certified = desk.is_set_up("club").await;
    let listed = desk.asks(Method::GET, "/admin/certs", &Value::Null).await;
    let key = fs::read_to_string(&certified.key).unwrap();
    let secret: Vec<&str> = key.lines().filter(|line| line.len() == 64).collect();
    assert!(secret.len() > 10, "a key has many lines");
    let found = |text: &str| secret.iter().any(|line| text.contains(line)) || text.contains("PRIVATE KEY");
    assert!(!found(&listed.excerpt()) && !found(&listed.json().to_string()), "{}", listed.excerpt());
    assert!(!found(&desk.honoken.home().output()));
    for file in files_below(&desk.honoken.home().data_dir()) {
        let bytes = fs::read(&file).unwrap();
        let content = String::from_utf8_lossy(&bytes);
        let is_dev_authority = file.components().any(|part| part.as_os_str() == "certificates");
        assert!(is_dev_authority || !found(&content), "{}", file.display());
    }
}

#[tokio::test]
async fn without_the_operators_password_nothing_happens() {
    let desk = Desk::new().await;
    let ready = desk.honoken.ready();
    let head = desk.honoken.operator().head().await;
    let strangers = [
        Operator::known_as(&ready.base_url, &ready.admin_username, "wrong"),
        Operator::known_as(&ready.base_url, "somebody", &ready.admin_password),
        Operator::known_as(&ready.base_url, "", &ready.api_key),
    ];
    let order = json!({ "passTypeIdentifier": PASS_TYPE, "teamId": TEAM });
    for (method, path, body) in [
        (Method::PUT, "/admin/certs/pass.dev.honoken.event", json!({})),
        (Method::GET, "/admin/certs", Value::Null),
        (Method::GET, "/api/admin/certs/pass.dev.honoken.event", Value::Null),
        (Method::DELETE, "/admin/certs/pass.dev.honoken.event", Value::Null),
        (Method::POST, "/admin/certs/club/csr", order),
        (Method::POST, "/admin/certs/pass.dev.honoken.event/test", Value::Null),
        (Method::POST, "/admin/invalidate/certs/pass.dev.honoken.event", Value::Null),
        (Method::PUT, "/admin/pass-types/pass.dev.honoken.event", json!({})),
        (Method::GET, "/admin/pass-types", Value::Null),
    ] {
        let anonymous = desk.honoken.request(method.clone(), path, HeaderMap::new(), "").await;
        assert_problem(&anonymous, 401);
        for stranger in &strangers {
            assert_problem(&stranger.request(method.clone(), path, &body).await, 401);
        }
    }
    assert_eq!(desk.honoken.operator().head().await, head, "nothing has happened");
}

const ADMIN: (&str, &str) = ("operator", "a password of some length");

async fn serves(home: &Honoken, name: &str) -> Serving {
    let serve = home.home().serve(name).with_variable("HONOKEN_ADMIN_USERNAME", ADMIN.0);
    serve.with_variable("HONOKEN_ADMIN_PASSWORD", ADMIN.1).start().await
}

#[tokio::test]
async fn another_process_signs_with_what_was_installed_and_stops_with_what_was_revoked() {
    let home = a_home_for_several().await;
    let apple = Apple::new().await;
    let desk = Desk { honoken: home, apple };
    let (one, other) = (serves(&desk.honoken, "one").await, serves(&desk.honoken, "other").await);
    let operator = Operator::known_as(one.base_url(), ADMIN.0, ADMIN.1);
    let certified = desk.gets_certificate("first", TEAM, A_YEAR).await;
    let mut body = desk.bundle(&certified, TEAM);
    body["organization"] = "dev".into();
    operator.request(Method::PUT, "/admin/certs/club", &body).await.assert_status(StatusCode::OK);
    let ready = Ready {
        base_url: other.base_url().to_owned(),
        pass_type_identifier: PASS_TYPE.to_owned(),
        ..desk.honoken.ready().clone()
    };
    let integrator = Integrator::new(&ready);
    let order = integrator.order("A-1", &a_ticket("1A"));
    integrator.issue(&order).await.assert_status(StatusCode::CREATED);
    let signed = eventually(PATIENCE, "the other process signs", async || {
        let answer = integrator.pkpass("A-1").await;
        (answer.status == StatusCode::OK).then_some(answer.body)
    })
    .await;
    assert_eq!(signer(&signed), fingerprint(&certified.certificate));
    let told = operator.request(Method::POST, "/admin/invalidate/certs/club", &Value::Null).await;
    told.assert_status(StatusCode::NO_CONTENT);
    let again = "the certificate of pass.com.example.ticket signs from now on";
    eventually(PATIENCE, "the other process reads it again", async || {
        (other.output().matches(again).count() == 2).then_some(())
    })
    .await;
    let revoked = operator.request(Method::DELETE, "/admin/certs/club", &Value::Null).await;
    revoked.assert_status(StatusCode::NO_CONTENT);
    eventually(PATIENCE, "the other process signs no more", async || {
        (integrator.pkpass("A-1").await.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_named_operator_stands_in_the_audit_and_in_the_events() {
    let desk = Desk::new().await;
    let password = "correct horse battery staple";
    let order = json!({ "name": "vera", "role": "operator", "password": password });
    desk.asks(Method::POST, "/admin/operators", &order).await.assert_status(StatusCode::CREATED);
    let certified = desk.gets_certificate("first", TEAM, A_YEAR).await;
    let mut bundle = desk.bundle(&certified, TEAM);
    bundle["organization"] = "club".into();

    let vera = Operator::known_as(&desk.honoken.url(""), "vera", password);
    let club = json!({ "id": "club", "name": "The Club" });
    let (keys, label) = ("/admin/organizations/club/keys", json!({ "label": "till" }));
    for (method, path, body, status) in [
        (Method::POST, "/admin/organizations", club, StatusCode::CREATED),
        (Method::POST, keys, label, StatusCode::CREATED),
        (Method::PUT, "/admin/certs/club-2026", bundle, StatusCode::OK),
    ] {
        vera.request(method, path, &body).await.assert_status(status);
    }
    let paused = vera.request(Method::POST, "/admin/relay/pause", &Value::Null).await;
    assert_eq!(paused.assert_status(StatusCode::OK).json()["by"], "vera");

    let audit = desk.asks(Method::GET, "/admin/audit?actor=vera", &Value::Null).await.json();
    let entries = audit["entries"].as_array().unwrap().iter().rev();
    let entries: Vec<_> =
        entries.map(|entry| (&entry["action"], &entry["target"], &entry["result"])).collect();
    let entry = |action, target, result| (json!(action), json!(target), json!(result));
    let expected = [
        entry("createOrganization", "/organizations", 201),
        entry("createApiKey", "/organizations/club/keys", 201),
        entry("putCertificate", "/certs/club-2026", 200),
        entry("pauseRelay", "/relay/pause", 200),
    ];
    assert_eq!(entries, expected.each_ref().map(|(action, target, result)| (action, target, result)));
    let named = "select event_type from events where cast(metadata as text) like $1 order by events.position";
    let named = desk.honoken.storage().reads(Part::Log, named, &["%\"operator:vera\"%"]).await;
    let first: Vec<&str> = named.iter().map(String::as_str).take(3).collect();
    assert_eq!(first, ["OrganizationCreated", "ApiKeyAdded", "CertificateInstalled"], "{named:?}");
}
