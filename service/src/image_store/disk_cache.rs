//! Images of a store on another machine, kept in a folder of this one: up to a bound, those that were used last.
//!
//! A file is compared with its digest whenever it is read, so whatever happens to the folder, no wrong image comes from it. It may be removed at
//! any time. Processes may share it; each keeps to the bound as far as it knows the files.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirEntry, File, FileTimes, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use honoken_domain::ids::Digest;
use tokio::task::spawn_blocking;

use super::store::path;
use crate::clock::{Clock, SystemClock};
use crate::data_dir;

/// What the names of files begin with that are being written.
const UNFINISHED: &str = "unfinished-";

/// The cache. Clones share it.
#[derive(Debug, Clone)]
pub struct DiskCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    most: u64,
    index: Mutex<Index>,
}

/// The files that are known, in the order of their last use.
#[derive(Debug, Default)]
struct Index {
    files: HashMap<Digest, Known>,
    by_use: BTreeMap<u64, Digest>,
    uses: u64,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    bytes: u64,
    used: u64,
}

impl Index {
    /// Notes that a file was used or written.
    fn uses(&mut self, digest: &Digest, bytes: u64) {
        self.forgets(digest);
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, digest.clone());
        self.files.insert(digest.clone(), Known { bytes, used: self.uses });
    }

    fn forgets(&mut self, digest: &Digest) {
        if let Some(known) = self.files.remove(digest) {
            self.bytes -= known.bytes;
            self.by_use.remove(&known.used);
        }
    }

    /// Forgets what was not used for longest, until the others have room. Gives what is forgotten.
    fn makes_room(&mut self, most: u64) -> Vec<Digest> {
        let mut gone = Vec::new();
        while self.bytes > most {
            let Some((_, digest)) = self.by_use.first_key_value() else { break };
            let digest = digest.clone();
            self.forgets(&digest);
            gone.push(digest);
        }
        gone
    }
}

impl DiskCache {
    /// Opens the cache in a folder, with the files that are there already, and keeps it below so many bytes.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path, most: u64) -> anyhow::Result<Self> {
        data_dir::make_folder(folder)?;
        let inner = Inner { folder: folder.to_owned(), most, index: Mutex::default() };
        let mut found = found_below(folder)?;
        found.sort();
        for (_, digest, bytes) in found {
            inner.index().uses(&digest, bytes);
        }
        inner.makes_room();
        Ok(Self(Arc::new(inner)))
    }

    /// An image, if it is there and whole.
    pub(crate) async fn get(&self, digest: &Digest) -> Option<Bytes> {
        if !self.0.index().files.contains_key(digest) {
            return None;
        }
        let (inner, digest) = (self.0.clone(), digest.clone());
        spawn_blocking(move || inner.read(&digest)).await.ok().flatten()
    }

    /// Keeps an image. A failure costs the next reader a request, and is logged as no more.
    pub(crate) async fn put(&self, digest: &Digest, bytes: Bytes) {
        let (inner, digest) = (self.0.clone(), digest.clone());
        let written = spawn_blocking(move || inner.write(&digest, &bytes)).await;
        if let Ok(Err(fault)) = written {
            tracing::debug!(error = %fault, "an image could not be kept in the cache on disk");
        }
    }

    /// Bytes of the images that are kept.
    pub fn bytes(&self) -> u64 {
        self.0.index().bytes
    }
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        self.folder.join(path(digest))
    }

    fn read(&self, digest: &Digest) -> Option<Bytes> {
        let file = self.file(digest);
        match fs::read(&file) {
            Ok(bytes) if Digest::of(&bytes) == *digest => {
                self.index().uses(digest, bytes.len() as u64);
                touch(&file);
                Some(bytes.into())
            }
            // Damaged, or removed by somebody else.
            _ => {
                self.remove(digest);
                None
            }
        }
    }

    fn write(&self, digest: &Digest, bytes: &Bytes) -> Result<()> {
        let length = bytes.len() as u64;
        if length > self.most || self.index().files.contains_key(digest) {
            return Ok(());
        }
        let file = self.file(digest);
        let folder = file.parent().unwrap_or(&self.folder);
        data_dir::make_folder(folder).map_err(std::io::Error::other)?;
        // Another process may be writing the same image: each writes a file of its own.
        let unfinished = folder.join(format!("{UNFINISHED}{}-{}", std::process::id(), digest.as_str()));
        let written = write_private(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &file));
        if let Err(fault) = written {
            drop(data_dir::remove_if_there(&unfinished));
            return Err(fault);
        }
        self.index().uses(digest, length);
        self.makes_room();
        Ok(())
    }

    fn remove(&self, digest: &Digest) {
        self.index().forgets(digest);
        drop(data_dir::remove_if_there(&self.file(digest)));
    }

    fn makes_room(&self) {
        let gone = self.index().makes_room(self.most);
        for digest in gone {
            drop(data_dir::remove_if_there(&self.file(&digest)));
        }
    }
}

fn write_private(file: &Path, bytes: &Bytes) -> Result<()> {
    data_dir::remove_if_there(file)?;
    // Not synced: what a crash leaves of it is compared with its digest.
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?.write_all(bytes)
}

/// Notes in the file that it was used, for the next start.
fn touch(file: &Path) {
    let now = Duration::from_millis(u64::try_from(SystemClock.unix_ms()).unwrap_or_default());
    if let Ok(file) = File::options().append(true).open(file) {
        // Without it the file goes earlier than it should, which costs a request.
        drop(file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + now)));
    }
}

/// The files that are whole, with the time of their last use. What an earlier process did not finish is removed.
fn found_below(folder: &Path) -> Result<Vec<(SystemTime, Digest, u64)>> {
    let mut found = Vec::new();
    for group in fs::read_dir(folder)?.flatten().filter(is_folder) {
        for file in fs::read_dir(group.path())?.flatten() {
            let (head, tail) = (group.file_name(), file.file_name());
            let (head, tail) = (head.to_string_lossy(), tail.to_string_lossy());
            let facts = file.metadata().and_then(|facts| Ok((facts.modified()?, facts.len())));
            match (Digest::parse(format!("{head}{tail}")), facts) {
                (Ok(digest), Ok((used, bytes))) => found.push((used, digest, bytes)),
                _ if tail.starts_with(UNFINISHED) => drop(fs::remove_file(file.path())),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    fn image(number: u8) -> (Digest, Bytes) {
        let bytes = Bytes::from(vec![number; 1000]);
        (Digest::of(&bytes), bytes)
    }

    async fn keeps(cache: &DiskCache, number: u8) -> bool {
        let (digest, bytes) = image(number);
        cache.get(&digest).await.is_some_and(|kept| kept == bytes)
    }

    async fn put(cache: &DiskCache, number: u8) {
        let (digest, bytes) = image(number);
        cache.put(&digest, bytes).await;
    }

    fn size_on_disk(folder: &Path) -> u64 {
        found_below(folder).unwrap().iter().map(|(_, _, bytes)| bytes).sum()
    }

    #[tokio::test]
    async fn what_was_used_last_stays_and_the_folder_stays_below_its_bound() {
        let folder = TempDir::new().unwrap();
        let cache = DiskCache::open(folder.path(), 3500).unwrap();
        for number in [1, 2, 3] {
            put(&cache, number).await;
        }
        assert!(keeps(&cache, 1).await);
        put(&cache, 4).await;
        assert!(!keeps(&cache, 2).await, "it was not used for longest");
        for number in [1, 3, 4] {
            assert!(keeps(&cache, number).await, "{number}");
        }
        assert_eq!((cache.bytes(), size_on_disk(folder.path())), (3000, 3000));
        let whole: Bytes = vec![9; 4000].into();
        cache.put(&Digest::of(&whole), whole.clone()).await;
        assert_eq!(cache.get(&Digest::of(&whole)).await, None, "it has no room at all");
        assert_eq!(cache.bytes(), 3000, "and nothing went for it");
    }

    #[tokio::test]
    async fn the_next_process_finds_the_files_in_the_order_of_their_use() {
        let folder = TempDir::new().unwrap();
        let cache = DiskCache::open(folder.path(), 10_000).unwrap();
        for number in [1, 2, 3] {
            put(&cache, number).await;
            let (digest, _) = image(number);
            let file = File::options().append(true).open(folder.path().join(path(&digest))).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(number.into())).unwrap();
        }
        assert!(keeps(&cache, 1).await);
        fs::write(folder.path().join(path(&image(2).0)).with_file_name("unfinished-1-x"), "half").unwrap();

        let later = DiskCache::open(folder.path(), 2500).unwrap();
        assert!(keeps(&later, 1).await && keeps(&later, 3).await);
        assert!(!keeps(&later, 2).await);
        assert_eq!(size_on_disk(folder.path()), 2000);
    }

    #[tokio::test]
    async fn a_file_that_was_damaged_or_removed_is_no_image() {
        let folder = TempDir::new().unwrap();
        let cache = DiskCache::open(folder.path(), 10_000).unwrap();
        let file = |number| folder.path().join(path(&image(number).0));
        for number in [1, 2] {
            put(&cache, number).await;
        }
        fs::write(file(1), "damaged").unwrap();
        fs::remove_file(file(2)).unwrap();
        for number in [1, 2] {
            assert!(!keeps(&cache, number).await, "{number}");
        }
        assert!(!file(1).exists());
        assert_eq!(cache.bytes(), 0);
        put(&cache, 1).await;
        assert!(keeps(&cache, 1).await, "it can be kept again");
    }

    #[tokio::test]
    async fn nobody_else_can_read_the_files() {
        let root = TempDir::new().unwrap();
        let folder = root.path().join("cache");
        let cache = DiskCache::open(&folder, 10_000).unwrap();
        put(&cache, 1).await;
        let file = folder.join(path(&image(1).0));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(file.parent().unwrap()), mode(&file)), (0o700, 0o700, 0o600));
    }
}
