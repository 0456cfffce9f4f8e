//! The outside of a CMS signature (RFC 5652, section 5): the signer, the algorithms, the time, the certificates.

use std::borrow::Cow;

use openssl::bn::BigNum;
use openssl::x509::{X509, X509Name, X509Ref};

use crate::certificate;
use crate::reader::asn1_time::{self, Asn1Time};
use crate::reader::ber::{
    Ber, CONTEXT_0, CONTEXT_0_PRIMITIVE, CONTEXT_1, Element, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, SET,
};

/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.5
const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];

const DIGESTS: [(&[u8], &str); 5] = [
    (&[0x2b, 0x0e, 0x03, 0x02, 0x1a], "SHA-1"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01], "SHA-256"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02], "SHA-384"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03], "SHA-512"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04], "SHA-224"),
];

/// Certificates that are read from a signature; a real one has two or three.
const MOST_CERTIFICATES: usize = 32;

/// The statements of a signature about itself.
#[derive(Debug, Default)]
pub(super) struct SignedData<'a> {
    /// The signed bytes, if they are inside; else nothing.
    pub(super) content: Cow<'a, [u8]>,
    /// How many signed it.
    pub(super) signers: usize,
    /// Digest of the first signer.
    pub(super) digest_algorithm: String,
    /// Signing time of the first signer.
    pub(super) signing_time: Option<Asn1Time>,
    /// There is a signing time, and it cannot be read.
    pub(super) unreadable_time: bool,
    /// Which certificate the first signer has.
    pub(super) signer: Option<SignerId<'a>>,
    /// The certificates inside.
    pub(super) certificates: Vec<X509>,
    /// Bytes behind the signature.
    pub(super) trailing: usize,
}

/// How a signature names the certificate of its signer.
#[derive(Debug)]
pub(super) enum SignerId<'a> {
    /// By its issuer and serial number, as the standard has it since PKCS#7.
    IssuerAndSerial { issuer: &'a [u8], serial: &'a [u8] },
    /// By the key identifier that the certificate states.
    SubjectKey(Cow<'a, [u8]>),
}

impl SignerId<'_> {
    /// Whether this is the certificate.
    pub(super) fn names(&self, certificate: &X509Ref) -> bool {
        let is_named = match self {
            Self::SubjectKey(identifier) => {
                certificate.subject_key_id().is_some_and(|stated| stated.as_slice() == &**identifier)
            }
            Self::IssuerAndSerial { issuer, serial } => {
                let has_issuer = X509Name::from_der(issuer).is_ok_and(|issuer| {
                    certificate.issuer_name().try_cmp(&issuer).is_ok_and(std::cmp::Ordering::is_eq)
                });
                has_issuer && has_serial(certificate, serial)
            }
        };
        certificate::forget_errors();
        is_named
    }
}

fn has_serial(certificate: &X509Ref, serial: &[u8]) -> bool {
    let (Ok(stated), Ok(wanted)) = (certificate.serial_number().to_bn(), number(serial)) else {
        return false;
    };
    stated == wanted
}

/// An INTEGER, which is a two's complement.
fn number(bytes: &[u8]) -> Result<BigNum, openssl::error::ErrorStack> {
    let number = BigNum::from_slice(bytes)?;
    if bytes.first().is_none_or(|first| first & 0x80 == 0) {
        return Ok(number);
    }
    let (one, bits) = (BigNum::from_u32(1)?, i32::try_from(bytes.len() * 8).unwrap_or(i32::MAX));
    let (mut modulus, mut negative) = (BigNum::new()?, BigNum::new()?);
    modulus.lshift(&one, bits)?;
    negative.checked_sub(&number, &modulus)?;
    Ok(negative)
}

/// `None` when this is not the BER of a signature.
pub(super) fn parse(signature: &[u8]) -> Option<SignedData<'_>> {
    let mut outside = Ber::new(signature);
    let outermost = outside.take(SEQUENCE)?;
    let mut content_info = outermost.children();
    if content_info.take(OBJECT_IDENTIFIER)?.content() != SIGNED_DATA {
        return None;
    }
    let mut signed_data = content_info.enter(CONTEXT_0)?.enter(SEQUENCE)?;
    signed_data.take(INTEGER)?;
    signed_data.take(SET)?;
    let mut encapsulated = signed_data.enter(SEQUENCE)?;
    encapsulated.take(OBJECT_IDENTIFIER)?;
    let content = content(encapsulated)?;
    let certificates = signed_data.optional(CONTEXT_0).map(certificates).unwrap_or_default();
    signed_data.optional(CONTEXT_1); // revocation lists
    let mut signer_infos = signed_data.enter(SET)?;
    let trailing = signature.len() - outermost.whole.len();
    let mut found = SignedData { content, certificates, trailing, ..SignedData::default() };
    while !signer_infos.is_empty() {
        let signer_info = signer_infos.enter(SEQUENCE)?;
        if found.signers == 0 {
            read_signer_info(signer_info, &mut found)?;
        }
        found.signers += 1;
    }
    Some(found)
}

/// Some writers put an empty string where the content would be.
fn content(mut encapsulated: Ber<'_>) -> Option<Cow<'_, [u8]>> {
    match encapsulated.optional(CONTEXT_0).map(|explicit| explicit.children()) {
        Some(mut explicit) if !explicit.is_empty() => explicit.any()?.octets(),
        _ => Some(Cow::Borrowed(&[])),
    }
}

fn certificates(element: Element<'_>) -> Vec<X509> {
    let mut rest = element.children();
    let mut certificates = Vec::new();
    while certificates.len() < MOST_CERTIFICATES
        && let Some(next) = rest.any()
    {
        // Other kinds of certificates have other tags, and no pass has them.
        certificates.extend(X509::from_der(next.whole).ok());
    }
    certificate::forget_errors();
    certificates
}

fn read_signer_info<'a>(mut signer_info: Ber<'a>, found: &mut SignedData<'a>) -> Option<()> {
    signer_info.take(INTEGER)?;
    found.signer = Some(signer_id(signer_info.any()?)?);
    found.digest_algorithm = digest_name(signer_info.enter(SEQUENCE)?.take(OBJECT_IDENTIFIER)?.content());
    let mut attributes = signer_info.optional(CONTEXT_0).map_or(Ber::new(&[]), |element| element.children());
    while !attributes.is_empty() {
        let mut attribute = attributes.enter(SEQUENCE)?;
        if attribute.take(OBJECT_IDENTIFIER)?.content() == SIGNING_TIME {
            let time = attribute.enter(SET).and_then(|mut values| values.any());
            found.signing_time = time.as_ref().and_then(asn1_time::read);
            found.unreadable_time = found.signing_time.is_none();
        }
    }
    Some(())
}

fn signer_id(element: Element<'_>) -> Option<SignerId<'_>> {
    match element.tag {
        SEQUENCE => {
            let mut parts = element.children();
            let issuer = parts.take(SEQUENCE)?.whole;
            Some(SignerId::IssuerAndSerial { issuer, serial: parts.take(INTEGER)?.content() })
        }
        CONTEXT_0 | CONTEXT_0_PRIMITIVE => Some(SignerId::SubjectKey(element.octets()?)),
        _ => None,
    }
}

fn digest_name(identifier: &[u8]) -> String {
    let known = DIGESTS.iter().find(|(known, _)| *known == identifier);
    known.map_or_else(|| format!("unknown ({})", hex::encode(identifier)), |(_, name)| (*name).to_owned())
}
