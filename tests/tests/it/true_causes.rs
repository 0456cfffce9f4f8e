//! What is wrong is told to whoever can mend it: the cause, the place, and what to do.

use honoken_tests::problem::assert_problem;
use honoken_tests::server::Home;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Engine, device};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::certs::{Office, PASS_TYPE, integrator, issues, said};
use crate::processes::{an_api, becomes_ready};
use crate::{PROGRAM, a_home_for_serve, a_home_for_several, a_service};

const NO_CERTIFICATE: &str = "no certificate is installed";

#[tokio::test]
async fn without_a_certificate_integrators_hear_which_and_what_to_do_and_phones_that_they_need_not_hurry() {
    let office = Office::new().await;
    office.is_set_up().await;
    let api_key = office.makes_api_key("till").await;
    let serving = office.serves("serve").await;
    let club = integrator(&serving, &api_key);
    issues(&club, "A-1").await;
    let pass = club.credentials("A-1").await;
    office.does(&["certs", "revoke", "--pass-type", PASS_TYPE]).await;

    let club = integrator(&serving, &api_key);
    let answer = eventually(PATIENCE, "nothing is signed any more", async || {
        Some(club.pkpass("A-1").await).filter(|answer| answer.status != StatusCode::OK)
    })
    .await;
    let problem = assert_problem(&answer, 503);
    assert_eq!(problem["code"], "no_certificate");
    let detail = problem["detail"].as_str().expect("a sentence");
    for words in [PASS_TYPE, "was revoked", "`honoken certs install`"] {
        assert!(detail.contains(words), "{detail}");
    }
    assert_eq!(answer.header("retry-after"), None, "an operator has to act first");

    let answer = serving.devices().get(&pass, &[]).await;
    let problem = assert_problem(&answer, 503);
    assert_eq!(problem["code"], "unavailable");
    assert!(!problem.to_string().contains("certificate"), "{problem}");
    assert_eq!(answer.header("retry-after"), Some("300"));
}

#[tokio::test]
async fn a_missing_key_a_key_without_bearer_and_a_wrong_key_are_told_apart() {
    let honoken = a_service().await;
    let mut details = Vec::new();
    let bare = honoken.ready().api_key.clone();
    for authorization in [None, Some(&*bare), Some("Bearer wrong")] {
        let mut headers = HeaderMap::new();
        headers
            .extend(authorization.map(|text| (header::AUTHORIZATION, HeaderValue::try_from(text).unwrap())));
        let answer = honoken.request(Method::GET, "/manage/v1/passes", headers, "").await;
        let problem = assert_problem(&answer, 401);
        assert_eq!(problem["code"], "unauthorized");
        details.push(problem["detail"].as_str().expect("a sentence").to_owned());
    }
    for (detail, words) in details.iter().zip(["has no API key", "must begin with `Bearer `", "is unknown"]) {
        assert!(detail.contains(words), "{detail}");
        assert!(!detail.contains(&bare), "{detail}");
    }
}

#[tokio::test]
async fn a_path_that_nobody_answers_is_logged_without_its_secrets() {
    let honoken = a_service().await;
    honoken.integrator().issues("A-1").await;
    let pass = honoken.integrator().credentials("A-1").await;
    let path = format!("/wallet/v2/devices/{}/{}", device::device(7), pass.token);
    honoken.request(Method::GET, &path, HeaderMap::new(), "").await.assert_status(StatusCode::NOT_FOUND);
    let line = honoken.logs("/wallet/v2/devices/").await;
    assert!(line.contains('…') && line.contains("404"), "{line}");
    for secret in [device::device(7), pass.token] {
        assert!(!honoken.home().output().contains(&secret), "{line}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named_with_its_host_and_what_to_do() {
    let cases = [
        ("postgres://honoken:hunter2@127.0.0.1:1/passes", "passes on 127.0.0.1:1", "no server listens there"),
        (
            "postgres://honoken:hunter2@no-such-host.invalid/passes",
            "passes on no-such-host.invalid:5432",
            "check",
        ),
    ];
    for (url, place, advice) in cases {
        let home = Home::with_database(url, PROGRAM);
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["rebuild"]] {
            let output = home.runs(command).await;
            assert!(!output.status.success());
            let said = said(&output);
            for words in ["DATABASE_URL", place, advice] {
                assert!(said.contains(words), "{command:?}: {said}");
            }
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named_with_what_to_do() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let known = Home::on(Engine::Postgres, PROGRAM).await;
    let url = known.database_url().expect("a server").to_owned();
    let (server, _) = url.rsplit_once('/').expect("a database");
    let home = Home::with_database(format!("{server}/nowhere"), PROGRAM);
    let said = said(&home.runs(&["serve", "--listen", "127.0.0.1:0"]).await);
    assert!(said.contains("DATABASE_URL, nowhere on ") && said.contains("createdb"), "{said}");
}

#[tokio::test]
async fn unknown_variables_that_begin_like_ours_are_told_and_others_are_not() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("serve");
    let serve = serve.with_variable("HONOKEN_PUBLIC_ULR", "https://a.example").with_variable("EDITOR", "vi");
    let mut serving = serve.with_variable("APNS_TOPIC", "pass.com.example").start().await;
    let said = serving.logs("HONOKEN_PUBLIC_ULR").await;
    assert!(said.contains("is HONOKEN_PUBLIC_URL meant?"), "{said}");
    assert!(serving.logs("APNS_TOPIC").await.contains("has no effect"));
    assert!(!serving.output().contains("EDITOR"));
    serving.terminate().await;
}

#[tokio::test]
async fn a_restored_folder_whose_tables_are_filled_again_gives_no_alarm_about_certificates() {
    let mut honoken = a_service().await;
    honoken.integrator().issues("A-1").await;
    honoken.terminate().await;
    let backup = honoken.home().is_backed_up().await;
    let restored = backup.runs(&["log", "restored"]).await;
    assert!(restored.status.success(), "{}", said(&restored));
    let mut serving = backup.serve("serve").start().await;
    eventually(PATIENCE, "it signs", async || {
        (serving.integrator(honoken.ready()).pkpass("A-1").await.status == StatusCode::OK).then_some(())
    })
    .await;
    assert!(!serving.output_so_far().await.contains(NO_CERTIFICATE), "{}", serving.output());
    serving.terminate().await;

    // It is not silent about a folder that really has none.
    let empty = Office::new().await;
    let serving = empty.serves("serve").await;
    serving.logs(NO_CERTIFICATE).await;
}

#[tokio::test]
async fn a_restored_log_reaches_the_processes_that_run() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let mut processes = [home.home().serve("whole").start().await, an_api(&home, "api").await];
    for process in &processes {
        becomes_ready(process).await;
    }
    let restored = home.home().runs(&["log", "restored"]).await;
    assert!(restored.status.success(), "{}", said(&restored));
    for process in &mut processes {
        assert_eq!(process.process().ends().await.code(), Some(1), "its supervisor starts it again");
        assert!(process.output().contains("has to be started again"), "{}", process.output());
    }
}

#[tokio::test]
async fn without_a_projector_a_phone_and_a_monitor_hear_that_it_is_missing() {
    if Engine::leaves_to_postgres() {
        return;
    }
    let home = a_home_for_several().await;
    let mut projector = home.home().serve("projector").with_roles("projector").start().await;
    let api = an_api(&home, "api").await;
    becomes_ready(&api).await;
    api.integrator(home.ready()).issues("A-1").await;
    let pass = api.integrator(home.ready()).credentials("A-1").await;
    projector.terminate().await;
    let ready = eventually(PATIENCE, "it is noticed", async || {
        let answer = api.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
        (answer.status != StatusCode::OK).then_some(answer)
    })
    .await;
    assert_eq!(assert_problem(&ready, 503)["code"], "no_projector");
    let answer = api.devices().register(&device::device(1), &device::push_token(1, 0), &pass).await;
    assert_eq!(assert_problem(&answer, 503)["code"], "no_projector");
}
