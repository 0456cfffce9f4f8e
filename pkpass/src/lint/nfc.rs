//! `nfc`: the message of the pass to a reader.
//!
//! <https://developer.apple.com/documentation/walletpasses/pass/nfc-data.dictionary>

use openssl::nid::Nid;
use openssl::pkey::PKey;
use serde_json::{Map, Value};

use crate::finding::Findings;
use crate::lint::shape::{Kind, Shape, check_members, check_value, require};

const SHAPE: Shape =
    &[("message", Kind::Text), ("encryptionPublicKey", Kind::Text), ("requiresAuthentication", Kind::Bool)];

/// Bytes of the message that reach the reader.
const MOST_MESSAGE_BYTES: usize = 64;

/// A key of P-256 takes 91 bytes, 124 characters; anything much longer is not worth decoding.
const MOST_KEY_CHARACTERS: usize = 1024;

pub(super) fn check(findings: &mut Findings, content: &Map<String, Value>) {
    let Some(value) = content.get("nfc") else { return };
    let Some(nfc) = value.as_object() else { return check_value(findings, "/nfc", value, Kind::Object) };
    require(findings, "nfc_incomplete", "/nfc", nfc, &["message", "encryptionPublicKey"]);
    check_members(findings, "/nfc", nfc, SHAPE);
    if let Some(message) = nfc.get("message").and_then(Value::as_str)
        && message.len() > MOST_MESSAGE_BYTES
    {
        let detail = format!("{} bytes; the reader gets the first {MOST_MESSAGE_BYTES} only", message.len());
        findings.warning("nfc_message_too_long", "/nfc/message", detail);
    }
    if let Some(key) = nfc.get("encryptionPublicKey").and_then(Value::as_str)
        && !is_p256_key(key)
    {
        let detail =
            "must be the Base64 of a P-256 public key (X.509 SubjectPublicKeyInfo), without PEM lines";
        findings.error("nfc_key_invalid", "/nfc/encryptionPublicKey", detail);
    }
}

fn is_p256_key(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if text.len() > MOST_KEY_CHARACTERS || !text.bytes().all(is_base64) {
        return false;
    }
    let key = openssl::base64::decode_block(text).and_then(|der| PKey::public_key_from_der(&der)?.ec_key());
    key.is_ok_and(|key| key.group().curve_name() == Some(Nid::X9_62_PRIME256V1))
}
