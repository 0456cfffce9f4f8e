//! The signer of passes: a certificate, its private key, and the intermediate that issued it.

use std::fmt;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl::stack::{Stack, StackRef};
use openssl::x509::{X509, X509Ref};
use thiserror::Error;
use time::OffsetDateTime;

use crate::certificate::{self, Validity};

/// A Pass Type ID certificate ready to sign: parsed and checked once, then shared between threads.
///
/// <https://developer.apple.com/documentation/walletpasses/building-a-pass>
pub struct SigningIdentity {
    certificate: X509,
    private_key: PKey<Private>,
    /// The intermediate, in the shape OpenSSL wants it in.
    chain: Stack<X509>,
    pass_type_identifier: String,
    team_identifier: String,
    validity: Validity,
    intermediate_validity: Validity,
    fingerprint: String,
}

/// Why a certificate cannot sign, or cannot sign this pass now.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A part is not PEM, or another kind of PEM.
    #[error("the {part} cannot be read as PEM")]
    Unreadable {
        /// `certificate`, `private key` or `intermediate certificate`.
        part: &'static str,
        /// OpenSSL's reason.
        #[source]
        source: ErrorStack,
    },
    /// The subject of the certificate lacks an attribute.
    #[error("the certificate has no {attribute} in its subject: it is not a Pass Type ID certificate")]
    SubjectIncomplete {
        /// `UID` or `OU`.
        attribute: &'static str,
    },
    /// Certificate and key are not a pair.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// None of the intermediates issued and signed the certificate.
    #[error("the intermediate certificate did not issue the certificate (its issuer is {issuer})")]
    IntermediateMismatch {
        /// The issuer that the certificate names.
        issuer: String,
    },
    /// The certificate is for another pass type.
    #[error("the certificate is for pass type {found}, not for {expected}")]
    WrongPassType {
        /// The pass type of the pass.
        expected: String,
        /// The UID of the certificate.
        found: String,
    },
    /// The certificate is of another team.
    #[error("the certificate is of team {found}, not of {expected}")]
    WrongTeam {
        /// The team of the pass.
        expected: String,
        /// The OU of the certificate.
        found: String,
    },
    /// It is too early.
    #[error("the {part} is not valid before {not_before}")]
    NotYetValid {
        /// `certificate` or `intermediate certificate`.
        part: &'static str,
        /// Its first second.
        not_before: OffsetDateTime,
    },
    /// It is too late.
    #[error("the {part} expired at {not_after}")]
    Expired {
        /// `certificate` or `intermediate certificate`.
        part: &'static str,
        /// Its last second.
        not_after: OffsetDateTime,
    },
}

impl SigningIdentity {
    /// Parses the three parts and checks that they belong together: the key is the certificate's, the intermediate
    /// issued and signed it, the subject has UID and OU. Dates are left to [`check`](Self::check).
    ///
    /// `intermediate_pem` may hold several certificates (all of Apple's, say): the one that issued the leaf is taken.
    ///
    /// # Errors
    /// Any [`IdentityError`] but those about dates and names of a pass.
    pub fn from_pem(
        certificate_pem: &[u8],
        private_key_pem: &[u8],
        intermediate_pem: &[u8],
    ) -> Result<Self, IdentityError> {
        let certificate = first_of(certificate_pem).map_err(unreadable("certificate"))?;
        // The callback gives no pass phrase: without it OpenSSL would ask the terminal for one and wait.
        let private_key = PKey::private_key_from_pem_callback(private_key_pem, |_| Ok(0))
            .map_err(unreadable("private key"))?;
        if !certificate.public_key().is_ok_and(|key| key.public_eq(&private_key)) {
            return Err(IdentityError::KeyMismatch);
        }
        let intermediate = issuer_of(&certificate, intermediate_pem)?;
        let attribute = |nid, attribute| {
            certificate::subject(&certificate, nid).ok_or(IdentityError::SubjectIncomplete { attribute })
        };
        let in_certificate = unreadable("certificate");
        Ok(Self {
            pass_type_identifier: attribute(certificate::UID, "UID")?,
            team_identifier: attribute(certificate::OU, "OU")?,
            validity: Validity::of(&certificate).map_err(in_certificate)?,
            intermediate_validity: Validity::of(&intermediate)
                .map_err(unreadable("intermediate certificate"))?,
            fingerprint: certificate::fingerprint(&certificate).map_err(in_certificate)?,
            chain: stack_of(intermediate).map_err(unreadable("intermediate certificate"))?,
            certificate,
            private_key,
        })
    }

    /// Whether this certificate may sign a pass of that type and team now.
    ///
    /// # Errors
    /// The names are compared first, then the dates of the certificate, then those of the intermediate.
    pub fn check(
        &self,
        pass_type_identifier: &str,
        team_identifier: &str,
        now_unix_seconds: i64,
    ) -> Result<(), IdentityError> {
        self.check_names(pass_type_identifier, team_identifier)?;
        check_dates("certificate", self.validity, now_unix_seconds)?;
        check_dates("intermediate certificate", self.intermediate_validity, now_unix_seconds)
    }

    /// The part of [`check`](Self::check) that needs no time.
    pub(crate) fn check_names(
        &self,
        pass_type_identifier: &str,
        team_identifier: &str,
    ) -> Result<(), IdentityError> {
        if self.pass_type_identifier != pass_type_identifier {
            let (expected, found) = (pass_type_identifier.to_owned(), self.pass_type_identifier.clone());
            return Err(IdentityError::WrongPassType { expected, found });
        }
        if self.team_identifier != team_identifier {
            let (expected, found) = (team_identifier.to_owned(), self.team_identifier.clone());
            return Err(IdentityError::WrongTeam { expected, found });
        }
        Ok(())
    }

    /// Whether Apple has issued the certificate for passes with NFC: the name of its subject says so.
    pub fn is_named_for_nfc(&self) -> bool {
        certificate::subject(&self.certificate, certificate::CN)
            .is_some_and(|name| certificate::is_named_for_nfc(&name))
    }

    /// The pass type this certificate signs for: the UID of its subject.
    pub fn pass_type_identifier(&self) -> &str {
        &self.pass_type_identifier
    }

    /// The team this certificate belongs to: the OU of its subject.
    pub fn team_identifier(&self) -> &str {
        &self.team_identifier
    }

    /// First second in which the certificate is valid.
    pub fn not_before(&self) -> OffsetDateTime {
        moment(self.validity.not_before)
    }

    /// Last second in which the certificate is valid.
    pub fn not_after(&self) -> OffsetDateTime {
        moment(self.validity.not_after)
    }

    /// First second in which the intermediate certificate is valid.
    pub fn intermediate_not_before(&self) -> OffsetDateTime {
        moment(self.intermediate_validity.not_before)
    }

    /// Last second in which the intermediate certificate is valid.
    pub fn intermediate_not_after(&self) -> OffsetDateTime {
        moment(self.intermediate_validity.not_after)
    }

    /// SHA-256 of the certificate, lowercase hex: names this revision of the certificate.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The serial number that the issuer gave the certificate, lowercase hex.
    ///
    /// # Errors
    /// When OpenSSL has no memory for it.
    pub fn certificate_serial(&self) -> Result<String, ErrorStack> {
        Ok(self.certificate.serial_number().to_bn()?.to_hex_str()?.to_lowercase())
    }

    /// The certificate.
    pub fn certificate(&self) -> &X509Ref {
        &self.certificate
    }

    /// Its private key, with which pushes are authenticated too. A secret.
    pub fn private_key(&self) -> &PKeyRef<Private> {
        &self.private_key
    }

    /// The intermediate that issued it.
    pub fn chain(&self) -> &StackRef<X509> {
        &self.chain
    }
}

impl fmt::Debug for SigningIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningIdentity")
            .field("pass_type_identifier", &self.pass_type_identifier)
            .field("team_identifier", &self.team_identifier)
            .field("fingerprint", &self.fingerprint)
            .field("private_key", &"[redacted]")
            .finish_non_exhaustive()
    }
}

fn unreadable(part: &'static str) -> impl Fn(ErrorStack) -> IdentityError + Copy {
    move |source| IdentityError::Unreadable { part, source }
}

/// Nothing to read is an error as well; OpenSSL has no words for it.
fn first_of(pem: &[u8]) -> Result<X509, ErrorStack> {
    certificate::certificates(pem)?.into_iter().next().ok_or_else(ErrorStack::get)
}

fn issuer_of(certificate: &X509Ref, intermediate_pem: &[u8]) -> Result<X509, IdentityError> {
    let candidates =
        certificate::certificates(intermediate_pem).map_err(unreadable("intermediate certificate"))?;
    candidates.into_iter().find(|candidate| certificate::is_issued_by(certificate, candidate)).ok_or_else(
        || IdentityError::IntermediateMismatch { issuer: format!("{:?}", certificate.issuer_name()) },
    )
}

fn stack_of(certificate: X509) -> Result<Stack<X509>, ErrorStack> {
    let mut stack = Stack::new()?;
    stack.push(certificate)?;
    Ok(stack)
}

fn check_dates(part: &'static str, validity: Validity, now: i64) -> Result<(), IdentityError> {
    if now < validity.not_before {
        return Err(IdentityError::NotYetValid { part, not_before: moment(validity.not_before) });
    }
    if now > validity.not_after {
        return Err(IdentityError::Expired { part, not_after: moment(validity.not_after) });
    }
    Ok(())
}

/// X.509 dates end with the year 9999, as those of `time` do.
fn moment(unix_seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
