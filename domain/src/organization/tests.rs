//! The rules of an organisation, one sentence each.

use cqrs_es::test::TestFramework;

use super::*;
use crate::ids::{Digest, OrganizationId};

fn create(name: &str) -> OrganizationCommand {
    OrganizationCommand::Create { organization_id: OrganizationId::parse("club").unwrap(), name: name.into() }
}

fn created(name: &str) -> OrganizationEvent {
    OrganizationEvent::Created { organization_id: OrganizationId::parse("club").unwrap(), name: name.into() }
}

fn add_key(key: &str) -> OrganizationCommand {
    add_key_with(key, Scopes::default())
}

fn add_key_with(key: &str, scopes: Scopes) -> OrganizationCommand {
    OrganizationCommand::AddApiKey { key_digest: Digest::of(key.as_bytes()), label: "till".into(), scopes }
}

fn key_added(key: &str) -> OrganizationEvent {
    let scopes = Scopes::default();
    OrganizationEvent::ApiKeyAdded { key_digest: Digest::of(key.as_bytes()), label: "till".into(), scopes }
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
    };
    check(vec![created("Club")], add_key_with("a", scopes), vec![added]);
}
