//! A development CA that plays Apple's part: a root, an intermediate in the directory of WWDR, and a pass type certificate with the subject
//! that Apple gives such certificates (`UID` = pass type identifier, `OU` = team).

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use honoken_domain::ids::UnixSeconds;
use honoken_pkpass::{Credential, CredentialFiles};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder, X509Ref};

use crate::data_dir::{self, Folder};
use crate::dev::sample;
use crate::ids::IdSource;

/// The files that the signer needs, and the path of the root.
#[derive(Debug)]
pub struct Authority {
    /// PEM file of the root, for `openssl verify` and for phones that are to trust it.
    pub root_file: PathBuf,
    /// PEM of the pass certificate.
    pub certificate_pem: Vec<u8>,
    /// PEM of its private key.
    pub private_key_pem: Vec<u8>,
    /// PEM of the certificate that issued it.
    pub intermediate_pem: Vec<u8>,
}

impl Authority {
    /// The credential that signs, checked.
    ///
    /// # Errors
    /// When the files do not belong together, or have expired.
    pub fn credential(&self, now: UnixSeconds) -> anyhow::Result<Credential> {
        let about = "the development certificate cannot be used; remove the folder `certificates`, and the next start makes it anew";
        let files = CredentialFiles {
            certificate: &self.certificate_pem,
            private_key: Some(&self.private_key_pem),
            password: None,
            intermediate: Some(&self.intermediate_pem),
        };
        let credential = Credential::read(files).context(about)?;
        credential.identity.check(sample::PASS_TYPE, sample::TEAM, now.0).context(about)?;
        Ok(credential)
    }
}

const ROOT: &str = "root.pem";
const INTERMEDIATE: &str = "intermediate.pem";
const CERTIFICATE: &str = "pass.pem";
const PRIVATE_KEY: &str = "pass.key";

/// Ten years: a development folder should not stop working over a certificate.
const DAYS: i64 = 3652;

/// The authority of this folder, generated where it is missing.
///
/// Its files appear together, by renaming the folder they were written into.
///
/// # Errors
/// When they cannot be made, read or written.
pub fn ensure(folder: &Folder, ids: &dyn IdSource, now: UnixSeconds) -> anyhow::Result<Authority> {
    if let Some(authority) = find(folder.path())? {
        return Ok(authority);
    }
    make(folder, ids, now).context("could not make the development certificates")?;
    find(folder.path())?.context("the development certificates were made and have disappeared")
}

/// The authority of a folder, if it has been made.
fn find(folder: &Path) -> anyhow::Result<Option<Authority>> {
    let directory = folder.join("certificates");
    if !directory.try_exists()? {
        return Ok(None);
    }
    let read = |name: &str| {
        let file = directory.join(name);
        fs::read(&file).with_context(|| {
            format!(
                "could not read {}; remove the folder {}, and the next start makes it anew",
                file.display(),
                directory.display()
            )
        })
    };
    Ok(Some(Authority {
        certificate_pem: read(CERTIFICATE)?,
        private_key_pem: read(PRIVATE_KEY)?,
        intermediate_pem: read(INTERMEDIATE)?,
        root_file: directory.join(ROOT),
    }))
}

fn make(folder: &Folder, ids: &dyn IdSource, now: UnixSeconds) -> anyhow::Result<()> {
    let unfinished = folder.path().join("certificates.unfinished");
    if unfinished.try_exists()? {
        fs::remove_dir_all(&unfinished)?;
    }
    DirBuilder::new().mode(0o700).create(&unfinished)?;
    let [root, intermediate, pass] = chain(&|| PKey::from_rsa(Rsa::generate(2048)?), ids, now)?;
    let files = [
        (ROOT, root.certificate.to_pem()?),
        ("root.key", root.key.private_key_to_pem_pkcs8()?),
        (INTERMEDIATE, intermediate.certificate.to_pem()?),
        ("intermediate.key", intermediate.key.private_key_to_pem_pkcs8()?),
        (CERTIFICATE, pass.certificate.to_pem()?),
        (PRIVATE_KEY, pass.key.private_key_to_pem_pkcs8()?),
    ];
    for (name, pem) in files {
        data_dir::write_secret(&unfinished.join(name), std::str::from_utf8(&pem)?)?;
    }
    let directory = folder.path().join("certificates");
    fs::rename(&unfinished, &directory)?;
    data_dir::sync_folder_of(&directory)?;
    Ok(())
}

/// A certificate and its private key.
pub(crate) struct Issued {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

/// Generates a key.
type NewKey<'a> = &'a dyn Fn() -> Result<PKey<Private>, ErrorStack>;

/// Root, intermediate and pass certificate, with keys from `new_key`.
pub(crate) fn chain(
    new_key: NewKey<'_>,
    ids: &dyn IdSource,
    now: UnixSeconds,
) -> Result<[Issued; 3], ErrorStack> {
    let root = Issued::root(new_key()?, ids, now)?;
    let intermediate = Issued::intermediate(new_key()?, &root, ids, now)?;
    let pass = Issued::pass(new_key()?, &intermediate, ids, now)?;
    Ok([root, intermediate, pass])
}

impl Issued {
    fn root(key: PKey<Private>, ids: &dyn IdSource, now: UnixSeconds) -> Result<Self, ErrorStack> {
        let name =
            name(&[(Nid::COMMONNAME, "Honoken Development Root CA"), (Nid::ORGANIZATIONNAME, "Honoken")])?;
        let mut builder = begin(&name, &name, &key, ids, now)?;
        extend_as_authority(&mut builder, None)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }

    fn intermediate(
        key: PKey<Private>,
        root: &Self,
        ids: &dyn IdSource,
        now: UnixSeconds,
    ) -> Result<Self, ErrorStack> {
        let name = name(&[
            (Nid::COMMONNAME, "Honoken Development Intermediate CA"),
            (Nid::ORGANIZATIONNAME, "Honoken"),
        ])?;
        let mut builder = begin(&name, root.certificate.subject_name(), &key, ids, now)?;
        extend_as_authority(&mut builder, Some(&root.certificate))?;
        builder.sign(&root.key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }

    fn pass(
        key: PKey<Private>,
        intermediate: &Self,
        ids: &dyn IdSource,
        now: UnixSeconds,
    ) -> Result<Self, ErrorStack> {
        let common_name = format!("Pass Type ID: {}", sample::PASS_TYPE);
        let name = name(&[
            (Nid::USERID, sample::PASS_TYPE),
            (Nid::COMMONNAME, &common_name),
            (Nid::ORGANIZATIONALUNITNAME, sample::TEAM),
            (Nid::ORGANIZATIONNAME, sample::ORGANIZATION_NAME),
        ])?;
        let mut builder = begin(&name, intermediate.certificate.subject_name(), &key, ids, now)?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
        // Apple's certificate authenticates to APNs as well.
        builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
        identify(&mut builder, Some(&intermediate.certificate))?;
        builder.sign(&intermediate.key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }
}

fn begin(
    subject: &X509Name,
    issuer: &openssl::x509::X509NameRef,
    key: &PKey<Private>,
    ids: &dyn IdSource,
    now: UnixSeconds,
) -> Result<X509Builder, ErrorStack> {
    let mut serial = [0; 16];
    ids.fill(&mut serial);
    serial[0] &= 0x7f; // positive
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*BigNum::from_slice(&serial)?.to_asn1_integer()?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    // Valid from a day ago, for clocks that are behind this one.
    builder.set_not_before(&*Asn1Time::from_unix(now.0 - 24 * 60 * 60)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(now.0 + DAYS * 24 * 60 * 60)?)?;
    Ok(builder)
}

fn extend_as_authority(builder: &mut X509Builder, issuer: Option<&X509Ref>) -> Result<(), ErrorStack> {
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
    identify(builder, issuer)
}

fn identify(builder: &mut X509Builder, issuer: Option<&X509Ref>) -> Result<(), ErrorStack> {
    let subject = SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuer, None))?;
    builder.append_extension(subject)?;
    if issuer.is_some() {
        let authority =
            AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(issuer, None))?;
        builder.append_extension(authority)?;
    }
    Ok(())
}

fn name(entries: &[(Nid, &str)]) -> Result<X509Name, ErrorStack> {
    let mut builder = X509NameBuilder::new()?;
    for (nid, value) in entries {
        builder.append_entry_by_nid(*nid, value)?;
    }
    Ok(builder.build())
}
