//! `backup.json`: what a backup has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of the file.
pub(super) const NAME: &str = "backup.json";

/// The version of its format.
const FORMAT: u32 = 1;

/// What a backup has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    honoken_backup: u32,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// The beginning of the update tags of its event log.
    pub epoch: String,
    /// The number of its events.
    pub events: u64,
    /// The position of the last one.
    pub position: u64,
    /// The files and their SHA-256.
    pub files: BTreeMap<String, String>,
    /// How many images it has; `null` when they are in a store of their own, which is not in it.
    pub images: Option<u64>,
    /// The numbers of the encryption keys that open what is sealed in it.
    pub encryption_keys: Vec<u32>,
}

impl Manifest {
    /// That of a new backup, without files.
    pub(super) fn new(made_at: String) -> Self {
        Self {
            honoken_backup: FORMAT,
            made_at,
            epoch: String::new(),
            events: 0,
            position: 0,
            files: BTreeMap::new(),
            images: None,
            encryption_keys: Vec::new(),
        }
    }

    /// Adds a file of the backup with its hash.
    pub(super) fn add(&mut self, backup: &Path, name: &str) -> anyhow::Result<()> {
        self.files.insert(name.to_owned(), sha256(&backup.join(name))?);
        Ok(())
    }

    /// That of a backup, whose files are compared with it.
    ///
    /// # Errors
    /// When it cannot be read, or a file is missing or was changed.
    pub fn verified(backup: &Path) -> anyhow::Result<Self> {
        let manifest = Self::read(backup)?;
        for (name, expected) in &manifest.files {
            let is_plain = Path::new(name).components().count() == 1 && !name.starts_with('.');
            anyhow::ensure!(is_plain, "{} names the file {name:?}", backup.join(NAME).display());
            let found = sha256(&backup.join(name))?;
            anyhow::ensure!(
                found == *expected,
                "{} was changed: use another backup",
                backup.join(name).display()
            );
        }
        Ok(manifest)
    }

    pub(super) fn read(backup: &Path) -> anyhow::Result<Self> {
        let file = backup.join(NAME);
        let text = std::fs::read(&file).with_context(|| format!("could not read {}", file.display()))?;
        let manifest: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `honoken backup` writes", file.display()))?;
        anyhow::ensure!(
            manifest.honoken_backup == FORMAT,
            "{} has the format {}, and this release reads {FORMAT}: use the release that wrote it",
            file.display(),
            manifest.honoken_backup
        );
        Ok(manifest)
    }
}

/// The SHA-256 of a file, in hex.
fn sha256(file: &Path) -> anyhow::Result<String> {
    let about = || format!("could not read {}", file.display());
    let mut from = File::open(file).with_context(about)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(hex::encode(hasher.finalize())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault).with_context(about),
        }
    }
}
