//! Certificates that fit, and those that do not.

use openssl::symm::Cipher;
use time::OffsetDateTime;

use crate::tests::authority::{
    AUTHORITY, Authority, IDENTITY, LEAF, LONG, OVER, PASS_TYPE, Pair, TEAM, ec_key,
};
use crate::{IdentityError, SigningIdentity};

const NOW: i64 = 1_800_000_000;

fn intermediate() -> Vec<u8> {
    AUTHORITY.intermediate.certificate_pem()
}

fn from_pair(leaf: &Pair) -> Result<SigningIdentity, IdentityError> {
    SigningIdentity::from_pem(&leaf.certificate_pem(), &leaf.key_pem(), &intermediate())
}

#[test]
fn a_certificate_says_whose_it_is_and_how_long() {
    assert_eq!((IDENTITY.pass_type_identifier(), IDENTITY.team_identifier()), (PASS_TYPE, TEAM));
    assert_eq!(IDENTITY.not_before(), OffsetDateTime::from_unix_timestamp(LONG.0).unwrap());
    assert_eq!(IDENTITY.not_after(), OffsetDateTime::from_unix_timestamp(LONG.1).unwrap());
    assert_eq!(IDENTITY.intermediate_not_after(), OffsetDateTime::from_unix_timestamp(LONG.1).unwrap());
    let der = LEAF.certificate.to_der().unwrap();
    assert_eq!(IDENTITY.fingerprint(), hex::encode(openssl::sha::sha256(&der)));
}

#[test]
fn an_identity_is_shared_between_threads_and_does_not_print_its_key() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&*IDENTITY);
    assert!(format!("{:?}", *IDENTITY).contains("[redacted]"));
}

#[test]
fn the_right_certificate_at_the_right_time_may_sign() {
    for now in [LONG.0, NOW, LONG.1] {
        assert!(IDENTITY.check(PASS_TYPE, TEAM, now).is_ok(), "{now}");
    }
}

#[test]
fn another_pass_type_or_team_is_refused() {
    let error = IDENTITY.check("pass.com.example.other", TEAM, NOW).unwrap_err();
    assert!(matches!(error, IdentityError::WrongPassType { .. }), "{error}");
    let error = IDENTITY.check(PASS_TYPE, "OTHER", NOW).unwrap_err();
    assert!(matches!(error, IdentityError::WrongTeam { .. }), "{error}");
}

#[test]
fn a_certificate_before_or_after_its_time_is_refused() {
    let error = IDENTITY.check(PASS_TYPE, TEAM, LONG.0 - 1).unwrap_err();
    assert!(matches!(error, IdentityError::NotYetValid { part: "certificate", .. }), "{error}");
    let error = IDENTITY.check(PASS_TYPE, TEAM, LONG.1 + 1).unwrap_err();
    assert!(matches!(error, IdentityError::Expired { part: "certificate", .. }), "{error}");
}

#[test]
fn an_expired_intermediate_is_refused() {
    let authority = Authority::with_intermediate_valid(OVER);
    let identity = authority.identity(&authority.leaf(Some(PASS_TYPE), Some(TEAM), ec_key(), LONG));
    let error = identity.check(PASS_TYPE, TEAM, NOW).unwrap_err();
    assert!(matches!(error, IdentityError::Expired { part: "intermediate certificate", .. }), "{error}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let key = ec_key().private_key_to_pem_pkcs8().unwrap();
    let error = SigningIdentity::from_pem(&LEAF.certificate_pem(), &key, &intermediate()).unwrap_err();
    assert!(matches!(error, IdentityError::KeyMismatch), "{error}");
}

#[test]
fn an_intermediate_that_did_not_issue_the_certificate_is_refused() {
    // Of the same name, so only the signature tells them apart.
    let namesake = Authority::with_intermediate_valid(LONG).intermediate.certificate_pem();
    for other in [namesake, AUTHORITY.root.certificate_pem(), LEAF.certificate_pem(), b"nothing".to_vec()] {
        let error = SigningIdentity::from_pem(&LEAF.certificate_pem(), &LEAF.key_pem(), &other).unwrap_err();
        assert!(matches!(error, IdentityError::IntermediateMismatch { .. }), "{error}");
    }
}

#[test]
fn the_issuer_is_found_among_several_intermediates() {
    let namesake = Authority::with_intermediate_valid(LONG).intermediate.certificate_pem();
    let bundle = [namesake, intermediate(), AUTHORITY.root.certificate_pem()].concat();
    assert!(SigningIdentity::from_pem(&LEAF.certificate_pem(), &LEAF.key_pem(), &bundle).is_ok());
}

#[test]
fn a_certificate_that_names_no_pass_type_or_team_is_refused() {
    let error = from_pair(&AUTHORITY.leaf(None, Some(TEAM), ec_key(), LONG)).unwrap_err();
    assert!(matches!(error, IdentityError::SubjectIncomplete { attribute: "UID" }), "{error}");
    let error = from_pair(&AUTHORITY.leaf(Some(PASS_TYPE), None, ec_key(), LONG)).unwrap_err();
    assert!(matches!(error, IdentityError::SubjectIncomplete { attribute: "OU" }), "{error}");
}

#[test]
fn parts_that_are_not_pem_are_named() {
    let (certificate, key) = (LEAF.certificate_pem(), LEAF.key_pem());
    let error = SigningIdentity::from_pem(b"", &key, &intermediate()).unwrap_err();
    assert!(matches!(error, IdentityError::Unreadable { part: "certificate", .. }), "{error}");
    let error = SigningIdentity::from_pem(&certificate, &certificate, &intermediate()).unwrap_err();
    assert!(matches!(error, IdentityError::Unreadable { part: "private key", .. }), "{error}");
}

#[test]
fn encrypted_pem_is_refused_without_asking_anybody() {
    let cipher = Cipher::aes_128_cbc();
    let pkcs8 = LEAF.key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").unwrap();
    let traditional = LEAF.key.rsa().unwrap().private_key_to_pem_passphrase(cipher, b"secret").unwrap();
    for key in [&pkcs8, &traditional] {
        let error = SigningIdentity::from_pem(&LEAF.certificate_pem(), key, &intermediate()).unwrap_err();
        assert!(matches!(error, IdentityError::Unreadable { part: "private key", .. }), "{error}");
    }
    let with_key = [LEAF.certificate_pem(), traditional.clone()].concat();
    let error = SigningIdentity::from_pem(&with_key, &LEAF.key_pem(), &intermediate()).unwrap_err();
    assert!(matches!(error, IdentityError::Unreadable { part: "certificate", .. }), "{error}");
    let certificate = String::from_utf8(traditional).unwrap().replace("RSA PRIVATE KEY", "CERTIFICATE");
    let error =
        SigningIdentity::from_pem(certificate.as_bytes(), &LEAF.key_pem(), &intermediate()).unwrap_err();
    assert!(matches!(error, IdentityError::Unreadable { part: "certificate", .. }), "{error}");
}
