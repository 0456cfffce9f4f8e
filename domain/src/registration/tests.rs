//! The rules of a registration, one sentence each.

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

fn registered(serial_number: &str, push_token: &str) -> RegistrationEvent {
    RegistrationEvent::DeviceRegistered {
        serial_number: serial(serial_number),
        push_token: token(push_token),
        registered_at: NOW,
    }
}

fn token_changed(push_token: &str) -> RegistrationEvent {
    RegistrationEvent::PushTokenChanged { push_token: token(push_token), changed_at: NOW }
}

fn unregister(serial_number: &str) -> RegistrationCommand {
    RegistrationCommand::Unregister { serial_number: serial(serial_number) }
}

fn unregistered(serial_number: &str) -> RegistrationEvent {
    RegistrationEvent::DeviceUnregistered { serial_number: serial(serial_number) }
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
