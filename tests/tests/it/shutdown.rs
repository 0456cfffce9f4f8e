//! Ending and starting again.

use std::time::Duration;

use honoken_simulator::Package;
use honoken_tests::a_ticket;
use honoken_tests::device::{device, push_token};
use honoken_tests::server::Home;
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::wire::{Wire, status};
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpStream;

use crate::{PROGRAM, a_fresh_service, a_service};

#[tokio::test]
async fn sigterm_ends_the_program_with_0() {
    let mut honoken = a_service().await;
    honoken.integrator().issues("A-1").await;
    assert_eq!(honoken.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let mut honoken = a_service().await;
    let _idle = Wire::to(honoken.address()).await;
    let mut used = Wire::to(honoken.address()).await;
    used.says(b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(honoken.terminate().await.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn requests_in_flight_are_finished_first() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    let body = a_ticket("while stopping").to_string();
    let start = format!(
        "PUT {}/content HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        integrator.path("A-1"),
        honoken.address(),
        honoken.ready().api_key,
        body.len()
    );
    let (first, rest) = body.as_bytes().split_at(body.len() / 2);
    let mut request = Wire::to(honoken.address()).await;
    request.says(&[start.as_bytes(), first].concat()).await.unwrap();
    // A request that is answered after it was sent shows that the head of the first one has arrived.
    honoken.request(Method::GET, "/health/live", HeaderMap::new(), "").await.assert_status(StatusCode::OK);
    honoken.asks_to_end().await;
    let address = honoken.address().to_owned();
    eventually(PATIENCE, "nobody is let in any more", async || {
        TcpStream::connect(&address).await.is_err().then_some(())
    })
    .await;
    request.says(rest).await.unwrap();
    let heard = request.hears(PATIENCE).await.expect("the connection is closed after the answer");
    assert_eq!(status(&heard), Some(200), "{heard}");
    assert_eq!(honoken.ends().await.code(), Some(0));
    honoken.restart().await;
    assert_eq!(honoken.integrator().state("A-1").await["content"]["seat"], "while stopping");
}

#[tokio::test]
async fn a_folder_used_again_goes_on_as_it_was() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    let change = integrator.issues("A-1").await;
    let pass = integrator.credentials("A-1").await;
    let devices = honoken.devices();
    devices.register(&device(1), &push_token(1, 0), &pass).await.assert_status(StatusCode::CREATED);
    let before = honoken.ready().clone();
    let (state, sample) = (integrator.state("A-1").await, integrator.state(&before.serial_number).await);
    let root = std::fs::read(&before.ca_file).unwrap();
    let file = Package::open(integrator.downloads("A-1").await).unwrap();

    assert_eq!(honoken.terminate().await.code(), Some(0));
    honoken.restart().await;

    assert_eq!(*honoken.ready(), before, "same secrets, same names, same places");
    assert_eq!(std::fs::read(&before.ca_file).unwrap(), root, "same root");
    let integrator = honoken.integrator();
    assert_eq!(integrator.state("A-1").await, state);
    assert_eq!(integrator.state(&before.serial_number).await, sample);
    assert_eq!(integrator.credentials("A-1").await, pass);
    let again = Package::open(integrator.downloads("A-1").await).unwrap();
    assert_eq!(again.manifest_hash(), file.manifest_hash());
    let pass_type = integrator.pass_type_identifier();
    let listed = honoken.devices().lists(&device(1), pass_type, Some(&change.update_tag)).await;
    assert_eq!(listed, None, "the tag of the phone still means something: same epoch");
    let next = integrator.moves_to("A-1", "2B").await;
    assert!(next.position > change.position);
}

#[tokio::test]
async fn a_second_program_on_the_same_folder_is_refused_with_a_sentence() {
    let honoken = a_service().await;
    let data_dir = honoken.home().data_dir();
    let arguments = ["dev", "--listen", "127.0.0.1:0", "--data-dir", data_dir.to_str().unwrap()];
    let second = honoken.home().command(&arguments).output();
    let second = tokio::time::timeout(PATIENCE, second).await.expect("it ends by itself").unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success(), "{told}");
    assert!(told.contains(data_dir.to_str().unwrap()) && !told.contains("panicked"), "{told}");
    honoken.integrator().issues("still here").await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_with_a_sentence() {
    let honoken = a_service().await;
    let home = Home::new(PROGRAM).await;
    let second = home.command(&["dev", "--listen", honoken.address(), "--data-dir", "data"]).output();
    let second = tokio::time::timeout(PATIENCE, second).await.expect("it ends by itself").unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && told.contains(honoken.address()), "{told}");
}

#[tokio::test]
async fn the_log_has_no_gaps() {
    let mut honoken = a_service().await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    for seat in ["2B", "3C"] {
        integrator.moves_to("A-1", seat).await;
    }
    integrator.replace("A-1", &a_ticket("3C")).await.assert_status(StatusCode::OK);
    let last = integrator.voids("A-1").await;
    honoken.terminate().await;
    let positions = honoken.storage().positions().await;
    let expected: Vec<i64> = (1..=i64::try_from(last.position).unwrap()).collect();
    assert_eq!(positions, expected);
}

#[tokio::test]
async fn two_services_have_nothing_in_common() {
    let (one, other) = (a_fresh_service().await, a_fresh_service().await);
    let (mine, theirs) = (one.ready(), other.ready());
    assert_ne!(mine.api_key, theirs.api_key);
    assert_ne!(mine.admin_password, theirs.admin_password);
    assert_ne!(std::fs::read(&mine.ca_file).unwrap(), std::fs::read(&theirs.ca_file).unwrap());
    let epoch = |change: honoken_tests::Change| change.update_tag.split('-').next().unwrap().to_owned();
    assert_ne!(epoch(one.integrator().issues("A-1").await), epoch(other.integrator().issues("A-1").await));
}
