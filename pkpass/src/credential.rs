//! Certificate files as Apple and Keychain hand them out, read into an identity that signs.

use std::fmt;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkcs12::{ParsedPkcs12_2, Pkcs12};
use openssl::pkey::{PKey, Private};
use openssl::provider::Provider;
use openssl::x509::{X509, X509NameRef, X509Ref};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::certificate::{self, forget_errors};
use crate::{IdentityError, SigningIdentity};

/// Where Apple keeps the intermediates.
const APPLE_AUTHORITIES: &str = "https://www.apple.com/certificateauthority/";

/// The files of an operator: bytes, each of them DER or PEM.
#[derive(Clone, Copy)]
pub struct CredentialFiles<'a> {
    /// The certificate as Apple gives it (`.cer`), or it and its key as Keychain exports them (`.p12`).
    pub certificate: &'a [u8],
    /// The private key; a `.p12` has it.
    pub private_key: Option<&'a [u8]>,
    /// The password of the `.p12` or of the key, if there is one.
    pub password: Option<&'a str>,
    /// Apple's intermediate (WWDR), or several of them; a `.p12` may have it.
    pub intermediate: Option<&'a [u8]>,
}

/// Why such files are no identity. Each error names the remedy.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// It is in no form that is known.
    #[error(
        "the certificate is neither DER nor PEM nor PKCS #12: name the .cer file from Apple, or the .p12 file from Keychain"
    )]
    CertificateUnreadable,
    /// A `.cer` holds no key.
    #[error("the certificate comes without its private key: name the key that the request was made with")]
    KeyMissing,
    /// It is in no form that is known.
    #[error("the private key is neither PEM nor DER: name the .key file that was made with the request")]
    KeyUnreadable,
    /// It is encrypted, and nothing opens it.
    #[error("the {part} is encrypted: name a file with its password")]
    PasswordMissing {
        /// `private key` or `.p12 file`.
        part: &'static str,
    },
    /// It is encrypted, and that does not open it.
    #[error("the password does not open the {part}")]
    WrongPassword {
        /// `private key` or `.p12 file`.
        part: &'static str,
    },
    /// The `.p12` lacks something, or is encrypted in a way that this OpenSSL cannot undo.
    #[error("the .p12 file cannot be used: {reason}")]
    Pkcs12 {
        /// The fault, and its remedy.
        reason: &'static str,
    },
    /// It is in no form that is known, or none was named.
    #[error(
        "there is no intermediate certificate: download the one that issued the certificate ({issuer}) from {APPLE_AUTHORITIES}"
    )]
    IntermediateMissing {
        /// The issuer of the certificate.
        issuer: String,
    },
    /// It is of another generation, or of another authority.
    #[error(
        "the certificate was issued by {issuer}, and the intermediate is {found}: download that one from {APPLE_AUTHORITIES}"
    )]
    WrongIntermediate {
        /// The issuer of the certificate.
        issuer: String,
        /// The subject of the intermediate that was given.
        found: String,
    },
    /// It has the right name, and did not sign the certificate.
    #[error(
        "the intermediate {issuer} has the right name and did not sign the certificate: download it again from {APPLE_AUTHORITIES}"
    )]
    Impostor {
        /// Its name.
        issuer: String,
    },
    /// They do not belong together.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// An identity, and the parts that it can be made from again with [`SigningIdentity::from_pem`].
pub struct Credential {
    /// The signer, checked but for the dates.
    pub identity: SigningIdentity,
    /// The certificate, PEM.
    pub certificate: String,
    /// The intermediate that issued it, PEM.
    pub intermediate: String,
    /// The private key, PKCS #8, PEM. A secret.
    pub private_key: Zeroizing<String>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Credential {
    /// Reads files and checks that they belong together: the key is the certificate's, the intermediate issued and signed it, the subject has
    /// pass type and team. Dates are left to [`SigningIdentity::check`].
    ///
    /// [`CredentialError`], with the remedy.
    pub fn read(files: CredentialFiles<'_>) -> Result<Self, CredentialError> {
        let read = read_certificate(files);
        forget_errors();
        let Parts { certificate, private_key, mut authorities } = read?;
        if let Some(bytes) = files.intermediate {
            authorities.splice(0..0, certificates(bytes));
        }
        let intermediate = issuer_of(&certificate, &authorities)?;
        let unreadable = |part| move |source| IdentityError::Unreadable { part, source };
        let certificate = certificate.to_pem().map_err(unreadable("certificate"))?;
        let intermediate = intermediate.to_pem().map_err(unreadable("intermediate certificate"))?;
        let private_key =
            Zeroizing::new(private_key.private_key_to_pem_pkcs8().map_err(unreadable("private key"))?);
        let identity = SigningIdentity::from_pem(&certificate, &private_key, &intermediate)?;
        Ok(Self {
            identity,
            certificate: text(&certificate),
            intermediate: text(&intermediate),
            private_key: Zeroizing::new(text(&private_key)),
        })
    }
}

/// PEM is ASCII.
fn text(pem: &[u8]) -> String {
    String::from_utf8_lossy(pem).into_owned()
}

struct Parts {
    certificate: X509,
    private_key: PKey<Private>,
    authorities: Vec<X509>,
}

fn read_certificate(files: CredentialFiles<'_>) -> Result<Parts, CredentialError> {
    if let Ok(pkcs12) = Pkcs12::from_der(files.certificate) {
        let opened = open(&pkcs12, files.password)?;
        let private_key = match files.private_key {
            Some(bytes) => read_key(bytes, files.password)?,
            None => opened.pkey.ok_or(CredentialError::Pkcs12 {
                reason: "it holds no private key: export certificate and key together, from the list of your certificates",
            })?,
        };
        let certificate = opened
            .cert
            .ok_or(CredentialError::Pkcs12 { reason: "it holds no certificate that belongs to its key" })?;
        let authorities = opened.ca.into_iter().flatten().collect();
        return Ok(Parts { certificate, private_key, authorities });
    }
    let mut found = certificates(files.certificate).into_iter();
    let certificate = found.next().ok_or(CredentialError::CertificateUnreadable)?;
    // One PEM file may hold everything.
    let in_same_file = || files.certificate.windows(11).any(|window| window == b"PRIVATE KEY");
    let bytes = files.private_key.or_else(|| in_same_file().then_some(files.certificate));
    let private_key = read_key(bytes.ok_or(CredentialError::KeyMissing)?, files.password)?;
    Ok(Parts { certificate, private_key, authorities: found.collect() })
}

/// The certificates of a file, DER or PEM; none when it is neither.
fn certificates(bytes: &[u8]) -> Vec<X509> {
    X509::from_der(bytes)
        .map(|one| vec![one])
        .or_else(|_| certificate::certificates(bytes))
        .unwrap_or_default()
}

fn open(pkcs12: &Pkcs12, password: Option<&str>) -> Result<ParsedPkcs12_2, CredentialError> {
    let parse = || pkcs12.parse2(password.unwrap_or_default());
    match parse() {
        Ok(opened) => return Ok(opened),
        Err(fault) if is_wrong_password(&fault) => {
            let part = ".p12 file";
            return Err(match password {
                Some(_) => CredentialError::WrongPassword { part },
                None => CredentialError::PasswordMissing { part },
            });
        }
        Err(_) => {}
    }
    // Keychain, and OpenSSL before 3, encrypt with RC2, which only this part of OpenSSL knows. It has to live as long as it is needed.
    let legacy = Provider::try_load(None, "legacy", true);
    let opened = parse();
    match (opened, legacy) {
        (Ok(opened), _) => Ok(opened),
        (Err(_), Ok(_)) => Err(CredentialError::Pkcs12 { reason: "it is damaged" }),
        (Err(_), Err(_)) => Err(CredentialError::Pkcs12 {
            reason: "it is encrypted in an old way (RC2), for which this machine lacks OpenSSL's legacy provider: install that, or export \
                     certificate and key as PEM elsewhere (openssl pkcs12 -legacy -in FILE -nodes)",
        }),
    }
}

/// The seal over the whole file, which the password makes, does not fit.
fn is_wrong_password(fault: &ErrorStack) -> bool {
    fault
        .errors()
        .iter()
        .any(|error| error.reason().is_some_and(|reason| reason.contains("mac verify failure")))
}

fn read_key(bytes: &[u8], password: Option<&str>) -> Result<PKey<Private>, CredentialError> {
    let mut was_asked = false;
    let read = PKey::private_key_from_pem_callback(bytes, |buffer| {
        was_asked = true;
        let password = password.unwrap_or_default().as_bytes();
        // One that does not fit into OpenSSL's buffer is none that OpenSSL has made.
        let fits = buffer.get_mut(..password.len());
        fits.map_or(Ok(0), |place| {
            place.copy_from_slice(password);
            Ok(password.len())
        })
    });
    match read {
        Ok(key) => Ok(key),
        Err(_) if was_asked && password.is_none() => {
            Err(CredentialError::PasswordMissing { part: "private key" })
        }
        Err(_) if was_asked => Err(CredentialError::WrongPassword { part: "private key" }),
        Err(_) => PKey::private_key_from_der(bytes).map_err(|_| CredentialError::KeyUnreadable),
    }
}

fn issuer_of<'a>(certificate: &X509Ref, authorities: &'a [X509]) -> Result<&'a X509, CredentialError> {
    if let Some(issuer) = authorities.iter().find(|one| certificate::is_issued_by(certificate, one)) {
        return Ok(issuer);
    }
    let issuer = described(certificate.issuer_name());
    let Some(first) = authorities.first() else {
        return Err(CredentialError::IntermediateMissing { issuer });
    };
    let found = described(first.subject_name());
    if authorities.iter().any(|one| described(one.subject_name()) == issuer) {
        return Err(CredentialError::Impostor { issuer });
    }
    Err(CredentialError::WrongIntermediate { issuer, found })
}

/// `Apple Worldwide Developer Relations Certification Authority, G4`: the generation is in the `OU`.
fn described(name: &X509NameRef) -> String {
    let parts = [Nid::COMMONNAME, Nid::ORGANIZATIONALUNITNAME]
        .map(|nid| name.entries_by_nid(nid).next().and_then(|entry| entry.data().to_string().ok()));
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "an authority without a name".to_owned() } else { parts.join(", ") }
}
