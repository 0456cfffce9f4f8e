//! The rules of an organisation, one sentence each.

use cqrs_es::test::TestFramework;

use super::*;
use crate::ids::{Digest, OrganizationId, UnixSeconds};

fn create(name: &str) -> OrganizationCommand {
    OrganizationCommand::Create {
        organization_id: OrganizationId::parse("club").unwrap(),
        name: name.into(),
        test: false,
    }
}

fn created(name: &str) -> OrganizationEvent {
    OrganizationEvent::Created {
        organization_id: OrganizationId::parse("club").unwrap(),
        name: name.into(),
        test: false,
    }
}

fn add_key(key: &str) -> OrganizationCommand {
    add_key_with(key, Scopes::default())
}

fn add_key_with(key: &str, scopes: Scopes) -> OrganizationCommand {
    OrganizationCommand::AddApiKey {
        key_digest: Digest::of(key.as_bytes()),
        label: "till".into(),
        scopes,
        expires_at: None,
    }
}

fn key_added(key: &str) -> OrganizationEvent {
    key_that_ends(key, None)
}

fn key_that_ends(key: &str, expires_at: Option<i64>) -> OrganizationEvent {
    OrganizationEvent::ApiKeyAdded {
        key_digest: Digest::of(key.as_bytes()),
        label: "till".into(),
        scopes: Scopes::default(),
        expires_at: expires_at.map(UnixSeconds),
    }
}

/// At 1000, with an overlap of 100 seconds.
fn rotate(key: &str, new: &str, new_expires_at: Option<i64>) -> OrganizationCommand {
    OrganizationCommand::RotateApiKey {
        key_digest: Digest::of(key.as_bytes()),
        new_digest: Digest::of(new.as_bytes()),
        new_expires_at: new_expires_at.map(UnixSeconds),
        now: UnixSeconds(1000),
        ends_at: UnixSeconds(1100),
    }
}

fn ends(key: &str, at: i64) -> OrganizationEvent {
    OrganizationEvent::ApiKeyExpiryChanged {
        key_digest: Digest::of(key.as_bytes()),
        expires_at: UnixSeconds(at),
    }
}

fn revoke_key(key: &str) -> OrganizationCommand {
    OrganizationCommand::RevokeApiKey { key_digest: Digest::of(key.as_bytes()) }
}

fn key_revoked(key: &str) -> OrganizationEvent {
    OrganizationEvent::ApiKeyRevoked { key_digest: Digest::of(key.as_bytes()) }
}

#[track_caller]
fn check(history: Vec<OrganizationEvent>, command: OrganizationCommand, expected: Vec<OrganizationEvent>) {
    TestFramework::<Organization>::with(()).given(history).when(command).then_expect_events(expected);
}

#[track_caller]
fn refuse(history: Vec<OrganizationEvent>, command: OrganizationCommand, expected: &OrganizationError) {
    let found = TestFramework::<Organization>::with(()).given(history).when(command).inspect_result();
    assert_eq!(found.as_ref(), Err(expected));
}

#[test]
fn an_organisation_is_created_once() {
    check(vec![], create("Club"), vec![created("Club")]);
    check(vec![created("Club")], create("Club"), vec![]);
    refuse(vec![created("Club")], create("Other"), &OrganizationError::AlreadyCreated);
    let OrganizationCommand::Create { organization_id, name, .. } = create("Club") else { unreachable!() };
    let to_try = OrganizationCommand::Create { organization_id, name, test: true };
    refuse(vec![created("Club")], to_try, &OrganizationError::AlreadyCreated);
}

#[test]
fn a_key_is_added_once() {
    check(vec![created("Club")], add_key("a"), vec![key_added("a")]);
    check(vec![created("Club"), key_added("a")], add_key("a"), vec![]);
    check(vec![created("Club"), key_added("a")], add_key("b"), vec![key_added("b")]);
}

#[test]
fn an_organisation_that_nobody_created_has_no_keys() {
    refuse(vec![], add_key("a"), &OrganizationError::Unknown);
}

#[test]
fn a_key_is_revoked_once_and_for_ever() {
    let history = vec![created("Club"), key_added("a"), key_added("b")];
    check(history.clone(), revoke_key("a"), vec![key_revoked("a")]);
    let history = [history, vec![key_revoked("a")]].concat();
    check(history.clone(), revoke_key("a"), vec![]);
    refuse(history.clone(), add_key("a"), &OrganizationError::KeyRevoked);
    check(history, revoke_key("b"), vec![key_revoked("b")]);
}

#[test]
fn a_key_that_was_never_added_cannot_be_revoked() {
    refuse(vec![created("Club"), key_added("a")], revoke_key("b"), &OrganizationError::UnknownKey);
    refuse(vec![], revoke_key("a"), &OrganizationError::Unknown);
}

#[test]
fn a_known_key_that_is_added_with_other_scopes_gets_those() {
    let import = Scopes::of([Scope::PassesImport]);
    let changed =
        OrganizationEvent::ApiKeyScopesChanged { key_digest: Digest::of(b"a"), scopes: import.clone() };
    let history = vec![created("Club"), key_added("a"), key_added("b")];
    check(history.clone(), add_key_with("a", import.clone()), vec![changed.clone()]);
    let history = [history, vec![changed]].concat();
    check(history.clone(), add_key_with("a", import), vec![]);
    check(history, add_key("b"), vec![]);
}

#[test]
fn a_new_key_has_the_scopes_that_it_was_made_with() {
    let scopes = Scopes::of([Scope::PassesImport, Scope::LinksWrite]);
    let added = OrganizationEvent::ApiKeyAdded {
        key_digest: Digest::of(b"a"),
        label: "till".into(),
        scopes: scopes.clone(),
        expires_at: None,
    };
    check(vec![created("Club")], add_key_with("a", scopes), vec![added]);
}

#[test]
fn a_rotated_key_ends_after_the_overlap_and_the_new_one_may_do_the_same() {
    let history = vec![created("Club"), key_added("a")];
    check(history, rotate("a", "b", None), vec![key_added("b"), ends("a", 1100)]);
    let scopes = Scopes::of([Scope::PassesRead]);
    let changed =
        OrganizationEvent::ApiKeyScopesChanged { key_digest: Digest::of(b"a"), scopes: scopes.clone() };
    let history = vec![created("Club"), key_that_ends("a", Some(5000)), changed];
    let added = OrganizationEvent::ApiKeyAdded {
        key_digest: Digest::of(b"b"),
        label: "till".into(),
        scopes,
        expires_at: Some(UnixSeconds(9000)),
    };
    check(history, rotate("a", "b", Some(9000)), vec![added, ends("a", 1100)]);
}

#[test]
fn a_key_that_ends_before_the_overlap_still_does_when_it_is_rotated() {
    let history = vec![created("Club"), key_that_ends("a", Some(1050))];
    check(history, rotate("a", "b", None), vec![key_added("b")]);
    let history = vec![created("Club"), key_added("a"), ends("a", 1050)];
    check(history, rotate("a", "b", None), vec![key_added("b")]);
}

#[test]
fn a_key_that_has_ended_or_is_revoked_or_unknown_is_not_rotated() {
    let history = vec![created("Club"), key_that_ends("a", Some(1000))];
    refuse(history, rotate("a", "b", None), &OrganizationError::KeyExpired);
    let history = vec![created("Club"), key_added("a"), key_revoked("a")];
    refuse(history.clone(), rotate("a", "b", None), &OrganizationError::KeyRevoked);
    refuse(history, rotate("c", "d", None), &OrganizationError::UnknownKey);
    refuse(vec![], rotate("a", "b", None), &OrganizationError::Unknown);
}

#[test]
fn an_organisation_has_so_many_keys_and_room_again_for_each_that_is_revoked() {
    let keys = (0..MOST_KEYS).map(|number| key_added(&number.to_string()));
    let history: Vec<_> = std::iter::once(created("Club")).chain(keys).collect();
    refuse(history.clone(), add_key("one more"), &OrganizationError::TooManyKeys);
    refuse(history.clone(), rotate("1", "one more", None), &OrganizationError::TooManyKeys);
    check([history, vec![key_revoked("1")]].concat(), add_key("one more"), vec![key_added("one more")]);
}

fn change(change: OrganizationChange) -> OrganizationCommand {
    OrganizationCommand::Change(change)
}

#[test]
fn an_organisation_is_renamed_and_known_by_its_new_name() {
    let rename = |name: &str| change(OrganizationChange { name: Some(name.into()), ..Default::default() });
    let renamed = OrganizationEvent::Renamed { name: "The Club".into() };
    check(vec![created("Club")], rename("The Club"), vec![renamed.clone()]);
    check(vec![created("Club")], rename("Club"), vec![]);
    let history = vec![created("Club"), renamed];
    check(history.clone(), rename("The Club"), vec![]);
    check(history.clone(), create("The Club"), vec![]);
    refuse(history.clone(), create("Club"), &OrganizationError::AlreadyCreated);
    check(history, rename("Club"), vec![OrganizationEvent::Renamed { name: "Club".into() }]);
    refuse(vec![], rename("Club"), &OrganizationError::Unknown);
}

#[test]
fn an_organisation_is_disabled_once_and_enabled_once() {
    let disable = |disabled| change(OrganizationChange { disabled: Some(disabled), ..Default::default() });
    check(vec![created("Club")], disable(false), vec![]);
    check(vec![created("Club")], disable(true), vec![OrganizationEvent::Disabled {}]);
    let history = vec![created("Club"), OrganizationEvent::Disabled {}];
    check(history.clone(), disable(true), vec![]);
    check(history.clone(), change(OrganizationChange::default()), vec![]);
    check(history, disable(false), vec![OrganizationEvent::Enabled {}]);
}

#[test]
fn the_images_of_an_organisation_get_a_limit_and_lose_it() {
    let limit = |bytes| change(OrganizationChange { image_bytes: Some(bytes), ..Default::default() });
    let limited = |bytes| OrganizationEvent::ImagesLimited { bytes };
    check(vec![created("Club")], limit(None), vec![]);
    check(vec![created("Club")], limit(Some(1000)), vec![limited(Some(1000))]);
    let history = vec![created("Club"), limited(Some(1000))];
    check(history.clone(), limit(Some(1000)), vec![]);
    check(history, limit(None), vec![limited(None)]);
}
