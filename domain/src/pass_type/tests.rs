//! The rules of a pass type, one sentence each.

use cqrs_es::test::TestFramework;

use super::*;
use crate::ids::{Digest, OrganizationId, PassTypeIdentifier, TeamIdentifier};
use crate::images::Images;

fn create(organization: &str) -> PassTypeCommand {
    PassTypeCommand::Create {
        pass_type_identifier: PassTypeIdentifier::parse("pass.com.example").unwrap(),
        organization_id: OrganizationId::parse(organization).unwrap(),
        team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
    }
}

fn created(organization: &str) -> PassTypeEvent {
    PassTypeEvent::Created {
        pass_type_identifier: PassTypeIdentifier::parse("pass.com.example").unwrap(),
        organization_id: OrganizationId::parse(organization).unwrap(),
        team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
    }
}

fn put(bytes: &str) -> PassTypeCommand {
    PassTypeCommand::PutAssets { assets: images(bytes) }
}

fn assets(bytes: &str) -> PassTypeEvent {
    PassTypeEvent::AssetsChanged { assets: images(bytes) }
}

fn images(bytes: &str) -> Images {
    Images::from([("logo.png".to_owned(), Digest::of(bytes.as_bytes()))])
}

#[track_caller]
fn check(history: Vec<PassTypeEvent>, command: PassTypeCommand, expected: Vec<PassTypeEvent>) {
    TestFramework::<PassType>::with(()).given(history).when(command).then_expect_events(expected);
}

#[track_caller]
fn refuse(history: Vec<PassTypeEvent>, command: PassTypeCommand, expected: &PassTypeError) {
    let found = TestFramework::<PassType>::with(()).given(history).when(command).inspect_result();
    assert_eq!(found.as_ref(), Err(expected));
}

#[test]
fn a_pass_type_belongs_to_one_organisation() {
    check(vec![], create("club"), vec![created("club")]);
    check(vec![created("club")], create("club"), vec![]);
    refuse(vec![created("club")], create("other"), &PassTypeError::AlreadyCreated);
}

#[test]
fn an_image_is_put_once() {
    check(vec![created("club")], put("a"), vec![assets("a")]);
    check(vec![created("club"), assets("a")], put("a"), vec![]);
    check(vec![created("club"), assets("a")], put("b"), vec![assets("b")]);
}

#[test]
fn a_pass_type_that_nobody_created_takes_no_image() {
    refuse(vec![], put("a"), &PassTypeError::Unknown);
}
