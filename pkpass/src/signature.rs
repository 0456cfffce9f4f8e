//! signature: the proof that the signer vouches for the manifest.

use openssl::error::ErrorStack;
use openssl::pkcs7::{Pkcs7, Pkcs7Flags};

use crate::SigningIdentity;

/// A detached PKCS#7 signature over the manifest, DER, with the signer and its intermediate inside.
///
/// OpenSSL chooses SHA-256 and adds the signing time, which Wallet requires. Without `BINARY` it would sign the
/// manifest as e-mail text and the digest would not match; `NOSMIMECAP` leaves out a list of ciphers that no reader needs.
/// The RSA operation takes a good part of a millisecond: call it from a place that may block.
///
/// <https://developer.apple.com/documentation/walletpasses/building-a-pass>
pub(crate) fn sign(manifest: &[u8], identity: &SigningIdentity) -> Result<Vec<u8>, ErrorStack> {
    let flags = Pkcs7Flags::BINARY | Pkcs7Flags::DETACHED | Pkcs7Flags::NOSMIMECAP;
    Pkcs7::sign(identity.certificate(), identity.private_key(), identity.chain(), manifest, flags)?.to_der()
}
