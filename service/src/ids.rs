//! Random values, and ids made of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use honoken_domain::ids::{AuthenticationToken, JobId, OrganizationId, PassTypeIdentifier, SerialNumber};
use honoken_domain::sealed::{KEY_BYTES, NONCE_BYTES};
use honoken_event_store::Epoch;
pub use honoken_pushers::ports::IdSource;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid, Variant, Version};
use zeroize::Zeroizing;

/// Random numbers from a generator that the operating system seeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's randomness enters")]
    fn fill(&self, bytes: &mut [u8]) {
        use rand::Rng as _;
        rand::rng().fill_bytes(bytes);
    }
}

fn random<const N: usize>(ids: &dyn IdSource) -> [u8; N] {
    let mut bytes = [0; N];
    ids.fill(&mut bytes);
    bytes
}

/// 32 random bytes as 43 characters of base64url: for API keys, passwords and authentication tokens.
pub fn secret(ids: &dyn IdSource) -> String {
    URL_SAFE_NO_PAD.encode(random::<32>(ids))
}

/// The seed of simulated phones.
pub fn secret_bytes(ids: &dyn IdSource) -> [u8; 32] {
    random(ids)
}

/// A fresh key to seal private keys under.
pub fn encryption_key(ids: &dyn IdSource) -> Zeroizing<[u8; KEY_BYTES]> {
    Zeroizing::new(random(ids))
}

/// A fresh nonce for a seal.
pub fn nonce(ids: &dyn IdSource) -> [u8; NONCE_BYTES] {
    random(ids)
}

/// A fresh `authenticationToken`.
pub fn authentication_token(ids: &dyn IdSource) -> AuthenticationToken {
    AuthenticationToken::parse(secret(ids)).expect("43 characters of base64url are a token")
}

/// A fresh request id (UUID version 4).
pub fn request_id(ids: &dyn IdSource) -> String {
    ids.uuid()
}

/// A fresh epoch, with which the update tags of a new event log begin.
pub fn epoch(ids: &dyn IdSource) -> Epoch {
    Epoch(u32::from_be_bytes(random(ids)))
}

/// A serial number for a pass that came without one: UUID version 7, so that serials sort by age.
pub fn serial_number(ids: &dyn IdSource, unix_ms: i64) -> SerialNumber {
    let millis = u64::try_from(unix_ms).unwrap_or_default();
    serial_of(Builder::from_unix_timestamp_millis(millis, &random(ids)).into_uuid())
}

/// The name of a new job: UUID version 7.
pub fn job_id(ids: &dyn IdSource, unix_ms: i64) -> JobId {
    let millis = u64::try_from(unix_ms).unwrap_or_default();
    let uuid = Builder::from_unix_timestamp_millis(millis, &random(ids)).into_uuid();
    JobId::parse(uuid.to_string()).expect("a UUID is the name of a job")
}

/// The name of an entry that sorts by age: UUID version 7.
pub fn entry_id(ids: &dyn IdSource, unix_ms: i64) -> String {
    let millis = u64::try_from(unix_ms).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random(ids)).into_uuid().to_string()
}

/// The serial number that belongs to an `Idempotency-Key`: the same for the same key, type and organisation, so that a retry after a lost
/// answer names the same pass.
pub fn serial_number_for_key(
    organization_id: &OrganizationId,
    pass_type_identifier: &PassTypeIdentifier,
    idempotency_key: &str,
) -> SerialNumber {
    let digest = Sha256::new()
        .chain_update(organization_id.as_str())
        .chain_update([0])
        .chain_update(pass_type_identifier.as_str())
        .chain_update([0])
        .chain_update(idempotency_key)
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    let uuid = Builder::from_bytes(bytes).with_variant(Variant::RFC4122).with_version(Version::SortRand);
    serial_of(uuid.into_uuid())
}

fn serial_of(uuid: Uuid) -> SerialNumber {
    SerialNumber::parse(uuid.to_string()).expect("a UUID is a serial number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_idempotency_key_names_the_same_pass() {
        let club = OrganizationId::parse("club").unwrap();
        let other = OrganizationId::parse("other").unwrap();
        let ticket = PassTypeIdentifier::parse("pass.com.example").unwrap();
        let serial = serial_number_for_key(&club, &ticket, "order-1");
        assert_eq!(serial, serial_number_for_key(&club, &ticket, "order-1"));
        assert_ne!(serial, serial_number_for_key(&club, &ticket, "order-2"));
        assert_ne!(serial, serial_number_for_key(&other, &ticket, "order-1"));
        assert_eq!(Uuid::parse_str(serial.as_str()).unwrap().get_version_num(), 7);
    }

    #[test]
    fn serial_numbers_sort_by_age() {
        let (older, newer) = (serial_number(&SystemIds, 1_000), serial_number(&SystemIds, 2_000));
        assert!(older.as_str() < newer.as_str());
        assert_eq!(Uuid::parse_str(older.as_str()).unwrap().get_version_num(), 7);
    }
}
