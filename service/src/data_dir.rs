//! The data folder: used by one process at a time, with secrets that only its owner can read, and no half-written files.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::ids::{self, IdSource};

/// The file that is locked.
const LOCK: &str = "honoken.lock";

/// A data folder, locked for as long as this lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// The secrets that were generated for this folder.
#[derive(Debug)]
pub struct Secrets {
    /// The key of the development organisation.
    pub api_key: SecretString,
    /// The operator's password.
    pub admin_password: SecretString,
}

impl Folder {
    /// Opens a folder, making it where it is missing.
    ///
    /// # Errors
    /// When it cannot be used, or another process uses it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Self::open_if_free(path)?.with_context(|| {
            format!(
                "another process is using {}; a folder has one process at a time (several may share a Postgres database): stop it and try again, \
                 or choose another folder with --data-dir",
                path.display()
            )
        })
    }

    /// Opens a folder, making it where it is missing. `None` while another process uses it.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open_if_free(path: &Path) -> anyhow::Result<Option<Self>> {
        let path = prepare(path)?;
        let lock_file = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_file)
            .with_context(|| format!("could not open {}", lock_file.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(fault)) => {
                Err(fault).with_context(|| format!("could not lock {}", lock_file.display()))
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that is locked.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.path.join(LOCK)
    }

    /// The file with the API key, for command lines that must not show the key itself.
    pub fn api_key_file(&self) -> PathBuf {
        self.path.join("secrets").join("api-key")
    }

    /// The secrets of this folder, made where they are missing.
    ///
    /// # Errors
    /// When they cannot be read or written.
    pub fn secrets(&self, ids: &dyn IdSource) -> anyhow::Result<Secrets> {
        make_folder(&self.path.join("secrets"))?;
        let ensure = |file: &Path, prefix: &str| -> anyhow::Result<SecretString> {
            let about = || format!("could not use {}", file.display());
            if !file.try_exists().with_context(about)? {
                write_secret(file, &format!("{prefix}{}", ids::secret(ids))).with_context(about)?;
            }
            Ok(fs::read_to_string(file).with_context(about)?.trim().into())
        };
        Ok(Secrets {
            api_key: ensure(&self.api_key_file(), "honoken_dev_")?,
            admin_password: ensure(&self.path.join("secrets").join("admin-password"), "")?,
        })
    }
}

/// The file with the key that private keys are sealed under, where no other is configured.
pub fn encryption_key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("secrets").join("encryption-key")
}

/// The content of that file; `None` when there is none.
///
/// # Errors
/// When it cannot be read.
pub fn encryption_key(data_dir: &Path) -> anyhow::Result<Option<Zeroizing<String>>> {
    let file = encryption_key_file(data_dir);
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault).with_context(|| format!("could not read {}", file.display())),
    }
}

/// Writes that file.
///
/// # Errors
/// When it cannot be written.
pub fn write_encryption_key(data_dir: &Path, text: &str) -> anyhow::Result<PathBuf> {
    let file = encryption_key_file(data_dir);
    make_folder(&data_dir.join("secrets"))?;
    write_secret(&file, text).with_context(|| format!("could not write {}", file.display()))?;
    Ok(file)
}

/// The folder, created where it is missing, as an absolute path. It is not locked: several processes may share the files that can be
/// shared.
///
/// # Errors
/// When it cannot be created, or its path is not UTF-8.
pub fn prepare(path: &Path) -> anyhow::Result<PathBuf> {
    make_folder(path)?;
    let path = fs::canonicalize(path).with_context(|| format!("could not find {}", path.display()))?;
    anyhow::ensure!(
        path.to_str().is_some(),
        "the folder {} has a name that is not UTF-8; choose another with --data-dir",
        path.display()
    );
    Ok(path)
}

/// Creates a folder and its missing parents, readable by the owner alone.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("could not make the folder {}", path.display()))
}

/// Writes a file that only its owner can read: to another file, synced and renamed, so that it exists whole or not at all.
///
/// # Errors
/// The file system's.
pub fn write_secret(file: &Path, content: &str) -> std::io::Result<()> {
    write_private(file, content.as_bytes())
}

/// The same for bytes.
///
/// # Errors
/// The file system's.
pub(crate) fn write_private(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    remove_if_there(&unfinished)?;
    let mut out = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&unfinished)?;
    out.write_all(content)?;
    out.sync_all()?;
    fs::rename(&unfinished, file)?;
    sync_folder_of(file)
}

/// Creates an empty file that only its owner can read, unless it exists. SQLite takes it for an empty database, and gives the files that it
/// creates beside it the same mode.
///
/// # Errors
/// The file system's.
pub fn ensure_private(file: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(drop)
}

/// Syncs the folder of a file, which puts a rename on disk.
pub(crate) fn sync_folder_of(file: &Path) -> std::io::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Removes a file.
///
/// # Errors
/// The file system's. A missing file is not an error.
pub fn remove_if_there(file: &Path) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(fault) if fault.kind() != ErrorKind::NotFound => Err(fault),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::ids::SystemIds;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let first = Folder::open(root.path()).unwrap();
        let refused = Folder::open(root.path()).unwrap_err();
        assert!(refused.to_string().contains("another process is using"), "{refused}");
        drop(first);
        Folder::open(root.path()).unwrap();
    }

    #[test]
    fn secrets_stay_and_belong_to_the_owner() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let (first, second) = (folder.secrets(&SystemIds).unwrap(), folder.secrets(&SystemIds).unwrap());
        assert_eq!(first.api_key.expose_secret(), second.api_key.expose_secret());
        assert_eq!(first.admin_password.expose_secret(), second.admin_password.expose_secret());
        let mode = fs::metadata(folder.api_key_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_write_that_was_cut_off_does_not_stand_in_the_way() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("ready.json");
        fs::write(root.path().join("ready.json.unfinished"), "{\"half").unwrap();
        write_secret(&file, "{}").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
    }
}
