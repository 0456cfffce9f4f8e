//! The fake's own certificates, made at start.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder, X509NameRef};

/// Signs the server's certificate, and clients' where a test wants some.
#[derive(Debug, Clone)]
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The leaf.
    pub certificate: X509,
    /// Its key, P-256.
    pub key: PKey<Private>,
}

impl Authority {
    /// A new one, valid from yesterday for a month.
    pub fn new() -> Result<Self, ErrorStack> {
        let key = new_key()?;
        let mut builder = begin(&[(Nid::COMMONNAME, "Fake APNs CA")], None, &key)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().digital_signature().build()?;
        builder.append_extension(usage)?;
        let names = this_machine().build(&builder.x509v3_context(None, None))?;
        builder.append_extension(names)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }

    /// Its own certificate, which names this machine too: a server that signed itself.
    pub(super) fn itself(&self) -> Identity {
        Identity { certificate: self.certificate.clone(), key: self.key.clone() }
    }

    /// The certificate that a client must trust.
    pub fn pem(&self) -> Result<String, ErrorStack> {
        Ok(String::from_utf8_lossy(&self.certificate.to_pem()?).into_owned())
    }

    /// The certificate of a server on this machine.
    pub fn server(&self) -> Result<Identity, ErrorStack> {
        let key = new_key()?;
        let mut builder =
            begin(&[(Nid::COMMONNAME, "localhost")], Some(self.certificate.subject_name()), &key)?;
        let names = this_machine().build(&builder.x509v3_context(Some(&self.certificate), None))?;
        builder.append_extension(names)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(Identity { certificate: builder.build(), key })
    }

    /// A pass type certificate with the subject that Apple gives: `UID` is the pass type, `OU` the team.
    pub fn pass_type(&self, pass_type_identifier: &str, team: &str) -> Result<Identity, ErrorStack> {
        let key = new_key()?;
        let name = format!("Pass Type ID: {pass_type_identifier}");
        let subject = [
            (Nid::USERID, pass_type_identifier),
            (Nid::COMMONNAME, &name),
            (Nid::ORGANIZATIONALUNITNAME, team),
        ];
        let mut builder = begin(&subject, Some(self.certificate.subject_name()), &key)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(Identity { certificate: builder.build(), key })
    }
}

fn this_machine() -> SubjectAlternativeName {
    let mut names = SubjectAlternativeName::new();
    names.dns("localhost").ip("127.0.0.1").ip("::1");
    names
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn begin(
    subject: &[(Nid, &str)],
    issuer: Option<&X509NameRef>,
    key: &PKey<Private>,
) -> Result<X509Builder, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    for (nid, value) in subject {
        name.append_entry_by_nid(*nid, value)?;
    }
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(issuer.unwrap_or(&name))?;
    builder.set_pubkey(key)?;
    let yesterday = time_now() - 24 * 60 * 60;
    builder.set_not_before(&*Asn1Time::from_unix(yesterday)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(30)?)?;
    Ok(builder)
}

/// Unix seconds of the system.
#[expect(clippy::disallowed_methods, reason = "a fake of Apple's servers has their time, not the program's")]
pub(super) fn time_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
