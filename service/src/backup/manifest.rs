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
    /// How many images are in its list; `null` when it has none.
    #[serde(default)]
    pub listed_images: Option<u64>,
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
            listed_images: None,
            encryption_keys: Vec::new(),
        }
    }

    /// Adds a file of the backup with its hash.
    pub(super) fn add(&mut self, backup: &Path, name: &str) -> anyhow::Result<()> {
        self.files.insert(name.to_owned(), sha256(&backup.join(name))?);
        Ok(())
    }

    /// Makes sure that a file of a backup, which was brought here, is the one that it names.
    ///
    /// # Errors
    /// When it cannot be read, or was changed.
    pub(super) fn check(&self, name: &str, file: &Path, shown: &str) -> anyhow::Result<()> {
        let expected = self.files.get(name);
        anyhow::ensure!(
            expected == Some(&sha256(file)?),
            "{name} was changed in {shown}: use another backup"
        );
        Ok(())
    }

    /// Reads that of a backup, which is shown as `shown` in sentences.
    ///
    /// # Errors
    /// When it cannot be read, or names a file that is none.
    pub(super) fn parse(text: &[u8], shown: &str) -> anyhow::Result<Self> {
        let manifest: Self = serde_json::from_slice(text)
            .with_context(|| format!("{NAME} of {shown} is not what `honoken backup` writes"))?;
        anyhow::ensure!(
            manifest.honoken_backup == FORMAT,
            "{shown} has the format {}, and this release reads {FORMAT}: use the release that wrote it",
            manifest.honoken_backup
        );
        for name in manifest.files.keys() {
            let is_plain = Path::new(name).components().count() == 1 && !name.starts_with('.');
            anyhow::ensure!(is_plain, "{NAME} of {shown} names the file {name:?}");
        }
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
