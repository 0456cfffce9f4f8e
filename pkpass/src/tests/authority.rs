//! A certificate authority like Apple's, made for one test: a root, an intermediate, and leaves for pass types.

use std::sync::LazyLock;

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder, X509NameRef};

use crate::SigningIdentity;

pub(super) const PASS_TYPE: &str = "pass.com.example.museum";
pub(super) const TEAM: &str = "TEAM123456";

/// 2020-01-01 to 2049-12-31: signatures made while the tests run fall into it.
pub(super) const LONG: (i64, i64) = (1_577_836_800, 2_524_521_600);
/// The year 2020, which is over.
pub(super) const OVER: (i64, i64) = (1_577_836_800, 1_609_459_199);

/// A certificate with its key.
pub(super) struct Pair {
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
}

impl Pair {
    pub(super) fn certificate_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    pub(super) fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }
}

pub(super) struct Authority {
    pub(super) root: Pair,
    pub(super) intermediate: Pair,
}

/// Made once per process: keys take time.
pub(super) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::with_intermediate_valid(LONG));

/// An RSA leaf for [`PASS_TYPE`] and [`TEAM`], as Apple issues them.
pub(super) static LEAF: LazyLock<Pair> =
    LazyLock::new(|| AUTHORITY.leaf(Some(PASS_TYPE), Some(TEAM), rsa_key(), LONG));

pub(super) static IDENTITY: LazyLock<SigningIdentity> = LazyLock::new(|| AUTHORITY.identity(&LEAF));

impl Authority {
    pub(super) fn with_intermediate_valid(validity: (i64, i64)) -> Self {
        let name = common_name("Test Root");
        let root = certify(&name, None, ec_key(), LONG);
        let intermediate = certify(&common_name("Test WWDR"), Some(&root), ec_key(), validity);
        Self { root, intermediate }
    }

    pub(super) fn leaf(
        &self,
        uid: Option<&str>,
        ou: Option<&str>,
        key: PKey<Private>,
        validity: (i64, i64),
    ) -> Pair {
        self.leaf_named("Pass Type ID: test", uid, ou, key, validity)
    }

    /// A leaf with a common name of its own.
    pub(super) fn leaf_named(
        &self,
        common_name: &str,
        uid: Option<&str>,
        ou: Option<&str>,
        key: PKey<Private>,
        validity: (i64, i64),
    ) -> Pair {
        let mut name = X509NameBuilder::new().unwrap();
        if let Some(uid) = uid {
            name.append_entry_by_nid(Nid::USERID, uid).unwrap();
        }
        name.append_entry_by_text("CN", common_name).unwrap();
        if let Some(ou) = ou {
            name.append_entry_by_text("OU", ou).unwrap();
        }
        let mut builder =
            builder(&name.build(), self.intermediate.certificate.subject_name(), &key, validity);
        // Not for e-mail, as Apple's are not: whoever verifies has to allow any purpose.
        builder.append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap()).unwrap();
        let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(identifier).unwrap();
        builder.sign(&self.intermediate.key, MessageDigest::sha256()).unwrap();
        Pair { certificate: builder.build(), key }
    }

    pub(super) fn identity(&self, leaf: &Pair) -> SigningIdentity {
        let intermediate = self.intermediate.certificate_pem();
        SigningIdentity::from_pem(&leaf.certificate_pem(), &leaf.key_pem(), &intermediate).unwrap()
    }
}

pub(super) fn rsa_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

pub(super) fn ec_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn common_name(name: &str) -> X509Name {
    let mut builder = X509NameBuilder::new().unwrap();
    builder.append_entry_by_text("CN", name).unwrap();
    builder.build()
}

/// A certificate that may issue others; without an issuer it is its own.
fn certify(name: &X509Name, issuer: Option<&Pair>, key: PKey<Private>, validity: (i64, i64)) -> Pair {
    let issuer_name = issuer.map_or(&**name, |issuer| issuer.certificate.subject_name());
    let mut builder = builder(name, issuer_name, &key, validity);
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().build().unwrap()).unwrap();
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
    Pair { certificate: builder.build(), key }
}

fn builder(
    name: &X509Name,
    issuer: &X509NameRef,
    key: &PKey<Private>,
    (from, until): (i64, i64),
) -> X509Builder {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, openssl::bn::MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(name).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(from).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(until).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
}
