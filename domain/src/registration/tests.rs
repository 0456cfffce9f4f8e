//! The rules of a registration, one sentence each.

use cqrs_es::Aggregate;
use cqrs_es::test::TestFramework;

use super::*;
use crate::ids::{PushToken, SerialNumber, UnixSeconds};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

fn serial(text: &str) -> SerialNumber {
    SerialNumber::parse(text).unwrap()
}

fn token(text: &str) -> PushToken {
    PushToken::parse(text).unwrap()
}

fn register(serial_number: &str, push_token: &str) -> RegistrationCommand {
    RegistrationCommand::Register {
        serial_number: serial(serial_number),
        push_token: token(push_token),
        at: NOW,
    }
}

fn register_at(seconds: i64, serial_number: &str, push_token: &str) -> RegistrationCommand {
    RegistrationCommand::Register {
        serial_number: serial(serial_number),
        push_token: token(push_token),
        at: UnixSeconds(NOW.0 + seconds),
    }
}

fn registered(serial_number: &str, push_token: &str) -> RegistrationEvent {
    RegistrationEvent::DeviceRegistered {
        serial_number: serial(serial_number),
        push_token: token(push_token),
        registered_at: NOW,
        imported: false,
    }
}

fn token_changed(push_token: &str) -> RegistrationEvent {
    RegistrationEvent::PushTokenChanged { push_token: token(push_token), changed_at: NOW, imported: false }
}

/// Another service knows the device, as of a later second.
fn import(serial_number: &str, push_token: &str) -> RegistrationCommand {
    RegistrationCommand::Import {
        serial_number: serial(serial_number),
        push_token: token(push_token),
        at: UnixSeconds(NOW.0 + 100),
    }
}

fn imported(serial_number: &str, push_token: &str) -> RegistrationEvent {
    RegistrationEvent::DeviceRegistered {
        serial_number: serial(serial_number),
        push_token: token(push_token),
        registered_at: UnixSeconds(NOW.0 + 100),
        imported: true,
    }
}

fn imported_token(push_token: &str) -> RegistrationEvent {
    RegistrationEvent::PushTokenChanged {
        push_token: token(push_token),
        changed_at: UnixSeconds(NOW.0 + 100),
        imported: true,
    }
}

fn unregister(serial_number: &str) -> RegistrationCommand {
    RegistrationCommand::Unregister { serial_number: serial(serial_number) }
}

fn unregistered(serial_number: &str) -> RegistrationEvent {
    RegistrationEvent::DeviceUnregistered { serial_number: serial(serial_number), cause: None }
}

/// The token of a device is dead, since so many milliseconds after [`NOW`].
fn forget(push_token: &str, since_ms: Option<i64>) -> RegistrationCommand {
    let since_ms = since_ms.map(|since_ms| NOW.0 * 1000 + since_ms);
    RegistrationCommand::ForgetToken {
        push_token: token(push_token),
        since_ms,
        at: UnixSeconds(NOW.0 + 86_400),
    }
}

/// The same, heard so many seconds after [`NOW`].
fn forget_at(seconds: i64, push_token: &str, since_ms: Option<i64>) -> RegistrationCommand {
    match forget(push_token, since_ms) {
        RegistrationCommand::ForgetToken { push_token, since_ms, .. } => {
            RegistrationCommand::ForgetToken { push_token, since_ms, at: UnixSeconds(NOW.0 + seconds) }
        }
        other => other,
    }
}

fn forgotten(serial_number: &str) -> RegistrationEvent {
    let cause = Some(UnregistrationCause::PushTokenDead);
    RegistrationEvent::DeviceUnregistered { serial_number: serial(serial_number), cause }
}

fn confirmed_after(seconds: i64) -> RegistrationEvent {
    RegistrationEvent::PushTokenConfirmed { confirmed_at: UnixSeconds(NOW.0 + seconds) }
}

#[track_caller]
fn check(history: Vec<RegistrationEvent>, command: RegistrationCommand, expected: Vec<RegistrationEvent>) {
    TestFramework::<Registration>::with(()).given(history).when(command).then_expect_events(expected);
}

#[test]
fn a_new_device_is_registered() {
    check(vec![], register("1", "aa"), vec![registered("1", "aa")]);
}

#[test]
fn registering_again_with_the_same_token_changes_nothing() {
    check(vec![registered("1", "aa")], register("1", "aa"), vec![]);
}

#[test]
fn registering_again_with_a_new_token_changes_the_token() {
    check(vec![registered("1", "aa")], register("1", "bb"), vec![token_changed("bb")]);
}

#[test]
fn a_second_pass_with_a_new_token_changes_the_token_of_the_first_as_well() {
    check(vec![registered("1", "aa")], register("2", "bb"), vec![token_changed("bb"), registered("2", "bb")]);
}

#[test]
fn unregistering_forgets_the_pass() {
    check(vec![registered("1", "aa"), registered("2", "aa")], unregister("1"), vec![unregistered("1")]);
}

#[test]
fn unregistering_twice_or_what_was_never_there_changes_nothing() {
    check(vec![registered("1", "aa"), unregistered("1")], unregister("1"), vec![]);
    check(vec![], unregister("1"), vec![]);
}

#[test]
fn a_device_that_left_and_returns_is_registered_anew() {
    check(vec![registered("1", "aa"), unregistered("1")], register("1", "bb"), vec![registered("1", "bb")]);
}

#[test]
fn registering_again_is_noted_in_a_later_second_alone() {
    check(vec![registered("1", "aa")], register_at(0, "1", "aa"), vec![]);
    check(vec![registered("1", "aa")], register_at(1, "1", "aa"), vec![confirmed_after(1)]);
    let history = vec![registered("1", "aa"), confirmed_after(2)];
    check(history.clone(), register_at(2, "1", "aa"), vec![]);
    check(history, register_at(1, "1", "aa"), vec![]);
}

#[test]
fn a_device_that_registered_by_a_clock_that_was_ahead_is_forgotten_when_its_token_is_dead() {
    let history = vec![registered("1", "aa"), confirmed_after(10_800)];
    check(history.clone(), forget_at(60, "aa", Some(30_000)), vec![forgotten("1")]);
    check(history.clone(), forget_at(10_750, "aa", Some(30_000)), vec![]);
    check(history, forget_at(10_900, "aa", Some(30_000)), vec![]);
}

#[test]
fn a_word_by_a_clock_that_was_ahead_is_corrected_by_the_next_one() {
    let history = vec![registered("1", "aa"), confirmed_after(10_800)];
    check(history.clone(), register_at(10_750, "1", "aa"), vec![]);
    check(history.clone(), register_at(60, "1", "aa"), vec![confirmed_after(60)]);
    let history = [history, vec![confirmed_after(60)]].concat();
    check(history.clone(), forget_at(90, "aa", Some(30_000)), vec![]);
    check(history, forget_at(90, "aa", Some(61_000)), vec![forgotten("1")]);
}

#[test]
fn a_dead_token_is_forgotten_with_all_passes_of_the_type() {
    let history = vec![registered("1", "aa"), registered("2", "aa")];
    check(history.clone(), forget("aa", Some(1_000)), vec![forgotten("1"), forgotten("2")]);
    check(history, forget("aa", None), vec![forgotten("1"), forgotten("2")]);
}

#[test]
fn a_device_that_has_another_token_by_now_is_kept() {
    check(vec![registered("1", "aa"), token_changed("bb")], forget("aa", Some(1_000)), vec![]);
    check(vec![registered("1", "aa"), token_changed("bb")], forget("aa", None), vec![]);
    check(vec![], forget("aa", None), vec![]);
}

#[test]
fn a_device_that_registered_in_the_second_of_its_tokens_death_or_later_is_kept() {
    let history = vec![registered("1", "aa")];
    check(history.clone(), forget("aa", Some(-1)), vec![]);
    check(history.clone(), forget("aa", Some(0)), vec![]);
    check(history.clone(), forget("aa", Some(999)), vec![]);
    check(history, forget("aa", Some(1_000)), vec![forgotten("1")]);
}

#[test]
fn a_device_that_confirmed_its_token_after_its_death_is_kept() {
    let history = vec![registered("1", "aa"), confirmed_after(3_600)];
    check(history.clone(), forget("aa", Some(3_599_999)), vec![]);
    check(history, forget("aa", Some(3_601_000)), vec![forgotten("1")]);
}

#[test]
fn a_token_is_forgotten_once() {
    let history = vec![registered("1", "aa"), forgotten("1")];
    check(history.clone(), forget("aa", Some(1_000)), vec![]);
    check(
        history,
        register_at(5, "1", "aa"),
        vec![RegistrationEvent::DeviceRegistered {
            serial_number: serial("1"),
            push_token: token("aa"),
            registered_at: UnixSeconds(NOW.0 + 5),
            imported: false,
        }],
    );
}

#[test]
fn an_imported_device_is_registered_once() {
    check(vec![], import("1", "aa"), vec![imported("1", "aa")]);
    check(vec![imported("1", "aa")], import("1", "aa"), vec![]);
    check(vec![imported("1", "aa")], import("2", "aa"), vec![imported("2", "aa")]);
}

#[test]
fn a_later_import_knows_a_newer_token() {
    check(vec![imported("1", "aa")], import("1", "bb"), vec![imported_token("bb")]);
    check(vec![imported("1", "aa")], import("2", "bb"), vec![imported_token("bb"), imported("2", "bb")]);
}

#[test]
fn an_import_does_not_take_the_place_of_what_the_phone_said_itself() {
    check(vec![registered("1", "aa")], import("1", "old"), vec![]);
    check(vec![registered("1", "aa")], import("2", "old"), vec![imported("2", "aa")]);
    let history = vec![imported("1", "old"), token_changed("aa")];
    check(history, import("1", "old"), vec![]);
    let history = vec![imported("1", "aa"), confirmed_after(200)];
    check(history, import("1", "old"), vec![]);
    check(vec![registered("1", "aa"), unregistered("1")], import("2", "old"), vec![imported("2", "aa")]);
}

#[test]
fn a_pass_that_the_phone_has_removed_since_is_not_imported_once_more() {
    let history = vec![imported("1", "aa"), unregistered("1")];
    check(history.clone(), import("1", "aa"), vec![]);
    check(history.clone(), import("2", "aa"), vec![imported("2", "aa")]);
    check(history, register("1", "aa"), vec![registered("1", "aa")]);
}

#[test]
fn the_phone_confirms_what_was_imported() {
    check(vec![imported("1", "aa")], register_at(0, "1", "aa"), vec![confirmed_after(0)]);
    check(vec![imported("1", "aa")], register("1", "bb"), vec![token_changed("bb")]);
}

#[test]
fn an_import_keeps_no_device_whose_token_had_died_before() {
    let history = vec![imported("1", "aa"), imported("2", "aa")];
    check(history.clone(), forget("aa", Some(-86_400_000)), vec![forgotten("1"), forgotten("2")]);
    let history = [history, vec![confirmed_after(200)]].concat();
    check(history, forget("aa", Some(-86_400_000)), vec![]);
}

#[test]
fn a_device_whose_token_died_is_imported_with_another() {
    let history = vec![imported("1", "aa"), forgotten("1")];
    check(history, import("1", "bb"), vec![imported("1", "bb")]);
    let history = vec![registered("1", "aa"), forgotten("1")];
    check(history, import("1", "bb"), vec![imported("1", "bb")]);
}

#[test]
fn a_registration_that_is_stated_anew_needs_no_earlier_event() {
    let dead = |serial_number: &str| RegistrationEvent::DeviceUnregistered {
        serial_number: serial(serial_number),
        cause: Some(UnregistrationCause::PushTokenDead),
    };
    let histories = [
        vec![],
        vec![registered("A-1", "first"), token_changed("second")],
        vec![imported("A-1", "first"), registered("A-2", "second")],
        vec![imported("A-1", "first"), dead("A-1")],
    ];
    for history in histories {
        let mut registration = Registration::default();
        for event in history {
            registration.apply(event);
        }
        let events = registration.decide(RegistrationCommand::Repair);
        let [event @ RegistrationEvent::Repaired { .. }] = events.as_slice() else { panic!("{events:?}") };
        let mut alone = Registration::default();
        alone.apply(event.clone());
        assert_eq!(alone, registration);
    }
}
