//! The rules of an APNs key, one sentence each.

use cqrs_es::test::TestFramework;

use super::*;
use crate::ids::{Digest, KeyIdentifier, KeyRef, TeamIdentifier};
use crate::sealed::Sealed;

fn sealed(byte: u8) -> Sealed {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    Sealed::parse(format!("v1.{}", URL_SAFE_NO_PAD.encode([byte; 40]))).unwrap()
}

fn installation(name: &str, byte: u8) -> ApnsKeyInstallation {
    ApnsKeyInstallation {
        team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
        key_identifier: KeyIdentifier::parse("KEY1234567").unwrap(),
        fingerprint: Digest::of(name.as_bytes()),
        private_key: sealed(byte),
        key_ref: None,
    }
}

fn install(name: &str) -> ApnsKeyCommand {
    ApnsKeyCommand::Install(installation(name, 1))
}

fn installed(name: &str) -> ApnsKeyEvent {
    ApnsKeyEvent::Installed(installation(name, 1))
}

fn reseal(name: &str, byte: u8) -> ApnsKeyCommand {
    ApnsKeyCommand::Reseal { fingerprint: Digest::of(name.as_bytes()), private_key: sealed(byte) }
}

fn resealed(name: &str, byte: u8) -> ApnsKeyEvent {
    ApnsKeyEvent::Resealed { fingerprint: Digest::of(name.as_bytes()), private_key: sealed(byte) }
}

fn revoked(name: &str) -> ApnsKeyEvent {
    ApnsKeyEvent::Revoked { fingerprint: Digest::of(name.as_bytes()) }
}

#[track_caller]
fn check(history: Vec<ApnsKeyEvent>, command: ApnsKeyCommand, expected: Vec<ApnsKeyEvent>) {
    TestFramework::<ApnsKey>::with(()).given(history).when(command).then_expect_events(expected);
}

#[track_caller]
fn refuse(history: Vec<ApnsKeyEvent>, command: ApnsKeyCommand, expected: &ApnsKeyError) {
    let found = TestFramework::<ApnsKey>::with(()).given(history).when(command).inspect_result();
    assert_eq!(found.as_ref(), Err(expected));
}

#[test]
fn a_key_is_installed_once_whatever_its_seal() {
    check(vec![], install("right"), vec![installed("right")]);
    let again = ApnsKeyCommand::Install(installation("right", 2));
    check(vec![installed("right")], again.clone(), vec![]);
    check(vec![installed("right"), resealed("right", 3)], again, vec![]);
}

#[test]
fn the_right_file_takes_the_place_of_the_wrong_one_that_was_installed_under_its_id() {
    check(vec![installed("wrong")], install("right"), vec![installed("right")]);
}

#[test]
fn a_key_gets_a_name_and_keeps_it_when_none_is_given() {
    let named = |name: &str| ApnsKeyInstallation {
        key_ref: Some(KeyRef::parse(name).unwrap()),
        ..installation("right", 1)
    };
    let history = vec![ApnsKeyEvent::Installed(named("main"))];
    check(history.clone(), install("right"), vec![]);
    check(history.clone(), ApnsKeyCommand::Install(named("main")), vec![]);
    let renamed = vec![ApnsKeyEvent::Installed(named("other"))];
    check(history, ApnsKeyCommand::Install(named("other")), renamed);
}

#[test]
fn a_key_is_known_and_not_pushed_with_until_it_is_installed() {
    let keep = ApnsKeyCommand::Keep(installation("right", 1));
    check(vec![], keep.clone(), vec![installed("right"), revoked("right")]);
    let history = vec![installed("right"), revoked("right")];
    check(history.clone(), keep.clone(), vec![]);
    check(history, install("right"), vec![installed("right")]);
    check(vec![installed("right")], keep.clone(), vec![revoked("right")]);
    check(vec![installed("wrong")], keep.clone(), vec![installed("right"), revoked("right")]);
    check(vec![installed("wrong"), revoked("wrong")], keep, vec![installed("right"), revoked("right")]);
}

#[test]
fn a_key_is_sealed_anew_only_while_it_is_the_one_in_use() {
    check(vec![installed("right")], reseal("right", 2), vec![resealed("right", 2)]);
    check(vec![installed("right"), resealed("right", 2)], reseal("right", 2), vec![]);
    let refusal = ApnsKeyError::AnotherInstalled { installed: Digest::of(b"right") };
    refuse(vec![installed("wrong"), installed("right")], reseal("wrong", 2), &refusal);
    refuse(vec![], reseal("right", 2), &ApnsKeyError::Unknown);
}

#[test]
fn a_revoked_key_is_gone_until_it_is_installed_again() {
    check(vec![installed("right")], ApnsKeyCommand::Revoke, vec![revoked("right")]);
    let history = vec![installed("right"), revoked("right")];
    refuse(history.clone(), ApnsKeyCommand::Revoke, &ApnsKeyError::Unknown);
    refuse(history.clone(), reseal("right", 2), &ApnsKeyError::Unknown);
    check(history, install("right"), vec![installed("right")]);
    refuse(vec![], ApnsKeyCommand::Revoke, &ApnsKeyError::Unknown);
}

#[test]
fn a_configured_key_is_installed_once_and_no_decision_of_an_operator_is_undone() {
    let configured = ApnsKeyCommand::InstallFirst(installation("configured", 1));
    check(vec![], configured.clone(), vec![installed("configured")]);
    check(vec![installed("configured")], configured.clone(), vec![]);
    check(vec![installed("operator's")], configured.clone(), vec![]);
    check(vec![installed("configured"), revoked("configured")], configured, vec![]);
}

#[test]
fn neither_a_command_nor_an_event_shows_the_key() {
    let shown = format!("{:?} {:?} {:?}", install("right"), resealed("right", 2), reseal("right", 3));
    assert_eq!(shown.matches("[redacted]").count(), 3);
    for byte in 1..=3 {
        assert!(!shown.contains(sealed(byte).as_str()), "{shown}");
    }
}
