//! How much of the log the holder of one pass's token can fill.

use std::time::Duration;

use futures::future::join_all;
use honoken_simulator::Answer;
use honoken_tests::device::{device, push_token};
use honoken_tests::problem::assert_problem;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Credentials, DeviceRoutes, Storage};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::a_service_with_a_pass;
use crate::{a_home_for_serve, a_service};

/// What happened to registrations, by the names of the events.
async fn events(storage: &Storage) -> Vec<String> {
    let recorded = storage.recorded().await.into_values();
    let of_devices = recorded.filter(|event| event.aggregate_type == "Registration");
    of_devices
        .map(|event| event.payload.as_object().expect("an object").keys().next().expect("a name").clone())
        .collect()
}

/// As many as can happen once a second since then.
fn once_a_second(since: Instant) -> usize {
    usize::try_from(since.elapsed().as_secs()).expect("few seconds") + 1
}

#[track_caller]
fn assert_told_to_wait(answer: &Answer) {
    assert_eq!(assert_problem(answer, 429)["code"], "too_many_requests");
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!(seconds >= 1);
}

/// Registers as a client behind a proxy does.
async fn registers_from(
    devices: &DeviceRoutes,
    address: &str,
    number: usize,
    renewal: usize,
    pass: &Credentials,
) -> Answer {
    let (authorization, path) = (pass.authorization(), devices.registration_path(&device(number), pass));
    let headers = [("authorization", authorization.as_str()), ("x-forwarded-for", address)];
    let body = json!({ "pushToken": push_token(number, renewal) }).to_string();
    devices.request(Method::POST, &path, &headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_new_push_token_each_time_writes_one_a_second() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let (devices, storage) = (honoken.devices(), honoken.storage());
    let started = Instant::now();
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    for round in 1..=3 {
        let answers = join_all((0..40).map(async |number| {
            devices.register(&device(1), &push_token(1, 100 * round + number), &pass).await
        }));
        for answer in answers.await {
            answer.assert_status(StatusCode::OK);
        }
        let tokens: Vec<String> = (0..40).map(|number| push_token(1, 100 * round + number)).collect();
        let stored = storage.push_tokens(&device(1)).await;
        assert!(stored.len() == 1 && tokens.contains(&stored[0]), "{stored:?} is not of round {round}");
    }
    let events = events(&storage).await;
    let tokens =
        events.iter().filter(|name| ["DeviceRegistered", "PushTokenChanged"].contains(&name.as_str()));
    let (tokens, most) = (tokens.count(), once_a_second(started));
    assert!(tokens <= most, "{tokens} tokens, and not {most}");
    assert!(events.len() <= 2 * most, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_push_token_is_on_disk_when_those_that_waited_are_answered() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    integrator.issues("A-2").await;
    let other = integrator.credentials("A-2").await;
    let (devices, storage) = (honoken.devices(), honoken.storage());
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    let older = {
        let (devices, pass) = (devices.clone(), other.clone());
        tokio::spawn(async move { devices.register(&device(1), &push_token(1, 1), &pass).await })
    };
    // It has come and waits for the end of the second, unless that was over before: a request in flight may not have been read yet.
    eventually(PATIENCE, "the older token has come", async || {
        let waiting = honoken.metrics().await.get(r#"honoken_requests_waiting{queue="push_token"}"#);
        (waiting >= 1.0 || older.is_finished()).then_some(())
    })
    .await;
    devices.register(&device(1), &push_token(1, 2), &pass).await.assert_status(StatusCode::OK);
    assert_eq!(storage.push_tokens(&device(1)).await, [push_token(1, 2)]);
    // Each is answered for its own pass.
    older.await.expect("an answer").assert_status(StatusCode::CREATED);
    assert_eq!(storage.push_tokens(&device(1)).await, [push_token(1, 2)]);
    assert_eq!(integrator.state("A-2").await["registrations"], 1);
}

#[tokio::test]
async fn a_device_that_registers_and_unregisters_on_and_on_is_told_to_wait() {
    let (honoken, integrator, pass) = a_service_with_a_pass().await;
    let (devices, storage) = (honoken.devices(), honoken.storage());
    let (started, mut told_to_wait) = (Instant::now(), 0);
    for _ in 0..100 {
        for answer in [
            devices.register(&device(1), &push_token(1, 0), &pass).await,
            devices.unregister(&device(1), &pass).await,
        ] {
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                assert_told_to_wait(&answer);
                told_to_wait += 1;
            } else {
                assert!(answer.status.is_success(), "{}", answer.excerpt());
            }
        }
    }
    assert!(told_to_wait > 0);
    let to_and_fro = events(&storage).await.iter().filter(|name| *name != "PushTokenConfirmed").count();
    let most = 30 + once_a_second(started);
    assert!(to_and_fro <= most, "{to_and_fro} times to and fro, and not {most}");
    let counted = honoken.metrics().await.get(r#"honoken_requests_rate_limited_total{limit="device"}"#);
    assert!((counted - f64::from(told_to_wait)).abs() < 0.5, "{counted} counted of {told_to_wait}");
    // Nobody else is concerned, and it gets in again.
    devices.register(&device(2), &push_token(2, 0), &pass).await.assert_status(StatusCode::CREATED);
    eventually(PATIENCE, "the device is registered", async || {
        let answer = devices.register(&device(1), &push_token(1, 0), &pass).await;
        answer.status.is_success().then_some(())
    })
    .await;
    assert_eq!(integrator.state("A-1").await["registrations"], 2);
}

#[tokio::test]
async fn a_new_push_token_with_each_return_is_one_a_second_as_well() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let devices = honoken.devices();
    let started = Instant::now();
    for renewal in 0..4 {
        let answer = devices.register(&device(1), &push_token(1, renewal), &pass).await;
        answer.assert_status(StatusCode::CREATED);
        devices.unregister(&device(1), &pass).await.assert_status(StatusCode::OK);
    }
    assert!(once_a_second(started) >= 4, "four tokens in {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_devices_of_a_pass_are_limited_for_each_address_and_known_ones_are_not() {
    let home = a_home_for_serve().await;
    let serve = home.home().serve("guarded").with_variable("RATE_LIMIT_REGISTRATIONS", "3");
    let serving = serve.with_variable("RATE_LIMIT_PROXIES", "1").start().await;
    let (integrator, devices) = (serving.integrator(home.ready()), serving.devices());
    integrator.issues("A-1").await;
    integrator.issues("A-2").await;
    let (pass, other) = (integrator.credentials("A-1").await, integrator.credentials("A-2").await);

    let started = Instant::now();
    let answers =
        join_all((0..12).map(|number| registers_from(&devices, "10.0.0.1", number, 0, &pass))).await;
    let (created, refused): (Vec<_>, Vec<_>) =
        answers.iter().enumerate().partition(|(_, answer)| answer.status == StatusCode::CREATED);
    for (_, answer) in &refused {
        assert_told_to_wait(answer);
    }
    // One more for every twenty seconds, should it take that long.
    let most = 3 + started.elapsed().as_secs() / 20;
    assert!((3..=most).contains(&(created.len() as u64)), "{} new devices", created.len());
    assert_eq!(integrator.state("A-1").await["registrations"], created.len());
    let counted =
        serving.metrics().await.get(r#"honoken_requests_rate_limited_total{limit="registrations"}"#);
    assert_eq!(format!("{counted:.0}"), refused.len().to_string(), "{counted} counted of {}", refused.len());

    // Whom the pass knows may come as often as it likes, also with a new token.
    for (number, _) in &created {
        for _ in 0..5 {
            registers_from(&devices, "10.0.0.1", *number, 0, &pass).await.assert_status(StatusCode::OK);
        }
        registers_from(&devices, "10.0.0.1", *number, 1, &pass).await.assert_status(StatusCode::OK);
    }
    // Another address and another pass have a limit of their own; a /64 has one for all its addresses.
    registers_from(&devices, "10.0.0.2", 50, 0, &pass).await.assert_status(StatusCode::CREATED);
    registers_from(&devices, "10.0.0.1", 50, 0, &other).await.assert_status(StatusCode::CREATED);
    let answers = join_all((60..72).map(|number| {
        let (devices, pass) = (&devices, &pass);
        async move { registers_from(devices, &format!("2001:db8::{number}"), number, 0, pass).await }
    }))
    .await;
    assert!(answers.iter().any(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_new_devices_a_minute_is_what_is_let_in_by_default() {
    const DEVICES: usize = 1500;
    let home = a_home_for_serve().await;
    let serving = home.home().serve("guarded").start().await;
    let (integrator, devices) = (serving.integrator(home.ready()), serving.devices());
    integrator.issues("A-1").await;
    let pass = integrator.credentials("A-1").await;
    let started = Instant::now();
    let mut created = 0;
    for batch in 0..DEVICES / 50 {
        let answers = join_all((0..50).map(async |number| {
            let number = 50 * batch + number;
            devices.register(&device(number), &push_token(number, 0), &pass).await
        }))
        .await;
        for answer in answers {
            if answer.status == StatusCode::CREATED {
                created += 1;
            } else {
                assert_told_to_wait(&answer);
            }
        }
    }
    // Ten more for every second.
    let most = 600 + 10 * once_a_second(started);
    assert!((600.min(DEVICES)..=most).contains(&created), "{created} devices, and not {most}");
    let registered = events(&home.storage()).await.len();
    assert_eq!(registered, created);
}

#[tokio::test]
async fn in_dev_new_devices_are_not_limited() {
    let mut honoken = a_service().await;
    honoken.terminate().await;
    honoken.has_variable("RATE_LIMIT_REGISTRATIONS", "1");
    honoken.restart().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    let pass = integrator.credentials("A-1").await;
    for number in 0..10 {
        let answer = honoken.devices().register(&device(number), &push_token(number, 0), &pass).await;
        answer.assert_status(StatusCode::CREATED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_wait_for_its_answer_writes_no_more_than_one_that_does() {
    let (honoken, _, pass) = a_service_with_a_pass().await;
    let (devices, storage) = (honoken.devices(), honoken.storage());
    let started = Instant::now();
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    for renewal in 1..=60 {
        let (device, token) = (device(1), push_token(1, renewal));
        let gone = devices.register(&device, &token, &pass);
        // Long enough for some to be in the middle of it, whatever that is.
        let patience = Duration::from_millis(renewal as u64 % 30);
        drop(tokio::time::timeout(patience, gone).await);
    }
    devices.register(&device(1), &push_token(1, 99), &pass).await.assert_status(StatusCode::OK);
    assert_eq!(storage.push_tokens(&device(1)).await, [push_token(1, 99)]);
    let events = events(&storage).await;
    let tokens = events.iter().filter(|name| *name != "PushTokenConfirmed").count();
    let most = once_a_second(started);
    assert!(tokens <= most, "{tokens} tokens, and not {most}");
}
