//! A refusal takes the same work whatever it is refused for: its time tells nobody which passes there are.

use honoken_simulator::Answer;
use honoken_tests::device::{device, push_token};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Credentials, Engine, Honoken};
use http::{Method, StatusCode};

use super::a_service_with_a_pass;

/// Requests of a kind, of each route that asks for a token.
const REQUESTS: u32 = 5;

/// Looks into memory for a pass, and questions to the tables.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Work {
    looks: f64,
    questions: f64,
}

async fn asks(honoken: &Honoken, pass: &Credentials, authorization: &str) -> [Answer; 3] {
    let devices = honoken.devices();
    let body = format!("{{\"pushToken\":\"{}\"}}", push_token(1, 0));
    let headers = [("authorization", authorization)];
    let headers = if authorization.is_empty() { &[][..] } else { &headers[..] };
    let registration = devices.registration_path(&device(1), pass);
    [
        devices.request(Method::POST, &registration, headers, body).await,
        devices.request(Method::DELETE, &registration, headers, "").await,
        devices.request(Method::GET, &devices.pass_path(pass), headers, "").await,
    ]
}

/// What the process has done meanwhile, the least of three times: it may have something else to do.
async fn work(honoken: &Honoken, mut done: impl AsyncFnMut()) -> Work {
    let mut least = Work { looks: f64::MAX, questions: f64::MAX };
    for _ in 0..3 {
        let before = honoken.metrics().await;
        done().await;
        let after = honoken.metrics().await;
        let grown = |series| after.since(&before, series);
        least.looks = least.looks.min(grown("honoken_pass_rows_looked_for_total"));
        least.questions = least.questions.min(grown("honoken_read_model_questions_total"));
    }
    least
}

/// What it takes to refuse this token for this pass.
async fn work_of_refusals(honoken: &Honoken, pass: &Credentials, authorization: &str) -> Work {
    work(honoken, async || {
        for _ in 0..REQUESTS {
            for answer in asks(honoken, pass, authorization).await {
                answer.assert_status(StatusCode::UNAUTHORIZED);
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_wrong_token_costs_the_same_work_as_an_unknown_serial() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    for serial in ["A-2", "A-3", "A-4", "A-5"] {
        integrator.issues(serial).await;
    }
    let mut strangers = Vec::new();
    for serial in ["A-2", "A-3", "A-4", "A-5"] {
        strangers.push(integrator.credentials(serial).await);
    }
    let devices = honoken.devices();
    // Its row is in memory now, where rows are kept at all.
    let gets = async || {
        devices.get(&pass, &[("if-none-match", "*")]).await.assert_status(StatusCode::NOT_MODIFIED);
    };
    let questions = match honoken.home().engine() {
        Engine::Sqlite => 0.0,
        Engine::Postgres => 1.0,
    };
    eventually(PATIENCE, "the row of the pass is where it stays", async || {
        let work = work(&honoken, gets).await;
        (work == Work { looks: 1.0, questions }).then_some(())
    })
    .await;

    let authorization = pass.authorization();
    let [wrong, malformed] = [format!("ApplePass {}", "x".repeat(43)), "ApplePass".to_owned()];
    let unknown_serial = pass.with_serial_number("never issued");
    let unknown_type = pass.with_pass_type("pass.com.example.unknown");
    let count = f64::from(3 * REQUESTS);
    let each_once = Work { looks: count, questions: count };
    for (what, pass, authorization) in [
        ("an unknown serial", &unknown_serial, authorization.as_str()),
        ("an unknown type", &unknown_type, authorization.as_str()),
        ("an unknown serial without a token", &unknown_serial, ""),
        ("a wrong token of a pass in memory", &pass, wrong.as_str()),
        ("a malformed token of a pass in memory", &pass, malformed.as_str()),
        ("no token for a pass in memory", &pass, ""),
        ("another pass's token for a pass that nobody has asked for", &strangers[0], authorization.as_str()),
        ("a wrong token of a pass that nobody has asked for", &strangers[1], wrong.as_str()),
        ("a malformed token of a pass that nobody has asked for", &strangers[2], malformed.as_str()),
        ("no token for a pass that nobody has asked for", &strangers[3], ""),
    ] {
        assert_eq!(work_of_refusals(&honoken, pass, authorization).await, each_once, "{what}");
    }
    // Nor has any of them changed what the right token costs.
    assert_eq!(work(&honoken, gets).await, Work { looks: 1.0, questions });
}
