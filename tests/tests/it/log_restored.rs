//! A log that was restored from a backup has lost what phones may have seen: `honoken log restored` makes all their tags foreign.

use std::time::{Duration, UNIX_EPOCH};

use honoken_tests::device::device;
use honoken_tests::server::Home;
use honoken_tests::storage::Part;
use honoken_tests::{Credentials, Honoken};
use http::StatusCode;

use crate::a_service_with_passes_in_a_phone;

const PASSES: usize = 4;

fn serial(number: usize) -> String {
    format!("B-{number}")
}

/// Says that the log was restored, and gives the epoch of tags from now on.
async fn says_that_it_was_restored(home: &Home) -> String {
    let output = home.runs(&["log", "restored"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    let epoch =
        said.split_whitespace().find(|word| word.len() == 8 && word.bytes().all(|b| b.is_ascii_hexdigit()));
    epoch.unwrap_or_else(|| panic!("no epoch: {said}")).to_owned()
}

fn epoch_of(tag: &str) -> &str {
    tag.split_once('-').expect("epoch and position").0
}

/// A service with some passes in one phone, and their credentials.
async fn a_service_with_a_phone() -> (Honoken, Vec<Credentials>) {
    a_service_with_passes_in_a_phone((0..PASSES).map(serial)).await
}

#[tokio::test]
async fn after_a_restore_phones_with_tags_of_the_lost_future_are_told_of_everything() {
    let (mut honoken, passes) = a_service_with_a_phone().await;
    let all: Vec<String> = (0..PASSES).map(serial).collect();
    let pass_type = passes[0].pass_type_identifier.clone();
    let (_, first) = honoken.devices().lists(&device(1), &pass_type, None).await.expect("all passes");
    honoken.terminate().await;
    let backup = honoken.home().is_backed_up().await;
    honoken.restart().await;

    let mut lost = Vec::new();
    for number in 0..3 * PASSES {
        lost.push(honoken.integrator().moves_to(&serial(number % PASSES), &format!("lost {number}")).await);
    }
    let future = honoken.devices().lists(&device(1), &pass_type, Some(&first)).await;
    let (_, future) = future.expect("all passes have changed");
    assert_eq!(honoken.devices().lists(&device(1), &pass_type, Some(&future)).await, None);
    honoken.terminate().await;

    let epoch = says_that_it_was_restored(&backup).await;
    assert_ne!(epoch, epoch_of(&first));
    let restored = Honoken::start_in(backup).await;
    let devices = restored.devices();
    for old in [&future, &first] {
        let (listed, tag) = devices.lists(&device(1), &pass_type, Some(old)).await.expect("everything");
        assert_eq!((listed, epoch_of(&tag)), (all.clone(), &*epoch), "asked with {old}");
        assert_eq!(devices.lists(&device(1), &pass_type, Some(&tag)).await, None);
    }
    for (number, pass) in passes.iter().enumerate() {
        let state = restored.integrator().state(&pass.serial_number).await;
        assert_eq!(state["content"]["seat"], "1A", "what was changed after the backup is lost");
        let seen = &lost[lost.len() - PASSES + number];
        let last_modified = httpdate::fmt_http_date(
            UNIX_EPOCH + Duration::from_secs(u64::try_from(seen.updated_at).expect("a date of today")),
        );
        let etag = format!("\"{}\"", state["etag"].as_str().expect("a tag"));
        // The phone's copy is newer than the state that was restored, and says so.
        for condition in
            [("if-none-match", format!("\"{}\"", seen.etag)), ("if-modified-since", last_modified)]
        {
            let got = devices.get(pass, &[(condition.0, &condition.1)]).await;
            got.assert_status(StatusCode::OK).assert_header("etag", &etag);
        }
    }

    // The positions of the lost future are given again, and mean something else.
    let (_, mut tag) = devices.lists(&device(1), &pass_type, None).await.expect("everything");
    for number in 0..4 * PASSES {
        let serial = serial(number % PASSES);
        let change = restored.integrator().moves_to(&serial, &format!("found {number}")).await;
        assert_eq!(epoch_of(&change.update_tag), epoch);
        let listed = devices.lists(&device(1), &pass_type, Some(&tag)).await;
        assert_eq!(listed, Some((vec![serial], change.update_tag.clone())));
        tag = change.update_tag;
        let (listed, _) = devices.lists(&device(1), &pass_type, Some(&future)).await.expect("everything");
        assert_eq!(listed, all, "a tag of the lost future hides nothing, however far the log gets");
    }
}

#[tokio::test]
async fn the_epoch_is_not_changed_under_a_running_service_on_files() {
    if honoken_tests::Engine::leaves_out("processes may share a database, and the operator stops them") {
        return;
    }
    let (honoken, passes) = a_service_with_a_phone().await;
    let refused = honoken.home().runs(&["log", "restored"]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("another process"), "{said}");
    let change = honoken.integrator().moves_to(&passes[0].serial_number, "2B").await;
    let (_, tag) =
        honoken.devices().lists(&device(1), &passes[0].pass_type_identifier, None).await.expect("all passes");
    assert_eq!(tag, change.update_tag);
}

/// The end of the log is lost and nobody says so, as after a copy of its file was put back, but what was derived from it knows.
#[tokio::test]
async fn a_log_that_was_set_back_without_a_word_is_noticed_at_the_next_start() {
    let (mut honoken, passes) = a_service_with_a_phone().await;
    let all: Vec<String> = (0..PASSES).map(serial).collect();
    let pass_type = passes[0].pass_type_identifier.clone();
    let kept = honoken.operator().head().await;
    for number in 0..2 * PASSES {
        honoken.integrator().moves_to(&serial(number % PASSES), &format!("lost {number}")).await;
    }
    let (_, future) = honoken.devices().lists(&device(1), &pass_type, None).await.expect("all passes");
    honoken.terminate().await;
    let cut = format!("delete from events where position > {kept}");
    assert_eq!(honoken.storage().executes(Part::Log, &cut, &[]).await, 2 * PASSES as u64);
    honoken.restart().await;

    honoken.home().prints("the event log was set back").await;
    let (listed, mut tag) =
        honoken.devices().lists(&device(1), &pass_type, Some(&future)).await.expect("everything");
    assert_eq!(listed, all);
    assert_ne!(epoch_of(&tag), epoch_of(&future));
    for number in 0..3 * PASSES {
        let serial = serial(number % PASSES);
        let change = honoken.integrator().moves_to(&serial, &format!("found {number}")).await;
        let listed = honoken.devices().lists(&device(1), &pass_type, Some(&tag)).await;
        assert_eq!(listed, Some((vec![serial], change.update_tag.clone())));
        tag = change.update_tag;
        let (listed, _) =
            honoken.devices().lists(&device(1), &pass_type, Some(&future)).await.expect("everything");
        assert_eq!(listed, all, "a tag of the lost future hides nothing, however far the log gets");
    }
    honoken.terminate().await;
    honoken.restart().await;
    assert_eq!(
        honoken.devices().lists(&device(1), &pass_type, Some(&tag)).await,
        None,
        "told once, and settled"
    );
}
