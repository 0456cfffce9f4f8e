//! Signatures as other programs write them, put together byte by byte: OpenSSL writes none of these.

use openssl::hash::{MessageDigest, hash};
use openssl::sign::Signer;

use crate::tests::authority::{AUTHORITY, Pair};

const DATA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SIGNED_DATA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const CONTENT_TYPE: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SIGNING_TIME: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 5];
/// An attribute that nothing knows.
const UNKNOWN: &[u8] = &[0x06, 5, 0x2a, 0x86, 0x48, 0x2a, 0x01];
const SHA_256: &[u8] = &[0x30, 11, 0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const RSA: &[u8] = &[0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

/// How lengths are written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Lengths {
    /// As DER.
    Definite,
    /// Without, and ended by two zero bytes, as Java's Bouncy Castle.
    Indefinite,
    /// With more digits than needed.
    Padded,
}

/// What is special about a signature.
pub(super) struct Shape {
    pub(super) lengths: Lengths,
    /// Tag and text of the signing time.
    pub(super) time: (u8, &'static str),
    pub(super) by_key_identifier: bool,
    pub(super) has_unknown_attribute: bool,
}

pub(super) const USUAL: Shape = Shape {
    lengths: Lengths::Definite,
    time: (0x17, "240301120000Z"),
    by_key_identifier: false,
    has_unknown_attribute: false,
};

fn element(tag: u8, lengths: Lengths, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    if lengths == Lengths::Indefinite && tag & 0x20 != 0 {
        return [&[tag, 0x80][..], &content, &[0, 0]].concat();
    }
    let all = u32::try_from(content.len()).unwrap().to_be_bytes();
    let digits = if lengths == Lengths::Padded {
        &all[..]
    } else {
        &all[all.iter().take_while(|it| **it == 0).count()..]
    };
    let mut bytes = vec![tag];
    if content.len() < 0x80 && lengths != Lengths::Padded {
        bytes.push(u8::try_from(content.len()).unwrap());
    } else {
        bytes.push(0x80 | u8::try_from(digits.len()).unwrap());
        bytes.extend_from_slice(digits);
    }
    bytes.extend_from_slice(&content);
    bytes
}

/// A signature over a manifest by an RSA leaf, with the intermediate inside.
pub(super) fn signature(manifest: &[u8], leaf: &Pair, shape: &Shape) -> Vec<u8> {
    let (der, lengths) = (Lengths::Definite, shape.lengths);
    let digest = hash(MessageDigest::sha256(), manifest).unwrap();
    let attribute = |name: &[u8], value: Vec<u8>| element(0x30, der, &[name, &element(0x31, der, &[&value])]);
    let mut attributes = vec![
        attribute(CONTENT_TYPE, DATA.to_vec()),
        attribute(SIGNING_TIME, element(shape.time.0, der, &[shape.time.1.as_bytes()])),
        attribute(MESSAGE_DIGEST, element(0x04, der, &[&digest])),
    ];
    if shape.has_unknown_attribute {
        attributes.push(attribute(UNKNOWN, element(0x0c, der, &[b"a note"])));
    }
    // What is signed is a SET in DER: its elements are in order.
    attributes.sort();
    let attributes: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
    let mut signer = Signer::new(MessageDigest::sha256(), &leaf.key).unwrap();
    signer.update(&element(0x31, der, &attributes)).unwrap();
    let value = signer.sign_to_vec().unwrap();

    let certificate = &leaf.certificate;
    let identifier = if shape.by_key_identifier {
        element(0x80, der, &[certificate.subject_key_id().unwrap().as_slice()])
    } else {
        let mut serial = certificate.serial_number().to_bn().unwrap().to_vec();
        if serial.first().is_some_and(|first| first & 0x80 != 0) {
            serial.insert(0, 0);
        }
        let issuer = certificate.issuer_name().to_der().unwrap();
        element(0x30, lengths, &[&issuer, &element(0x02, der, &[&serial])])
    };
    let version: &[u8] = if shape.by_key_identifier { &[0x02, 1, 3] } else { &[0x02, 1, 1] };
    // In pieces, where the lengths are Java's.
    let (half, other) = value.split_at(value.len() / 2);
    let value = match lengths {
        Lengths::Indefinite => {
            element(0x24, lengths, &[&element(0x04, der, &[half]), &element(0x04, der, &[other])])
        }
        Lengths::Definite | Lengths::Padded => element(0x04, lengths, &[&value]),
    };
    let signer_info = element(
        0x30,
        lengths,
        &[version, &identifier, SHA_256, &element(0xa0, der, &attributes), RSA, &value],
    );
    let (leaf, intermediate) =
        (certificate.to_der().unwrap(), AUTHORITY.intermediate.certificate.to_der().unwrap());
    let signed_data = element(
        0x30,
        lengths,
        &[
            version,
            &element(0x31, lengths, &[SHA_256]),
            &element(0x30, lengths, &[DATA]),
            &element(0xa0, lengths, &[&leaf, &intermediate]),
            &element(0x31, lengths, &[&signer_info]),
        ],
    );
    element(0x30, lengths, &[SIGNED_DATA, &element(0xa0, lengths, &[&signed_data])])
}
