//! Files as Apple and Keychain hand them out.

use openssl::pkcs12::Pkcs12;
use openssl::stack::Stack;
use openssl::symm::Cipher;

use crate::tests::authority::{AUTHORITY, Authority, LEAF, LONG, PASS_TYPE, TEAM, ec_key};
use crate::{Credential, CredentialError, CredentialFiles, IdentityError};

fn der() -> Vec<u8> {
    LEAF.certificate.to_der().unwrap()
}

fn wwdr() -> Vec<u8> {
    AUTHORITY.intermediate.certificate.to_der().unwrap()
}

/// A `.p12` as OpenSSL makes it by default.
fn pkcs12(password: &str, with_intermediate: bool) -> Vec<u8> {
    let mut builder = Pkcs12::builder();
    builder.pkey(&LEAF.key).cert(&LEAF.certificate).name("Pass Type ID");
    if with_intermediate {
        let mut others = Stack::new().unwrap();
        others.push(AUTHORITY.intermediate.certificate.clone()).unwrap();
        builder.ca(others);
    }
    builder.build2(password).unwrap().to_der().unwrap()
}

struct Files {
    certificate: Vec<u8>,
    private_key: Option<Vec<u8>>,
    password: Option<&'static str>,
    intermediate: Option<Vec<u8>>,
}

impl Files {
    fn read(&self) -> Result<Credential, CredentialError> {
        Credential::read(CredentialFiles {
            certificate: &self.certificate,
            private_key: self.private_key.as_deref(),
            password: self.password,
            intermediate: self.intermediate.as_deref(),
        })
    }
}

/// The `.cer` from Apple, the key of the request, and the intermediate.
fn files() -> Files {
    Files {
        certificate: der(),
        private_key: Some(LEAF.key_pem()),
        password: None,
        intermediate: Some(wwdr()),
    }
}

#[track_caller]
fn accepted(files: &Files) {
    let credential = files.read().unwrap();
    assert_eq!(
        (credential.identity.pass_type_identifier(), credential.identity.team_identifier()),
        (PASS_TYPE, TEAM)
    );
    assert_eq!(credential.certificate.as_bytes(), LEAF.certificate_pem());
    assert_eq!(credential.intermediate.as_bytes(), AUTHORITY.intermediate.certificate_pem());
    assert_eq!(credential.private_key.as_bytes(), LEAF.key_pem());
}

#[test]
fn every_form_of_the_same_files_is_the_same_credential() {
    accepted(&files());
    accepted(&Files { certificate: LEAF.certificate_pem(), ..files() });
    accepted(&Files { intermediate: Some(AUTHORITY.intermediate.certificate_pem()), ..files() });
    accepted(&Files { private_key: Some(LEAF.key.private_key_to_der().unwrap()), ..files() });
    accepted(&Files { private_key: Some(LEAF.key.private_key_to_pkcs8().unwrap()), ..files() });
    let together = [LEAF.certificate_pem(), LEAF.key_pem()].concat();
    accepted(&Files { certificate: together, private_key: None, ..files() });
}

#[test]
fn a_p12_holds_certificate_and_key_and_perhaps_the_intermediate() {
    let p12 = Files {
        certificate: pkcs12("geheim", false),
        private_key: None,
        password: Some("geheim"),
        ..files()
    };
    accepted(&p12);
    accepted(&Files { certificate: pkcs12("geheim", true), intermediate: None, ..p12 });
    accepted(&Files { certificate: pkcs12("", false), private_key: None, ..files() });
}

#[test]
fn a_wrong_or_missing_password_is_named() {
    let with =
        |password| Files { certificate: pkcs12("geheim", false), private_key: None, password, ..files() };
    assert!(matches!(with(Some("other")).read(), Err(CredentialError::WrongPassword { part: ".p12 file" })));
    assert!(matches!(with(None).read(), Err(CredentialError::PasswordMissing { part: ".p12 file" })));

    for pem in [
        LEAF.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"geheim").unwrap(),
        LEAF.key.rsa().unwrap().private_key_to_pem_passphrase(Cipher::aes_256_cbc(), b"geheim").unwrap(),
    ] {
        let with = |password| Files { private_key: Some(pem.clone()), password, ..files() };
        accepted(&with(Some("geheim")));
        assert!(matches!(
            with(Some("other")).read(),
            Err(CredentialError::WrongPassword { part: "private key" })
        ));
        assert!(matches!(with(None).read(), Err(CredentialError::PasswordMissing { part: "private key" })));
    }
}

#[test]
fn an_intermediate_of_another_generation_is_named_with_the_right_one() {
    let read = |intermediate| Files { intermediate, ..files() }.read().unwrap_err();
    let other = read(Some(AUTHORITY.root.certificate_pem()));
    let said = other.to_string();
    assert!(matches!(other, CredentialError::WrongIntermediate { .. }), "{said}");
    assert!(said.contains("issued by Test WWDR") && said.contains("is Test Root"), "{said}");
    assert!(said.contains("https://www.apple.com/certificateauthority/"), "{said}");
    let namesake = Authority::with_intermediate_valid(LONG).intermediate.certificate_pem();
    assert!(matches!(read(Some(namesake)), CredentialError::Impostor { .. }));
    for nothing in [None, Some(b"nothing".to_vec())] {
        assert!(matches!(read(nothing), CredentialError::IntermediateMissing { .. }));
    }
}

#[test]
fn what_is_missing_or_foreign_is_named() {
    let fault = |files: Files| files.read().unwrap_err();
    assert!(matches!(
        fault(Files { certificate: b"hello".to_vec(), ..files() }),
        CredentialError::CertificateUnreadable
    ));
    assert!(matches!(fault(Files { private_key: None, ..files() }), CredentialError::KeyMissing));
    assert!(matches!(
        fault(Files { private_key: Some(b"hello".to_vec()), ..files() }),
        CredentialError::KeyUnreadable
    ));
    let foreign = ec_key().private_key_to_pem_pkcs8().unwrap();
    assert!(matches!(
        fault(Files { private_key: Some(foreign), ..files() }),
        CredentialError::Identity(IdentityError::KeyMismatch)
    ));
    let nameless = AUTHORITY.leaf(None, Some(TEAM), ec_key(), LONG);
    let files =
        Files { certificate: nameless.certificate_pem(), private_key: Some(nameless.key_pem()), ..files() };
    let said = fault(files).to_string();
    assert!(said.contains("UID") && said.contains("not a Pass Type ID certificate"), "{said}");
}

#[test]
fn a_credential_does_not_show_its_key() {
    let shown = format!("{:?}", files().read().unwrap());
    assert!(shown.contains("[redacted]") && !shown.contains("PRIVATE KEY"), "{shown}");
}

#[test]
fn an_old_p12_is_read_by_the_legacy_provider() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(place("pass.pem"), LEAF.certificate_pem()).unwrap();
    std::fs::write(place("pass.key"), LEAF.key_pem()).unwrap();
    let export = ["pkcs12", "-export", "-legacy", "-passout", "pass:geheim", "-in"];
    let made = std::process::Command::new("openssl")
        .args(export)
        .args([place("pass.pem"), "-inkey".into(), place("pass.key"), "-out".into(), place("old.p12")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let old = std::fs::read(place("old.p12")).unwrap();
    let rc2 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x06];
    assert!(old.windows(rc2.len()).any(|window| window == rc2), "it is encrypted with RC2");
    accepted(&Files { certificate: old.clone(), private_key: None, password: Some("geheim"), ..files() });
    let wrong = Files { certificate: old, private_key: None, password: Some("other"), ..files() };
    assert!(matches!(wrong.read(), Err(CredentialError::WrongPassword { part: ".p12 file" })));
}
