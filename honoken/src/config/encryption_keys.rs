//! The keys under which private keys are sealed: `HONOKEN_ENCRYPTION_KEY_…`.

use std::collections::BTreeMap;

use honoken_domain::sealed::SealingKeys;
use honoken_service::encryption_keys;

use super::variable::{ConfigError, Variable, Variables, read, secret};

pub(super) const VARIABLES: &[Variable] = &[
    secret(
        "HONOKEN_ENCRYPTION_KEY_V1",
        "the key under which private keys of certificates and APNs keys are sealed: 32 bytes as base64 or 64 hex digits, the same for every process ([how to change it](certificates.md#where-the-private-keys-are))",
        "with SQLite files and in `dev`: `secrets/encryption-key`; on Postgres `serve` signs nothing without a key",
    ),
    secret("HONOKEN_ENCRYPTION_KEY_V2", "a further encryption key, in the same form", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V3", "a further encryption key, in the same form", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V4", "a further encryption key, in the same form", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V5", "a further encryption key, in the same form", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V6", "a further encryption key, in the same form", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V7", "a further encryption key, in the same form", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V8", "a further encryption key, in the same form", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V9", "a further encryption key, in the same form", "none"),
    read(
        "HONOKEN_ENCRYPTION_KEY_CURRENT",
        "the number of the encryption key that seals, such as `2`; the others only open the secrets that they sealed",
        "the number of the only key",
    ),
];

/// The variables with the keys, in the order of their numbers.
const ENCRYPTION_KEYS: [&str; 9] = [
    "HONOKEN_ENCRYPTION_KEY_V1",
    "HONOKEN_ENCRYPTION_KEY_V2",
    "HONOKEN_ENCRYPTION_KEY_V3",
    "HONOKEN_ENCRYPTION_KEY_V4",
    "HONOKEN_ENCRYPTION_KEY_V5",
    "HONOKEN_ENCRYPTION_KEY_V6",
    "HONOKEN_ENCRYPTION_KEY_V7",
    "HONOKEN_ENCRYPTION_KEY_V8",
    "HONOKEN_ENCRYPTION_KEY_V9",
];

const CURRENT_ENCRYPTION_KEY: &str = "HONOKEN_ENCRYPTION_KEY_CURRENT";

pub(super) fn encryption_keys(variable: Variables<'_>) -> Result<Option<SealingKeys>, ConfigError> {
    let mut keys = BTreeMap::new();
    for (version, name) in (1..).zip(ENCRYPTION_KEYS) {
        let Some(text) = variable(name)? else { continue };
        let problem = "must be 32 bytes as base64, or as 64 hex digits: `openssl rand -base64 32` makes some";
        let key = encryption_keys::read(&text)
            .ok_or_else(|| ConfigError { variable: name, problem: problem.to_owned() })?;
        keys.insert(version, key);
    }
    let refuse =
        |problem: &str| ConfigError { variable: CURRENT_ENCRYPTION_KEY, problem: problem.to_owned() };
    let current = match variable(CURRENT_ENCRYPTION_KEY)? {
        Some(text) => {
            let digits = text.trim_start_matches(['v', 'V']);
            digits.parse().map_err(|_| refuse("must be the number of a key, such as 1"))?
        }
        None if keys.len() > 1 => {
            return Err(refuse(
                "is missing: with several encryption keys it must name the one that seals, such as 2",
            ));
        }
        None => match keys.keys().next() {
            Some(only) => *only,
            None => return Ok(None),
        },
    };
    let named = SealingKeys::new(keys, current);
    named
        .map(Some)
        .ok_or_else(|| refuse("names a key that is not set: set HONOKEN_ENCRYPTION_KEY_V… of that number"))
}
