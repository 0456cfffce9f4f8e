//! The file of an APNs key, as Apple gives it: `AuthKey_….p8`, an unencrypted PKCS #8 private key on P-256 as PEM.

use honoken_domain::ids::Digest;
use openssl::ec::EcKey;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use zeroize::Zeroizing;

/// Why a file is not that of an APNs key. No message repeats anything of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// No private key in it at all.
    #[error(
        "it holds no private key: take the `AuthKey_….p8` that Apple lets you download once when you create a key for APNs; it begins with \
         `-----BEGIN PRIVATE KEY-----`"
    )]
    NoKey,
    /// It has a password.
    #[error(
        "the private key in it is encrypted: take the `.p8` as Apple gave it, or decrypt it with `openssl pkcs8 -in FILE -out NEW.p8`"
    )]
    Encrypted,
    /// A private key for something else.
    #[error(
        "it holds {0} key, and APNs takes keys on P-256 alone: this is another key, perhaps that of a certificate (`honoken certs install` takes those)"
    )]
    OtherKind(&'static str),
    /// It starts like a key, and cannot be parsed.
    #[error("the private key in it cannot be read: the file is damaged, copy it again")]
    Damaged,
}

/// A key, and its fingerprint for the event.
pub struct KeyFile {
    /// PKCS #8, PEM. A secret.
    pub pem: Zeroizing<Vec<u8>>,
    /// SHA-256 of the public half.
    pub fingerprint: Digest,
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl KeyFile {
    /// Reads the content of a file.
    ///
    /// # Errors
    /// [`KeyFileError`] names what the file is instead.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let damaged = |_: ErrorStack| KeyFileError::Damaged;
        let key = PKey::from_ec_key(parse(bytes)?).map_err(damaged)?;
        Ok(Self {
            pem: Zeroizing::new(key.private_key_to_pem_pkcs8().map_err(damaged)?),
            fingerprint: Digest::of(&key.public_key_to_der().map_err(damaged)?),
        })
    }
}

/// The private key in a PEM text.
///
/// # Errors
/// [`KeyFileError`] names what the file is instead.
pub fn parse(pem: &[u8]) -> Result<EcKey<Private>, KeyFileError> {
    let parsed = parse_any(pem);
    // Clears OpenSSL's error queue, which would otherwise be taken for the reason of the next failure on this thread.
    drop(ErrorStack::get());
    parsed
}

fn parse_any(pem: &[u8]) -> Result<EcKey<Private>, KeyFileError> {
    let text = String::from_utf8_lossy(pem);
    if !text.contains("PRIVATE KEY-----") {
        return Err(KeyFileError::NoKey);
    }
    if text.contains("ENCRYPTED") {
        return Err(KeyFileError::Encrypted);
    }
    // The callback gives no pass phrase: without it OpenSSL would ask the terminal for one and wait.
    let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(|_| KeyFileError::Damaged)?;
    match key.id() {
        Id::EC => {
            let key = key.ec_key().map_err(|_| KeyFileError::Damaged)?;
            let is_p256 = key.group().curve_name() == Some(Nid::X9_62_PRIME256V1);
            // With a public half of another key, every signature would be rejected.
            key.check_key().map_err(|_| KeyFileError::Damaged)?;
            if is_p256 { Ok(key) } else { Err(KeyFileError::OtherKind("an elliptic curve")) }
        }
        Id::RSA => Err(KeyFileError::OtherKind("an RSA")),
        Id::ED25519 | Id::ED448 => Err(KeyFileError::OtherKind("an EdDSA")),
        _ => Err(KeyFileError::OtherKind("another kind of")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use openssl::ec::EcGroup;
    use openssl::rsa::Rsa;
    use openssl::symm::Cipher;

    use super::*;

    fn on(curve: Nid) -> PKey<Private> {
        let group = EcGroup::from_curve_name(curve).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    }

    /// A key as Apple would give it.
    pub(crate) fn a_p8() -> Vec<u8> {
        on(Nid::X9_62_PRIME256V1).private_key_to_pem_pkcs8().unwrap()
    }

    #[test]
    fn a_p8_is_read_and_known_by_its_public_half() {
        let p8 = a_p8();
        let read = KeyFile::read(&p8).unwrap();
        assert_eq!(read.fingerprint, KeyFile::read(&read.pem).unwrap().fingerprint);
        assert_ne!(read.fingerprint, KeyFile::read(&a_p8()).unwrap().fingerprint);
        let windows: Vec<u8> = String::from_utf8(p8).unwrap().replace('\n', "\r\n").into_bytes();
        assert_eq!(KeyFile::read(&windows).unwrap().fingerprint, read.fingerprint);
        assert!(!format!("{read:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_no_key_for_apns_is_named() {
        let key = on(Nid::X9_62_PRIME256V1);
        let encrypted = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret").unwrap();
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap();
        let p384 = on(Nid::SECP384R1).private_key_to_pem_pkcs8().unwrap();
        let ed25519 = PKey::generate_ed25519().unwrap().private_key_to_pem_pkcs8().unwrap();
        let damaged = String::from_utf8(a_p8()).unwrap().replacen("MI", "", 1).into_bytes();
        let cases: [(&[u8], KeyFileError); 8] = [
            (b"", KeyFileError::NoKey),
            (b"\xff\xfe\x00", KeyFileError::NoKey),
            (&key.public_key_to_pem().unwrap(), KeyFileError::NoKey),
            (&encrypted, KeyFileError::Encrypted),
            (&rsa, KeyFileError::OtherKind("an RSA")),
            (&p384, KeyFileError::OtherKind("an elliptic curve")),
            (&ed25519, KeyFileError::OtherKind("an EdDSA")),
            (&damaged, KeyFileError::Damaged),
        ];
        for (bytes, expected) in cases {
            assert_eq!(KeyFile::read(bytes).map(|_| ()), Err(expected), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
