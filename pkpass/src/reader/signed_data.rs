//! The outside of a CMS signature (RFC 5652, section 5): the signer, the algorithms, and the time.

use crate::ZonedDate;
use crate::reader::der::{
    CONTEXT_0, CONTEXT_1, Der, GENERALIZED_TIME, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, SET, UTC_TIME,
};

/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.5
const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];

const DIGESTS: [(&[u8], &str); 4] = [
    (&[0x2b, 0x0e, 0x03, 0x02, 0x1a], "SHA-1"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01], "SHA-256"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02], "SHA-384"),
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03], "SHA-512"),
];

/// The statements of a signature about itself.
#[derive(Debug, Default)]
pub(super) struct SignedData {
    /// The signed bytes are not inside.
    pub(super) detached: bool,
    /// How many signed it.
    pub(super) signers: usize,
    /// Digest of the first signer.
    pub(super) digest_algorithm: String,
    /// Signing time of the first signer, Unix seconds.
    pub(super) signing_time: Option<i64>,
}

/// `None` when this is not DER of a signature.
pub(super) fn parse(signature: &[u8]) -> Option<SignedData> {
    let mut content_info = Der::new(signature).enter(SEQUENCE)?;
    if content_info.take(OBJECT_IDENTIFIER)? != SIGNED_DATA {
        return None;
    }
    let mut signed_data = content_info.enter(CONTEXT_0)?.enter(SEQUENCE)?;
    signed_data.take(INTEGER)?;
    signed_data.take(SET)?;
    let mut encapsulated = signed_data.enter(SEQUENCE)?;
    encapsulated.take(OBJECT_IDENTIFIER)?;
    let detached = encapsulated.is_empty();
    signed_data.optional(CONTEXT_0); // certificates, which OpenSSL reads
    signed_data.optional(CONTEXT_1); // revocation lists
    let mut signer_infos = signed_data.enter(SET)?;
    let mut found = SignedData { detached, ..SignedData::default() };
    while !signer_infos.is_empty() {
        let signer_info = signer_infos.enter(SEQUENCE)?;
        if found.signers == 0 {
            read_signer_info(signer_info, &mut found)?;
        }
        found.signers += 1;
    }
    Some(found)
}

fn read_signer_info(mut signer_info: Der<'_>, found: &mut SignedData) -> Option<()> {
    signer_info.take(INTEGER)?;
    signer_info.any()?; // which certificate
    found.digest_algorithm = digest_name(signer_info.enter(SEQUENCE)?.take(OBJECT_IDENTIFIER)?);
    let mut attributes = Der::new(signer_info.optional(CONTEXT_0).unwrap_or_default());
    while !attributes.is_empty() {
        let mut attribute = attributes.enter(SEQUENCE)?;
        if attribute.take(OBJECT_IDENTIFIER)? == SIGNING_TIME {
            let (tag, text) = attribute.enter(SET)?.any()?;
            found.signing_time = Some(asn1_time(tag, std::str::from_utf8(text).ok()?)?);
        }
    }
    Some(())
}

fn digest_name(identifier: &[u8]) -> String {
    let known = DIGESTS.iter().find(|(known, _)| *known == identifier);
    known.map_or_else(|| format!("unknown ({})", hex::encode(identifier)), |(_, name)| (*name).to_owned())
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn asn1_time(tag: u8, text: &str) -> Option<i64> {
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            // RFC 5280: from 50 on it is the last century.
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    let part = |index: usize| rest.get(index * 2..index * 2 + 2);
    let zone = rest.get(10..)?;
    let date = format!("{year}-{}-{}T{}:{}:{}{zone}", part(0)?, part(1)?, part(2)?, part(3)?, part(4)?);
    ZonedDate::parse(&date).ok().map(ZonedDate::unix_seconds)
}
