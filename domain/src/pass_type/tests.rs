//! The rules of a pass type, one sentence each.

use cqrs_es::test::TestFramework;

use super::*;
use crate::ids::{CertRef, Digest, JobId, OrganizationId, PassTypeIdentifier, TeamIdentifier};
use crate::images::Images;
use crate::localizations::{Language, Localization, Localizations, MAX_LANGUAGES, TooLarge};

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
        cert_ref: None,
    }
}

const TEAM: &str = "ABCDE12345";

fn assign(organization: &str, team: &str, cert_ref: &str, force: bool) -> PassTypeCommand {
    PassTypeCommand::Assign {
        pass_type_identifier: PassTypeIdentifier::parse("pass.com.example").unwrap(),
        organization_id: OrganizationId::parse(organization).unwrap(),
        team_identifier: TeamIdentifier::parse(team).unwrap(),
        cert_ref: CertRef::parse(cert_ref).unwrap(),
        force,
        job: None,
    }
}

fn assigned(organization: &str, team: &str, cert_ref: &str) -> PassTypeEvent {
    PassTypeEvent::Assigned {
        organization_id: OrganizationId::parse(organization).unwrap(),
        team_identifier: TeamIdentifier::parse(team).unwrap(),
        cert_ref: CertRef::parse(cert_ref).unwrap(),
        job: None,
    }
}

fn put(bytes: &str) -> PassTypeCommand {
    PassTypeCommand::PutAssets { assets: images(bytes), job: None }
}

fn assets(bytes: &str) -> PassTypeEvent {
    PassTypeEvent::AssetsChanged { assets: images(bytes), job: None }
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

#[test]
fn an_image_that_is_taken_away_is_gone_once() {
    let job = JobId::parse("job-1").ok();
    let remove = |file: &str| PassTypeCommand::RemoveAsset { file: file.to_owned(), job: job.clone() };
    let none = PassTypeEvent::AssetsChanged { assets: Images::new(), job: job.clone() };
    check(vec![created("club"), assets("a")], remove("logo.png"), vec![none.clone()]);
    check(vec![created("club"), assets("a"), none], remove("logo.png"), vec![]);
    check(vec![created("club"), assets("a")], remove("icon.png"), vec![]);
    refuse(vec![], remove("logo.png"), &PassTypeError::Unknown);
}

#[test]
fn a_change_names_the_job_that_brings_it_to_the_passes() {
    let job = JobId::parse("job-1").ok();
    let put = PassTypeCommand::PutAssets { assets: images("a"), job: job.clone() };
    check(
        vec![created("club")],
        put.clone(),
        vec![PassTypeEvent::AssetsChanged { assets: images("a"), job }],
    );
    check(vec![created("club"), assets("a")], put, vec![]);
}

#[test]
fn texts_of_a_language_are_put_once_and_removed() {
    let german = Language::parse("de").unwrap();
    let localization = Localization { strings: [("Gate".to_owned(), "Tor".to_owned())].into() };
    let changed = |localizations| PassTypeEvent::LocalizationsChanged { localizations, job: None };
    let put = PassTypeCommand::PutLocalization {
        language: german.clone(),
        localization: localization.clone(),
        job: None,
    };
    let there = changed(Localizations::from([(german.clone(), localization.clone())]));
    check(vec![created("club")], put.clone(), vec![there.clone()]);
    check(vec![created("club"), there.clone()], put.clone(), vec![]);
    refuse(vec![], put.clone(), &PassTypeError::Unknown);
    let remove = PassTypeCommand::RemoveLocalization { language: german, job: None };
    check(vec![created("club"), there], remove.clone(), vec![changed(Localizations::new())]);
    check(vec![created("club")], remove, vec![]);

    let language = |number: usize| Language::parse(&format!("en-{number}")).unwrap();
    let full = (0..MAX_LANGUAGES).map(|number| (language(number), localization.clone())).collect();
    let too_many = PassTypeError::LocalizationsTooLarge(TooLarge::Languages);
    refuse(vec![created("club"), changed(full)], put, &too_many);
}

#[test]
fn another_certificate_of_the_same_team_is_named_without_further_ado() {
    check(vec![], assign("club", TEAM, "pass.com.example", false), vec![created("club")]);
    check(vec![created("club")], assign("club", TEAM, "pass.com.example", false), vec![]);
    let next = assigned("club", TEAM, "2027");
    check(vec![created("club")], assign("club", TEAM, "2027", false), vec![next.clone()]);
    check(vec![created("club"), next], assign("club", TEAM, "2027", false), vec![]);
}

#[test]
fn another_organisation_or_team_gets_a_pass_type_only_on_purpose() {
    let history = || vec![created("club")];
    let owner = OrganizationId::parse("club").unwrap();
    let refusal = PassTypeError::AnotherOrganization { owner };
    refuse(history(), assign("other", TEAM, "2027", false), &refusal);
    let refusal = PassTypeError::AnotherTeam { team: TeamIdentifier::parse(TEAM).unwrap() };
    refuse(history(), assign("club", "ZZZZZ12345", "2027", false), &refusal);
    let moved = assigned("other", "ZZZZZ12345", "2027");
    check(history(), assign("other", "ZZZZZ12345", "2027", true), vec![moved]);
}
