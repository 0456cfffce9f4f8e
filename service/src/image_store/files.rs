//! What a store has under names that are not digests, such as the images of another service.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use honoken_domain::ids::UnixSeconds;
use opendal::BufferStream;
use sha2::{Digest, Sha256};

use super::operator::UNFINISHED;
use super::place::Place;
use super::remote;
use super::store::{ImageStore, StoreFault};

/// Bytes that are sent and read at a time: S3 takes 10,000 parts.
const PART_BYTES: usize = 16 * 1024 * 1024;

/// What is stored under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The name, with slashes, below the prefix or folder of the store.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was stored; 0 where the store does not say.
    pub stored_at: UnixSeconds,
}

impl ImageStore {
    /// The names of everything that is stored, in no particular order. They are read as they are taken. In a Redis one may come twice.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn paths(&self) -> Result<BoxStream<'_, Result<String, StoreFault>>, StoreFault> {
        if let (Place::Remote(redis), false) = (self.place(), self.can_list()) {
            return Ok(remote::scan(redis).map_err(|cause| self.fault_of(cause)).boxed());
        }
        let entries = self.entries(true).await?;
        let entries = stream::iter(entries.map(Ok)).try_flatten();
        let paths = entries.try_filter_map(async |entry| {
            let path = entry.path().trim_start_matches('/');
            Ok((!path.is_empty() && !path.ends_with('/')).then(|| path.to_owned()))
        });
        Ok(paths.map_err(|fault| self.fault(&fault)).boxed())
    }

    /// The names of the folders at the top, which are the first parts of names.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn folders(&self) -> Result<BTreeSet<String>, StoreFault> {
        let mut folders = BTreeSet::new();
        let Some(mut entries) = self.entries(false).await? else { return Ok(folders) };
        while let Some(entry) = entries.try_next().await.map_err(|fault| self.fault(&fault))? {
            // Some stores list what is deeper, too.
            let folder = entry.path().trim_start_matches('/').split_once('/');
            let folder = folder.map(|(folder, _)| folder).filter(|folder| *folder != UNFINISHED);
            folders.extend(folder.map(str::to_owned));
        }
        Ok(folders)
    }

    /// What is stored under a name, if there is anything.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn file(&self, path: &str) -> Result<Option<StoredFile>, StoreFault> {
        let facts = self.facts(path).await?;
        Ok(facts.map(|facts| {
            let stored_at = facts.last_modified().map_or(0, |time| time.into_inner().as_second());
            let (path, bytes) = (path.to_owned(), facts.content_length());
            StoredFile { path, bytes, stored_at: UnixSeconds(stored_at) }
        }))
    }

    /// Stores a file of this machine under a name, part by part.
    ///
    /// # Errors
    /// When the file cannot be read or the store cannot be used.
    pub async fn upload(&self, file: &Path, name: &str) -> anyhow::Result<()> {
        let mut from = File::open(file).with_context(|| format!("could not read {}", file.display()))?;
        let writer = self.operator().writer_with(name).chunk(PART_BYTES);
        let mut writer = writer.await.map_err(|fault| self.fault(&fault))?;
        let written = async {
            loop {
                let mut part = Vec::with_capacity(PART_BYTES);
                if Read::take(&mut from, PART_BYTES as u64).read_to_end(&mut part)? == 0 {
                    break;
                }
                writer.write(part).await.map_err(|fault| self.fault(&fault))?;
            }
            anyhow::Ok(())
        };
        if let Err(fault) = written.await {
            // What was sent is of no use; a store that does not take it away says so nowhere.
            drop(writer.abort().await);
            return Err(fault);
        }
        writer.close().await.map_err(|fault| self.fault(&fault))?;
        Ok(())
    }

    /// Writes what is stored under a name into a file of this machine, which exists.
    ///
    /// # Errors
    /// When the file cannot be written or the store cannot be used.
    pub async fn download(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        let about = || format!("could not write {}", file.display());
        let mut to = OpenOptions::new().write(true).truncate(true).open(file).with_context(about)?;
        let mut parts = self.parts(name).await?;
        while let Some(part) = parts.try_next().await.map_err(|fault| self.fault(&fault))? {
            to.write_all(&part.to_bytes()).with_context(about)?;
        }
        Ok(())
    }

    /// The SHA-256 of what is stored under a name, in hex.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn sha256(&self, name: &str) -> Result<String, StoreFault> {
        let mut hasher = Sha256::new();
        let mut parts = self.parts(name).await?;
        while let Some(part) = parts.try_next().await.map_err(|fault| self.fault(&fault))? {
            hasher.update(part.to_bytes());
        }
        Ok(hex::encode(hasher.finalize()))
    }

    async fn parts(&self, name: &str) -> Result<BufferStream, StoreFault> {
        let reader = self.operator().reader_with(name).chunk(PART_BYTES).await;
        let reader = reader.map_err(|fault| self.fault(&fault))?;
        reader.into_stream(..).await.map_err(|fault| self.fault(&fault))
    }

    /// Removes what is stored under a name. It need not be there.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn remove_file(&self, name: &str) -> Result<(), StoreFault> {
        self.operator().delete(name).await.map_err(|fault| self.fault(&fault))
    }
}
