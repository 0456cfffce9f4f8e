//! Secrets as events may hold them: sealed with AES-256-GCM under one of several keys, which have numbers so that they can be changed.
//!
//! A sealed secret is text, `{number of the key}:{base64 of the nonce}:{base64 of ciphertext and tag}`. An earlier form was
//! `v{number of the key}.{base64url of nonce, ciphertext and tag}`, and still opens. A secret is bound to what it is the secret of: moved into
//! another event it does not open. Nonces come from outside, and must be random: two secrets under the same key and nonce would both be
//! laid open.

use std::collections::BTreeMap;
use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

/// Bytes of the tag behind the ciphertext.
const TAG_BYTES: usize = 16;

/// A key that seals.
#[derive(Clone)]
pub struct SealingKey([u8; KEY_BYTES]);

impl SealingKey {
    /// A key of these bytes, which nobody else may be able to guess.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(self.0))
    }
}

impl Drop for SealingKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([redacted])")
    }
}

/// Keys by number: one seals, and what was sealed under another of them still opens.
#[derive(Debug, Clone)]
pub struct SealingKeys {
    keys: BTreeMap<u32, SealingKey>,
    current: u32,
}

/// Why a secret does not open. None of these says anything about the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// It was sealed under a key that is not among these.
    #[error("it is sealed under encryption key {version}, which this process does not have")]
    NoKey {
        /// The number of that key.
        version: u32,
    },
    /// The key of that number is another one, or the text was changed, or it is the secret of something else.
    #[error(
        "encryption key {version} does not open it: another key has that number, or the secret is damaged"
    )]
    DoesNotOpen {
        /// The number of the key.
        version: u32,
    },
}

impl SealingKeys {
    /// Keys by number; `None` when the one that is to seal is not among them.
    pub fn new(keys: BTreeMap<u32, SealingKey>, current: u32) -> Option<Self> {
        keys.contains_key(&current).then_some(Self { keys, current })
    }

    /// The number of the key that seals.
    pub fn current(&self) -> u32 {
        self.current
    }

    /// Whether there is a key of this number.
    pub fn has(&self, version: u32) -> bool {
        self.keys.contains_key(&version)
    }

    /// Joins a key of another number, which opens and does not seal. A key that is there stays.
    #[must_use]
    pub fn with(mut self, version: u32, key: SealingKey) -> Self {
        self.keys.entry(version).or_insert(key);
        self
    }

    /// Seals a secret. `owner` says whose it is, and is needed again to open it. The nonce must be random, and used for nothing else.
    pub fn seal(&self, secret: &[u8], owner: &str, nonce: [u8; NONCE_BYTES]) -> Sealed {
        let payload = Payload { msg: secret, aad: owner.as_bytes() };
        let sealed = self.keys[&self.current].cipher().encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.expect("AES-GCM takes any message that fits into memory");
        let (version, nonce, sealed) = (self.current, STANDARD.encode(nonce), STANDARD.encode(sealed));
        Sealed { version, text: format!("{version}:{nonce}:{sealed}") }
    }

    /// Opens what was sealed for this owner.
    ///
    /// # Errors
    /// [`UnsealError`] tells a missing key from one that does not fit.
    pub fn open(&self, sealed: &Sealed, owner: &str) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let version = sealed.version;
        let key = self.keys.get(&version).ok_or(UnsealError::NoKey { version })?;
        let (nonce, text) = sealed.parts().ok_or(UnsealError::DoesNotOpen { version })?;
        let payload = Payload { msg: &text, aad: owner.as_bytes() };
        let opened = key.cipher().decrypt(&Nonce::from(nonce), payload);
        opened.map(Zeroizing::new).map_err(|_| UnsealError::DoesNotOpen { version })
    }
}

/// A sealed secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sealed {
    version: u32,
    text: String,
}

/// Text that is no sealed secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sealed secret must be the number of a key, and base64 of a nonce and of a ciphertext, with `:` between them"
)]
pub struct NotSealed;

impl Sealed {
    /// Reads a sealed secret, without opening it.
    ///
    /// # Errors
    /// [`NotSealed`] when the text is none.
    pub fn parse(text: impl Into<String>) -> Result<Self, NotSealed> {
        let text = text.into();
        let version = match text.strip_prefix('v') {
            Some(old) => old.split_once('.'),
            None => text.split_once(':'),
        };
        let (version, _) = version.ok_or(NotSealed)?;
        let digits = version.bytes().all(|byte| byte.is_ascii_digit());
        let version = version.parse().ok().filter(|_| digits).ok_or(NotSealed)?;
        let sealed = Self { version, text };
        let long_enough = sealed.parts().is_some_and(|(_, text)| text.len() >= TAG_BYTES);
        if long_enough { Ok(sealed) } else { Err(NotSealed) }
    }

    /// The number of the key that it was sealed under.
    pub fn key_version(&self) -> u32 {
        self.version
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The nonce, and the ciphertext with its tag.
    fn parts(&self) -> Option<([u8; NONCE_BYTES], Vec<u8>)> {
        if self.text.starts_with('v') {
            let (_, encoded) = self.text.split_once('.')?;
            let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
            let (nonce, text) = bytes.split_first_chunk()?;
            return Some((*nonce, text.to_vec()));
        }
        let (_, encoded) = self.text.split_once(':')?;
        let (nonce, text) = encoded.split_once(':')?;
        let nonce = STANDARD.decode(nonce).ok()?.try_into().ok()?;
        Some((nonce, STANDARD.decode(text).ok()?))
    }
}

impl TryFrom<String> for Sealed {
    type Error = NotSealed;

    fn try_from(text: String) -> Result<Self, NotSealed> {
        Self::parse(text)
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> Self {
        sealed.text
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}, [redacted])", self.version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWNER: &str = "certificate/pass.com.example/abc";

    fn key(byte: u8) -> SealingKey {
        SealingKey::new([byte; KEY_BYTES])
    }

    fn keys(keys: &[(u32, u8)], current: u32) -> SealingKeys {
        SealingKeys::new(keys.iter().map(|(version, byte)| (*version, key(*byte))).collect(), current)
            .unwrap()
    }

    fn sealed() -> Sealed {
        keys(&[(1, 7)], 1).seal(b"secret", OWNER, [3; NONCE_BYTES])
    }

    #[test]
    fn a_sealed_secret_opens_for_its_owner() {
        let opened = keys(&[(1, 7)], 1).open(&sealed(), OWNER).unwrap();
        assert_eq!(*opened, b"secret");
    }

    #[test]
    fn a_sealed_secret_is_number_nonce_and_ciphertext() {
        assert_eq!(sealed().as_str(), "1:AwMDAwMDAwMDAwMD:VpvAcT9cyyteZgH32J87zWWx4pdUyQ==");
    }

    #[test]
    fn what_was_sealed_in_the_earlier_form_still_opens() {
        let old = Sealed::parse("v1.AwMDAwMDAwMDAwMDVpvAcT9cyyteZgH32J87zWWx4pdUyQ").unwrap();
        assert_eq!(old.key_version(), 1);
        assert_eq!(*keys(&[(1, 7)], 1).open(&old, OWNER).unwrap(), b"secret");
        assert_eq!(
            old.as_str(),
            "v1.AwMDAwMDAwMDAwMDVpvAcT9cyyteZgH32J87zWWx4pdUyQ",
            "events are never changed"
        );
    }

    #[test]
    fn another_owner_another_key_and_a_missing_key_do_not_open_it() {
        let open = |keys: SealingKeys, owner| keys.open(&sealed(), owner).map(|opened| opened.to_vec());
        assert_eq!(open(keys(&[(1, 7)], 1), "another"), Err(UnsealError::DoesNotOpen { version: 1 }));
        assert_eq!(open(keys(&[(1, 8)], 1), OWNER), Err(UnsealError::DoesNotOpen { version: 1 }));
        assert_eq!(open(keys(&[(2, 7)], 2), OWNER), Err(UnsealError::NoKey { version: 1 }));
    }

    #[test]
    fn what_an_older_key_sealed_still_opens_and_the_current_one_seals() {
        let rotated = keys(&[(1, 7), (2, 9)], 2);
        assert_eq!(*rotated.open(&sealed(), OWNER).unwrap(), b"secret");
        assert_eq!(rotated.seal(b"secret", OWNER, [4; NONCE_BYTES]).key_version(), 2);
        assert_eq!(*keys(&[(2, 9)], 2).with(1, key(7)).open(&sealed(), OWNER).unwrap(), b"secret");
    }

    #[test]
    fn a_key_that_is_not_there_cannot_be_the_current_one() {
        assert!(SealingKeys::new(BTreeMap::from([(1, key(1))]), 2).is_none());
    }

    #[test]
    fn two_nonces_give_two_texts() {
        let keys = keys(&[(1, 7)], 1);
        assert_ne!(
            keys.seal(b"secret", OWNER, [1; 12]).as_str(),
            keys.seal(b"secret", OWNER, [2; 12]).as_str()
        );
    }

    #[test]
    fn text_that_is_no_sealed_secret_is_refused() {
        let long = STANDARD.encode([7; 40]);
        let nonce = STANDARD.encode([7; NONCE_BYTES]);
        for wrong in [
            "",
            "v1",
            "v1.",
            "1.AAAA",
            "v.AAAA",
            "v-1.AAAA",
            "v+1.AAAA",
            "v1.short",
            "v99999999999.AAAA",
            "1:",
            "1::",
            &format!("1:{long}"),
            &format!(":{nonce}:{long}"),
            &format!("+1:{nonce}:{long}"),
            &format!("1:{nonce}:AAAA"),
            &format!("1:AAAA:{long}"),
            &format!("1:{nonce}:{long}:"),
            &format!("99999999999:{nonce}:{long}"),
        ] {
            assert_eq!(Sealed::parse(wrong), Err(NotSealed), "{wrong}");
        }
        assert!(serde_json::from_str::<Sealed>("\"v1.AAAA\"").is_err());
    }

    #[test]
    fn neither_a_key_nor_a_sealed_secret_is_shown_by_debug() {
        let shown = format!("{:?} {:?}", keys(&[(1, 7)], 1), sealed());
        assert_eq!(
            shown,
            "SealingKeys { keys: {1: SealingKey([redacted])}, current: 1 } Sealed(1, [redacted])"
        );
    }

    proptest! {
        #[test]
        fn any_change_of_any_byte_is_noticed(at in 0..34_usize, change in 1..=255_u8) {
            let sealed = sealed();
            let (nonce, text) = sealed.parts().unwrap();
            let mut bytes = [&nonce[..], &text].concat();
            let at = at % bytes.len();
            bytes[at] ^= change;
            let (nonce, text) = bytes.split_at(NONCE_BYTES);
            let new = format!("1:{}:{}", STANDARD.encode(nonce), STANDARD.encode(text));
            for changed in [new, format!("v1.{}", URL_SAFE_NO_PAD.encode(&bytes))] {
                let changed = Sealed::parse(changed).unwrap();
                let opened = keys(&[(1, 7)], 1).open(&changed, OWNER).map(|opened| opened.to_vec());
                prop_assert_eq!(opened, Err(UnsealError::DoesNotOpen { version: 1 }));
            }
        }

        #[test]
        fn any_secret_comes_back(secret: Vec<u8>, owner: String, nonce: [u8; NONCE_BYTES]) {
            let keys = keys(&[(1, 7)], 1);
            let sealed = keys.seal(&secret, &owner, nonce);
            let again = Sealed::parse(sealed.as_str()).unwrap();
            prop_assert_eq!(&*keys.open(&again, &owner).unwrap(), &secret);
        }
    }
}
