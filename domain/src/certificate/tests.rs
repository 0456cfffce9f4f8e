//! The rules of a certificate, one sentence each.

use cqrs_es::test::TestFramework;

use super::*;
use crate::ids::{Digest, JobId, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use crate::sealed::Sealed;

fn sealed(byte: u8) -> Sealed {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    Sealed::parse(format!("v1.{}", URL_SAFE_NO_PAD.encode([byte; 40]))).unwrap()
}

fn installation(name: &str, team: &str) -> Box<Installation> {
    Box::new(Installation {
        pass_type_identifier: PassTypeIdentifier::parse("pass.com.example").unwrap(),
        team_identifier: TeamIdentifier::parse(team).unwrap(),
        certificate_serial: "0a".into(),
        fingerprint: Digest::of(name.as_bytes()),
        not_before: UnixSeconds(1),
        not_after: UnixSeconds(2),
        certificate: name.into(),
        intermediate: "WWDR".into(),
        private_key: sealed(1),
        is_enhanced: Some(false),
        job: None,
        description: None,
        requested_key: None,
    })
}

const TEAM: &str = "ABCDE12345";

fn install(name: &str) -> CertificateCommand {
    CertificateCommand::Install(installation(name, TEAM))
}

fn installed(name: &str) -> CertificateEvent {
    CertificateEvent::Installed(installation(name, TEAM))
}

fn renewed(name: &str) -> CertificateEvent {
    CertificateEvent::Renewed(installation(name, TEAM))
}

fn reseal(name: &str, byte: u8) -> CertificateCommand {
    CertificateCommand::Reseal { fingerprint: Digest::of(name.as_bytes()), private_key: sealed(byte) }
}

fn resealed(name: &str, byte: u8) -> CertificateEvent {
    CertificateEvent::Resealed { fingerprint: Digest::of(name.as_bytes()), private_key: sealed(byte) }
}

fn revoked(name: &str) -> CertificateEvent {
    CertificateEvent::Revoked { fingerprint: Digest::of(name.as_bytes()) }
}

#[track_caller]
fn check(history: Vec<CertificateEvent>, command: CertificateCommand, expected: Vec<CertificateEvent>) {
    TestFramework::<Certificate>::with(()).given(history).when(command).then_expect_events(expected);
}

#[track_caller]
fn refuse(history: Vec<CertificateEvent>, command: CertificateCommand, expected: &CertificateError) {
    let found = TestFramework::<Certificate>::with(()).given(history).when(command).inspect_result();
    assert_eq!(found.as_ref(), Err(expected));
}

#[test]
fn the_first_certificate_is_installed_and_the_next_renews_it() {
    check(vec![], install("2026"), vec![installed("2026")]);
    check(vec![installed("2026")], install("2027"), vec![renewed("2027")]);
    check(vec![installed("2026"), renewed("2027")], install("2026"), vec![renewed("2026")]);
}

#[test]
fn the_certificate_in_use_is_not_installed_again_whatever_its_seal() {
    check(vec![installed("2026")], install("2026"), vec![]);
    check(vec![installed("2026"), resealed("2026", 2)], install("2026"), vec![]);
}

#[test]
fn the_same_certificate_under_another_intermediate_is_a_renewal() {
    let mut other = installation("2026", TEAM);
    other.intermediate = "WWDR G4".into();
    let command = CertificateCommand::Install(other.clone());
    check(vec![installed("2026")], command, vec![CertificateEvent::Renewed(other)]);
}

#[test]
fn a_certificate_of_another_team_does_not_take_over() {
    let other = CertificateCommand::Install(installation("2027", "ZZZZZ12345"));
    let refusal = CertificateError::AnotherTeam { installed: TeamIdentifier::parse(TEAM).unwrap() };
    refuse(vec![installed("2026")], other, &refusal);
}

#[test]
fn a_key_is_sealed_anew_for_the_certificate_in_use_alone() {
    check(vec![installed("2026")], reseal("2026", 2), vec![resealed("2026", 2)]);
    check(vec![installed("2026"), resealed("2026", 2)], reseal("2026", 2), vec![]);
    let refusal = CertificateError::AnotherInstalled { installed: Digest::of(b"2027") };
    refuse(vec![installed("2026"), renewed("2027")], reseal("2026", 2), &refusal);
    refuse(vec![], reseal("2026", 2), &CertificateError::Unknown);
}

#[test]
fn a_revoked_certificate_is_gone_until_one_is_installed() {
    check(vec![installed("2026")], CertificateCommand::Revoke, vec![revoked("2026")]);
    let history = vec![installed("2026"), revoked("2026")];
    refuse(history.clone(), CertificateCommand::Revoke, &CertificateError::Unknown);
    refuse(history.clone(), reseal("2026", 2), &CertificateError::Unknown);
    check(history, install("2026"), vec![installed("2026")]);
    refuse(vec![], CertificateCommand::Revoke, &CertificateError::Unknown);
}

#[test]
fn neither_a_command_nor_an_event_shows_the_key() {
    let shown = format!("{:?} {:?} {:?}", install("2026"), resealed("2026", 2), reseal("2026", 3));
    assert_eq!(shown.matches("[redacted]").count(), 3);
    for byte in 1..=3 {
        assert!(!shown.contains(sealed(byte).as_str()), "{shown}");
    }
}

fn enhanced(name: &str, is_enhanced: Option<bool>, job: Option<&str>) -> Box<Installation> {
    let job = job.map(|job| JobId::parse(job).unwrap());
    Box::new(Installation { is_enhanced, job, ..*installation(name, TEAM) })
}

#[test]
fn a_certificate_that_changes_whether_nfc_is_allowed_names_a_job() {
    let installs =
        |name, is_enhanced| CertificateCommand::Install(enhanced(name, Some(is_enhanced), Some("job")));
    let plain = CertificateEvent::Installed(enhanced("a", Some(false), None));
    check(vec![], installs("a", false), vec![plain.clone()]);
    let allows = CertificateEvent::Renewed(enhanced("b", Some(true), Some("job")));
    check(vec![plain.clone()], installs("b", true), vec![allows.clone()]);
    let both = vec![plain, allows];
    let same = CertificateEvent::Renewed(enhanced("c", Some(true), None));
    check(both.clone(), installs("c", true), vec![same]);
    let no_more = CertificateEvent::Renewed(enhanced("b", Some(false), Some("job")));
    check(both.clone(), installs("b", false), vec![no_more]);
    let after_revocation = [both, vec![revoked("b")]].concat();
    let again = CertificateEvent::Installed(enhanced("b", Some(true), None));
    check(after_revocation, installs("b", true), vec![again]);
}

#[test]
fn the_name_in_an_old_certificate_says_whether_nfc_is_allowed() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let pem = |name: &str| {
        let der = [&[0x30, 0x82, 0x01], name.as_bytes(), &[0x02, 0x03]].concat();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
    };
    let allows = |name: &str, is_enhanced| {
        Installation { certificate: pem(name), ..*enhanced("a", is_enhanced, None) }.allows_nfc()
    };
    assert!(allows("Pass Type ID with NFC: pass.com.example", None));
    assert!(!allows("Pass Type ID: pass.com.example", None));
    assert!(allows("Pass Type ID: pass.com.example", Some(true)));
    assert!(!allows("Pass Type ID with NFC: pass.com.example", Some(false)));
}

fn ends(name: &str, not_after: i64) -> Box<Installation> {
    Box::new(Installation { not_after: UnixSeconds(not_after), ..*installation(name, TEAM) })
}

#[test]
fn a_certificate_that_ends_earlier_replaces_another_only_on_purpose() {
    let history = || vec![CertificateEvent::Installed(ends("2027", 200))];
    let refusal = CertificateError::EndsEarlier { installed: UnixSeconds(200), given: UnixSeconds(100) };
    refuse(history(), CertificateCommand::Install(ends("2026", 100)), &refusal);
    let renewed = CertificateEvent::Renewed(ends("2026", 100));
    check(history(), CertificateCommand::Replace(ends("2026", 100)), vec![renewed]);
    let same_day = CertificateEvent::Renewed(ends("again", 200));
    check(history(), CertificateCommand::Install(ends("again", 200)), vec![same_day]);
}

#[test]
fn a_certificate_of_another_team_takes_over_on_purpose_and_one_of_another_pass_type_never() {
    let other = installation("2027", "ZZZZZ12345");
    let renewed = CertificateEvent::Renewed(other.clone());
    check(vec![installed("2026")], CertificateCommand::Replace(other), vec![renewed]);
    let pass_type_identifier = PassTypeIdentifier::parse("pass.com.example.other").unwrap();
    let other = Box::new(Installation { pass_type_identifier, ..*installation("other", TEAM) });
    let refusal = CertificateError::AnotherPassType {
        installed: PassTypeIdentifier::parse("pass.com.example").unwrap(),
    };
    refuse(vec![installed("2026")], CertificateCommand::Replace(other.clone()), &refusal);
    let after_revoking = vec![installed("2026"), revoked("2026")];
    check(
        after_revoking,
        CertificateCommand::Install(other.clone()),
        vec![CertificateEvent::Installed(other)],
    );
}

#[test]
fn another_description_is_a_change() {
    let described =
        || Box::new(Installation { description: Some("the till".into()), ..*installation("2026", TEAM) });
    let renewed = CertificateEvent::Renewed(described());
    check(vec![installed("2026")], CertificateCommand::Install(described()), vec![renewed.clone()]);
    check(vec![installed("2026"), renewed], CertificateCommand::Install(described()), vec![]);
}

fn requested(name: &str) -> RequestedKey {
    RequestedKey {
        pass_type_identifier: PassTypeIdentifier::parse("pass.com.example").unwrap(),
        team_identifier: TeamIdentifier::parse(TEAM).unwrap(),
        public_key: Digest::of(name.as_bytes()),
        private_key: sealed(7),
    }
}

#[test]
fn a_key_waits_for_its_certificate_and_for_no_other() {
    let waits = || vec![CertificateEvent::Requested(requested("key"))];
    check(vec![], CertificateCommand::Request(requested("key")), waits());
    let reseal = |name: &str| CertificateCommand::ResealRequest {
        public_key: Digest::of(name.as_bytes()),
        private_key: sealed(8),
    };
    let resealed =
        CertificateEvent::RequestResealed { public_key: Digest::of(b"key"), private_key: sealed(8) };
    check(waits(), reseal("key"), vec![resealed]);
    refuse(waits(), reseal("other"), &CertificateError::NotRequested);
    let of_the_key = |name: &str| {
        let requested_key = Some(Digest::of(b"key"));
        CertificateEvent::Installed(Box::new(Installation { requested_key, ..*installation(name, TEAM) }))
    };
    refuse([waits(), vec![of_the_key("2026")]].concat(), reseal("key"), &CertificateError::NotRequested);
    let another = vec![CertificateEvent::Requested(requested("next")), of_the_key("2026")];
    let resealed =
        CertificateEvent::RequestResealed { public_key: Digest::of(b"next"), private_key: sealed(8) };
    check([waits(), another].concat(), reseal("next"), vec![resealed]);
}

#[test]
fn what_is_revoked_takes_a_waiting_key_with_it() {
    let withdrawn = CertificateEvent::RequestWithdrawn { public_key: Digest::of(b"key") };
    let waits = CertificateEvent::Requested(requested("key"));
    check(vec![waits.clone()], CertificateCommand::Revoke, vec![withdrawn.clone()]);
    let history = vec![installed("2026"), waits];
    check(history, CertificateCommand::Revoke, vec![revoked("2026"), withdrawn]);
}

#[test]
fn only_what_is_installed_can_be_read_again() {
    check(vec![installed("2026")], CertificateCommand::Invalidate, vec![CertificateEvent::Invalidated {}]);
    refuse(vec![], CertificateCommand::Invalidate, &CertificateError::Unknown);
}
