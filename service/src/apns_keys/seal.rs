//! Turns a key file into the form that an event may hold.

use honoken_domain::apns_key::ApnsKeyInstallation;
use honoken_domain::ids::{ApnsKeyId, Digest};
use honoken_domain::sealed::{Sealed, SealingKeys};

use crate::apns_keys::file::KeyFile;
use crate::ids::{self, IdSource};

/// A key as an event may hold it.
pub fn installation(
    id: &ApnsKeyId,
    file: &KeyFile,
    keys: &SealingKeys,
    ids: &dyn IdSource,
) -> ApnsKeyInstallation {
    ApnsKeyInstallation {
        team_identifier: id.team_identifier.clone(),
        key_identifier: id.key_identifier.clone(),
        private_key: seal(&file.pem, id, &file.fingerprint, keys, ids),
        fingerprint: file.fingerprint.clone(),
        key_ref: None,
    }
}

/// Seals a private key under the current key.
pub fn seal(
    pem: &[u8],
    id: &ApnsKeyId,
    fingerprint: &Digest,
    keys: &SealingKeys,
    ids: &dyn IdSource,
) -> Sealed {
    keys.seal(pem, &ApnsKeyInstallation::owner(id, fingerprint), ids::nonce(ids))
}
