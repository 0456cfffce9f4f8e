//! What the service promises, told by those who use it. One module per theme; each test is a sentence.

mod admin;
mod admin_certificates;
mod admin_keys;
mod admin_organizations;
mod apns_keys;
mod arguments;
mod audit;
mod backups;
mod blobs;
mod certs;
mod command_line;
mod connections;
mod crash;
mod cross_site;
mod damaged;
mod damaged_streams;
mod device;
mod disk;
mod docs;
mod document;
mod event_log_moves;
mod first_steps;
mod frozen;
mod guides;
mod hostile;
mod house_rules;
mod image_layout;
mod image_stores;
mod images_for_all;
mod import;
mod inspect;
mod keys;
mod kurrentdb;
mod languages;
mod limits;
mod lint;
mod log_lines;
mod log_output;
mod log_restored;
mod log_verify;
mod logins;
mod manage;
mod memory;
mod metrics;
mod migrate;
mod nats_commands;
mod nats_tls;
mod nfc;
mod operators;
mod overload;
mod parked;
mod phone_tool;
mod pkpass;
mod postgres_outage;
mod processes;
mod properties;
mod pushing;
mod rebuild;
mod release;
mod resealing;
mod rewards;
mod rooms;
mod safe_by_default;
mod secrets;
mod set_back;
mod shutdown;
mod signed;
mod six_changes;
mod true_causes;

use std::process::Output;

use honoken_tests::device::{device, push_token};
use honoken_tests::server::Home;
use honoken_tests::{Credentials, Engine, Honoken};
use http::StatusCode;

/// The program as cargo built it.
const PROGRAM: &str = env!("CARGO_BIN_EXE_honoken-under-test");

/// Where cargo lets these tests keep something between runs.
const CACHE: &str = env!("CARGO_TARGET_TMPDIR");

/// A service of one's own, in an empty folder.
async fn a_fresh_service() -> Honoken {
    Honoken::start(PROGRAM).await
}

/// A service of one's own that found its development certificates in its folder: making the keys takes longer than most
/// tests do.
async fn a_service() -> Honoken {
    Honoken::start_with_certificates(PROGRAM, CACHE.as_ref()).await
}

/// A service with some passes in one phone, and their credentials.
async fn a_service_with_passes_in_a_phone(
    serial_numbers: impl Iterator<Item = String>,
) -> (Honoken, Vec<Credentials>) {
    let honoken = a_service().await;
    let mut passes = Vec::new();
    for serial_number in serial_numbers {
        honoken.integrator().issues(&serial_number).await;
        let pass = honoken.integrator().credentials(&serial_number).await;
        let registered = honoken.devices().register(&device(1), &push_token(1, 0), &pass).await;
        registered.assert_status(StatusCode::CREATED);
        passes.push(pass);
    }
    (honoken, passes)
}

/// What a command printed that did what it was asked for.
#[track_caller]
fn assert_done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// Why a command did not.
#[track_caller]
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// A folder with a sample organisation and its certificates, on the chosen engine, in which `serve` can be started.
async fn a_home_for_serve() -> Honoken {
    a_home_in(Home::new(PROGRAM).await).await
}

/// A Postgres database with a sample organisation, and a data folder with the certificates and secrets: `dev` has made them, and
/// has ended, so that processes can be started in its home.
async fn a_home_for_several() -> Honoken {
    a_home_in(Home::on(Engine::Postgres, PROGRAM).await).await
}

/// Like [`a_home_for_several`], in a new home of the test's choice.
async fn a_home_in(home: Home) -> Honoken {
    let mut dev = Honoken::start_in_with_certificates(home, CACHE.as_ref()).await;
    assert_eq!(dev.terminate().await.code(), Some(0));
    dev
}
