//! `honoken log verify` finds a whole log whole, and names each fault of another, of its images and of its read model.

use std::fs;
use std::process::Output;

use honoken_tests::device::{device, push_token};
use honoken_tests::storage::Part;
use honoken_tests::{Honoken, drawing};
use http::StatusCode;
use serde_json::json;

use crate::a_service;

async fn verifies(honoken: &Honoken) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = honoken.home().runs(&["log", "verify"]).await;
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// A service with some passes that have been changed.
async fn a_service_with_passes() -> Honoken {
    let honoken = a_service().await;
    let integrator = honoken.integrator();
    for serial in ["V-0", "V-1", "V-2", "V-3"] {
        integrator.issues(serial).await;
        integrator.moves_to(serial, "2B").await;
        integrator.voids(serial).await;
    }
    honoken
}

#[tokio::test]
async fn a_log_is_found_whole_beside_the_service_that_goes_on_and_without_it() {
    let mut honoken = a_service_with_passes().await;
    let integrator = honoken.integrator();
    let going_on = async {
        for number in 0.. {
            integrator.issues(&format!("G-{number}")).await;
        }
    };
    let verified = tokio::select! {
        verified = verifies(&honoken) => verified,
        () = going_on => unreachable!("it goes on until the other ends"),
    };
    let (code, printed, said) = verified;
    assert_eq!(code, Some(0), "{printed}{said}");
    assert!(printed.contains("the event log is whole up to position"), "{printed}");
    assert!(printed.contains(" equals a fresh one in all of its "), "{printed}");
    honoken.terminate().await;
    let (code, printed, said) = verifies(&honoken).await;
    assert_eq!(code, Some(0), "{printed}{said}");
    let head = *honoken.storage().recorded().await.last_key_value().expect("events").0;
    assert!(printed.contains(&format!("whole up to position {head}: ")), "{printed}");
    assert!(printed.contains("images that it names are in the image store"), "{printed}");
    assert!(
        printed.contains(&format!("the read model at position {head} equals a fresh one in all of its ")),
        "{printed}"
    );

    honoken.storage().throws_read_model_away().await;
    let (code, printed, said) = verifies(&honoken).await;
    assert_eq!(code, Some(0), "{printed}{said}");
    assert!(printed.contains("there is no read model yet"), "{printed}");
}

#[tokio::test]
async fn rows_of_the_read_model_that_are_not_those_of_a_fresh_one_are_named() {
    let mut honoken = a_service_with_passes().await;
    let pass = honoken.integrator().credentials("V-1").await;
    let pass_type = honoken.integrator().pass_type_identifier().to_owned();
    let registered = honoken.devices().register(&device(1), &push_token(1, 0), &pass).await;
    registered.assert_status(StatusCode::CREATED);
    honoken.terminate().await;
    let storage = honoken.storage();
    let statements = [
        ("update wallet_pass set update_tag = update_tag + 1, etag = 'x' where serial_number = $1", "V-0"),
        ("delete from wallet_registration where serial_number = $1", "V-1"),
        ("update wallet_pass_content set serial_number = 'V-9' where serial_number = $1", "V-2"),
    ];
    for (statement, serial) in statements {
        assert_eq!(storage.executes(Part::ReadModel, statement, &[serial]).await, 1, "{statement}");
    }
    let (code, printed, said) = verifies(&honoken).await;
    assert_eq!(code, Some(1), "{printed}{said}");
    let expected = [
        format!("the read model has another etag, update_tag than a fresh one: wallet_pass {pass_type} V-0"),
        format!("the read model lacks a row: wallet_pass_content {pass_type} V-2"),
        format!("the read model has a row too many: wallet_pass_content {pass_type} V-9"),
        format!("the read model lacks a row: wallet_registration {pass_type} {} V-1", device(1)),
    ];
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    let mut sorted = expected.to_vec();
    sorted.sort_unstable();
    assert_eq!(lines, sorted, "{said}");
}

#[tokio::test]
async fn every_fault_of_a_log_and_of_its_images_is_named() {
    let mut honoken = a_service_with_passes().await;
    let integrator = honoken.integrator();
    integrator.puts_asset("V-3", "logo.png", drawing::logo(1)).await;
    integrator.puts_asset("V-3", "logo@2x.png", drawing::logo(2)).await;
    let id = |serial: &str| format!("{}/{serial}", integrator.pass_type_identifier());
    let [lost, changed] = [1, 2].map(|shade| honoken_tests::etag::sha256(&drawing::logo(shade)));
    honoken.terminate().await;

    let storage = honoken.storage();
    let recorded = storage.recorded().await;
    let change = |serial: &str| {
        let of_pass = recorded.iter().filter(|(_, event)| event.pass_serial_number() == Some(serial));
        *of_pass.map(|(position, _)| position).nth(1).expect("it was changed")
    };
    let [deleted, strange, unreadable] = ["V-0", "V-1", "V-2"].map(change);
    let delete = format!("delete from events where position = {deleted}");
    assert_eq!(storage.executes(Part::Log, &delete, &[]).await, 1);
    storage.replaces_payload(strange, &json!({ "PassLost": {} })).await;
    storage.spoils_text("payload", unreadable).await;
    let blob = |digest: &str| honoken.home().data_dir().join("blobs").join(&digest[..2]).join(&digest[2..]);
    fs::remove_file(blob(&lost)).expect("it is there");
    fs::write(blob(&changed), b"something else").expect("written");

    let (code, printed, said) = verifies(&honoken).await;
    assert_eq!(code, Some(1), "{printed}{said}");
    for expected in [
        format!("there is no event at position {deleted}\n"),
        format!("the events of Pass {} are not numbered from 1 on without a gap\n", id("V-0")),
        format!(
            "the event at position {strange}, PassContentChanged of Pass {}, cannot be understood",
            id("V-1")
        ),
        format!(
            "the event at position {unreadable}, PassContentChanged of Pass {}, cannot be read",
            id("V-2")
        ),
        format!("the image {lost} is missing; needed by Pass {}", id("V-3")),
        format!("the image {changed} is not what was uploaded; needed by Pass {}", id("V-3")),
    ] {
        assert!(printed.contains(&expected), "{expected}\n{printed}");
    }
    assert_eq!(printed.lines().count(), 6, "{printed}");
    assert!(said.contains("faults were found: 6"), "{said}");
}
