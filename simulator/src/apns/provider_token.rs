//! The checks that Apple makes in a provider token: *Establishing a token-based connection to APNs*.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::BigNum;
use openssl::ec::EcKey;
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::Public;
use openssl::sha::sha256;
use serde::Deserialize;

/// How old a token may be, in seconds.
const LIFETIME_SECONDS: i64 = 60 * 60;

/// How far ahead of the server's clock a token may be, in seconds.
const SKEW_SECONDS: i64 = 60;

/// Tokens of a key that are not from the same moment must be this far apart, in seconds.
const LEAST_DISTANCE_SECONDS: i64 = 20 * 60;

/// The public half of an APNs key, as Apple keeps it.
#[derive(Debug, Clone)]
pub struct TokenKey {
    /// `iss`.
    pub team_id: String,
    /// `kid`.
    pub key_id: String,
    /// P-256.
    pub key: EcKey<Public>,
    /// The topics that a topic-specific key may push to; none for a key of the team.
    pub topics: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
}

/// A token whose signature is right.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) key: usize,
    pub(super) iat: i64,
}

impl Verified {
    /// Reads and checks a token; the reason is Apple's.
    pub(super) fn read(token: &str, keys: &[TokenKey]) -> Result<Self, &'static str> {
        Self::parse(token, keys).ok_or("InvalidProviderToken")
    }

    fn parse(token: &str, keys: &[TokenKey]) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let found = keys.iter().position(|key| key.key_id == header.kid && key.team_id == claims.iss);
        let key = found.filter(|_| header.alg == "ES256")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok().filter(|raw| raw.len() == 64)?;
        let [r, s] = [&signature[..32], &signature[32..]].map(BigNum::from_slice);
        let signature = EcdsaSig::from_private_components(r.ok()?, s.ok()?).ok()?;
        let right = signature.verify(&sha256(signed.as_bytes()), &keys[key].key).ok()?;
        right.then_some(Self { key, iat: claims.iat })
    }

    /// Whether it may be used at `now`, Unix seconds.
    pub(super) fn is_current(&self, now: i64) -> Result<(), &'static str> {
        if self.iat < now - LIFETIME_SECONDS {
            return Err("ExpiredProviderToken");
        }
        if self.iat > now + SKEW_SECONDS {
            return Err("InvalidProviderToken");
        }
        Ok(())
    }

    /// Whether it follows another of its key too soon. Tokens of the same moment are one: several servers may have made them.
    pub(super) fn too_soon_after(&self, before: i64) -> bool {
        let distance = (self.iat - before).abs();
        distance > 0 && distance < LEAST_DISTANCE_SECONDS
    }
}
