//! The values that we read from an X.509 certificate, for the signer and for the reader alike.

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::{X509, X509Ref, X509VerifyResult};

/// Attribute of the subject that carries the pass type identifier (0.9.2342.19200300.100.1.1).
pub(crate) const UID: Nid = Nid::USERID;
/// Attribute of the subject that carries the team identifier (2.5.4.11).
pub(crate) const OU: Nid = Nid::ORGANIZATIONALUNITNAME;
/// Attribute of the subject that a person reads.
pub(crate) const CN: Nid = Nid::COMMONNAME;

/// Header of a PEM block that needs a pass phrase.
const ENCRYPTED_BLOCK: &[u8] = b"Proc-Type";

/// The span in which a certificate is valid, in Unix seconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

impl Validity {
    pub(crate) fn of(certificate: &X509Ref) -> Result<Self, ErrorStack> {
        Ok(Self {
            not_before: unix_seconds(certificate.not_before())?,
            not_after: unix_seconds(certificate.not_after())?,
        })
    }

    pub(crate) const fn contains(self, unix_seconds: i64) -> bool {
        self.not_before <= unix_seconds && unix_seconds <= self.not_after
    }
}

/// The first value of an attribute of the subject.
pub(crate) fn subject(certificate: &X509Ref, attribute: Nid) -> Option<String> {
    let entry = certificate.subject_name().entries_by_nid(attribute).next()?;
    // A value that is not text is the same to us as none.
    entry.data().to_string().ok()
}

/// SHA-256 of the certificate, lowercase hex.
pub(crate) fn fingerprint(certificate: &X509Ref) -> Result<String, ErrorStack> {
    certificate.digest(MessageDigest::sha256()).map(hex::encode)
}

/// Whether `issuer` is named as the issuer of `certificate` and its key made the signature.
pub(crate) fn is_issued_by(certificate: &X509Ref, issuer: &X509Ref) -> bool {
    let is_issued = issuer.issued(certificate) == X509VerifyResult::OK
        && issuer.public_key().and_then(|key| certificate.verify(&key)).unwrap_or(false);
    forget_errors();
    is_issued
}

/// The certificates of a PEM file, in their order; there may be none.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<X509>, ErrorStack> {
    // For an encrypted block OpenSSL would ask the terminal for a pass phrase, and wait. No certificate is one.
    let is_encrypted = pem.windows(ENCRYPTED_BLOCK.len()).any(|window| window == ENCRYPTED_BLOCK);
    if is_encrypted { Err(ErrorStack::get()) } else { X509::stack_from_pem(pem) }
}

/// An answer of "no" leaves its reasons on the thread's error queue, where the next failure would find them.
pub(crate) fn forget_errors() {
    drop(ErrorStack::get());
}

fn unix_seconds(time: &Asn1TimeRef) -> Result<i64, ErrorStack> {
    let since_epoch = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(i64::from(since_epoch.days) * 86_400 + i64::from(since_epoch.secs))
}

/// The beginning of the name of certificates that Apple issues for passes with NFC: "Pass Type ID with NFC: pass.com.example".
const NAME_WITH_NFC: &str = "Pass Type ID with NFC";

/// Whether the common name of a subject is that of a certificate for passes with NFC.
pub(crate) fn is_named_for_nfc(common_name: &str) -> bool {
    common_name.contains(NAME_WITH_NFC)
}
