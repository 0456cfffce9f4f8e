//! The keys under which private keys are sealed: from the environment, and the data folder's own.
//!
//! The data folder's key has the number 0 and is generated where none is configured. Once the environment has keys, those seal, and the
//! folder's key still opens what it sealed, until `honoken keys reseal`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use honoken_domain::sealed::{KEY_BYTES, SealingKey, SealingKeys};
use zeroize::Zeroizing;

use crate::data_dir;
use crate::ids::{self, IdSource};
use crate::storage::Storage;

/// The number of the data folder's own key.
pub const OF_FOLDER: u32 = 0;

/// The advice for a process without any key.
pub const HOW_TO_SET: &str = "set HONOKEN_ENCRYPTION_KEY_V1 to 32 random bytes (`openssl rand -base64 32` makes them), the same for every process";

/// The keys of this process, if it has any.
///
/// # Errors
/// When the data folder's key cannot be read, or is not a key.
pub fn find(configured: Option<&SealingKeys>, data_dir: &Path) -> anyhow::Result<Option<SealingKeys>> {
    let own = match data_dir::encryption_key(data_dir)? {
        Some(text) => Some(read(&text).ok_or_else(|| {
            anyhow::anyhow!(
                "{} holds no key: put back the one that was there, since certificates are sealed under it",
                data_dir::encryption_key_file(data_dir).display()
            )
        })?),
        None => None,
    };
    Ok(match (configured.cloned(), own) {
        (Some(keys), Some(own)) => Some(keys.with(OF_FOLDER, own)),
        (Some(keys), None) => Some(keys),
        (None, Some(own)) => SealingKeys::new([(OF_FOLDER, own)].into(), OF_FOLDER),
        (None, None) => None,
    })
}

/// The keys of this process. Where it has none, one is generated in the data folder, and that is logged.
///
/// # Errors
/// When the data folder's key cannot be read or written.
pub fn ensure(
    configured: Option<&SealingKeys>,
    data_dir: &Path,
    ids: &dyn IdSource,
) -> anyhow::Result<SealingKeys> {
    if let Some(keys) = find(configured, data_dir)? {
        return Ok(keys);
    }
    let bytes = ids::encryption_key(ids);
    let file = data_dir::write_encryption_key(data_dir, &Zeroizing::new(STANDARD.encode(*bytes)))?;
    tracing::info!(
        "made an encryption key in {}: private keys are sealed under it, so back it up apart from the event log, or set HONOKEN_ENCRYPTION_KEY_V1",
        file.display()
    );
    let own = SealingKey::new(*bytes);
    Ok(SealingKeys::new([(OF_FOLDER, own)].into(), OF_FOLDER).expect("the current key was just put in"))
}

/// Refuses to go on where secrets are sealed under the data folder's key and that is missing, or where a new key would be made although secrets
/// are sealed under another: it would open none of them, and the next backup would have lost the old one.
///
/// # Errors
/// With the list of what needs the key; or when the storage cannot be read.
pub async fn check(
    keys: Option<&SealingKeys>,
    storage: &Storage,
    data_dir: &Path,
    missing: Missing,
) -> anyhow::Result<()> {
    let needs = |version: u32| match keys {
        Some(keys) => version == OF_FOLDER && !keys.has(version),
        None => missing == Missing::IsMade || version == OF_FOLDER,
    };
    let sealed = storage.sealed_secrets().await?;
    let locked = sealed.into_iter().filter(|(_, version)| needs(*version));
    let locked: Vec<String> = locked.map(|(what, version)| format!("{what} (key {version})")).collect();
    if locked.is_empty() {
        return Ok(());
    }
    let more = locked.len().saturating_sub(LISTED);
    let list = locked[..locked.len().min(LISTED)].join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    anyhow::bail!(
        "the encryption key is missing under which this is sealed: {list}{more}. Put {} back from the backup (key 0), or set HONOKEN_ENCRYPTION_KEY_V1 \
         and so on. No new key was made, since it would open none of it. What is lost for good can be revoked with `honoken certs revoke` and \
         `honoken apns-keys revoke`, and installed again",
        data_dir::encryption_key_file(data_dir).display()
    )
}

/// What happens where a process has no key at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// One is made in the data folder.
    IsMade,
    /// The process goes on without.
    StaysSo,
}

/// The most secrets that are listed.
const LISTED: usize = 20;

/// A key as people write it: 32 bytes as base64 or as 64 hex digits.
pub fn read(text: &str) -> Option<SealingKey> {
    let text = text.trim();
    let bytes = match text.len() {
        64 => hex::decode(text).ok(),
        _ => STANDARD.decode(text).ok(),
    };
    let bytes = Zeroizing::new(bytes?);
    let bytes: [u8; KEY_BYTES] = bytes.as_slice().try_into().ok()?;
    Some(SealingKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::ids::SystemIds;

    #[test]
    fn a_key_is_32_bytes_as_base64_or_hex() {
        let base64 = STANDARD.encode([7; 32]);
        for right in [base64.as_str(), &format!("{base64}\n"), &"ab".repeat(32), &"AB".repeat(32)] {
            assert!(read(right).is_some(), "{right}");
        }
        for wrong in ["", "password", &STANDARD.encode([7; 31]), &"zz".repeat(32), &"ab".repeat(31)] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_folder_gets_a_key_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find(None, folder.path()).unwrap().is_none());
        let sealed = ensure(None, folder.path(), &SystemIds).unwrap().seal(b"secret", "owner", [1; 12]);
        assert_eq!(sealed.key_version(), OF_FOLDER);
        let again = ensure(None, folder.path(), &SystemIds).unwrap();
        assert_eq!(*again.open(&sealed, "owner").unwrap(), b"secret");
        let mode = fs::metadata(data_dir::encryption_key_file(folder.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn keys_of_the_environment_seal_and_the_folders_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = ensure(None, folder.path(), &SystemIds).unwrap().seal(b"s", "o", [1; 12]);
        let keys = SealingKeys::new([(3, SealingKey::new([9; 32]))].into(), 3);
        let both = ensure(keys.as_ref(), folder.path(), &SystemIds).unwrap();
        assert_eq!(*both.open(&sealed, "o").unwrap(), b"s");
        assert_eq!(both.seal(b"s", "o", [2; 12]).key_version(), 3);
    }

    #[test]
    fn a_file_that_holds_no_key_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        ensure(None, folder.path(), &SystemIds).unwrap();
        let file = data_dir::encryption_key_file(folder.path());
        fs::write(&file, "hello").unwrap();
        let fault = ensure(None, folder.path(), &SystemIds).unwrap_err().to_string();
        assert!(fault.contains("encryption-key") && !fault.contains("hello"), "{fault}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "hello");
    }
}
