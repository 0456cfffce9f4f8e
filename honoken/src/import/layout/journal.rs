//! Which images are done, in a file, and those that were refused, in another one.
//!
//! The file has a line for each image that is done: a digest of its name, size and time, so an image that was changed is sent again. A refused
//! image is not done: the next run tries it again, and writes the file of refused images anew.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use honoken_domain::ids::Digest;
use honoken_service::data_dir;
use honoken_service::image_store::StoredFile;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::super::outcome::Refusal;
use super::upload::Done;

/// The form of the file. Another release that writes another one raises it.
const FORMAT: u32 = 1;

/// The longest time for which a done image is not yet on disk.
const EVERY: Duration = Duration::from_secs(1);

/// The digits of a digest that are kept.
const DIGITS: usize = 32;

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    format: u32,
    server: String,
    from: String,
}

/// Where the two files are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// Which images are done; `None` where none is sent.
    pub(super) state: Option<PathBuf>,
    /// The refused ones.
    pub(super) refused: PathBuf,
}

/// How many images had which outcome in this run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    sent: u64,
    unchanged: u64,
    before: u64,
    refused: u64,
}

impl Counts {
    /// In a sentence.
    pub(super) fn told(self, is_dry_run: bool) -> String {
        let Self { sent, unchanged, before, refused } = self;
        if is_dry_run {
            return format!("{sent} images would be sent, {refused} would be refused");
        }
        format!(
            "{sent} images were sent and compared, {unchanged} were there already, {before} were sent before, {refused} were refused"
        )
    }
}

/// Which images are done.
pub(super) struct Journal {
    files: Files,
    state: Option<File>,
    refused: File,
    done: HashSet<u128>,
    before: u64,
    counts: Counts,
    saved_at: Instant,
}

impl Journal {
    /// Begins, or goes on where an earlier run ended.
    ///
    /// # Errors
    /// When the files cannot be used, or belong to another service or source.
    pub(super) fn open(files: Files, server: &str, from: &str, restart: bool) -> anyhow::Result<Self> {
        let refused = open(&files.refused)?;
        refused.set_len(0).with_context(|| about(&files.refused))?;
        let mut done = HashSet::new();
        let state = match &files.state {
            None => None,
            Some(path) => {
                let mut state = open(path)?;
                if restart {
                    state.set_len(0).with_context(|| about(path))?;
                }
                let head = Head { format: FORMAT, server: server.to_owned(), from: from.to_owned() };
                done = read(&mut state, &head, path)?;
                Some(state)
            }
        };
        let before = done.len() as u64;
        Ok(Self { files, state, refused, done, before, counts: Counts::default(), saved_at: Instant::now() })
    }

    /// Images that an earlier run has done.
    pub(super) fn before(&self) -> u64 {
        self.before
    }

    /// Whether an image is done; then it is counted.
    pub(super) fn is_done(&mut self, image: &StoredFile) -> bool {
        let is_done = self.done.contains(&key(image));
        self.counts.before += u64::from(is_done);
        is_done
    }

    /// Notes what became of an image, and saves it now and then.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(super) fn note(&mut self, image: &StoredFile, done: &Done) -> anyhow::Result<()> {
        match done {
            Done::Sent | Done::WouldBeSent => self.counts.sent += 1,
            Done::Unchanged => self.counts.unchanged += 1,
            Done::Refused(refusal) => {
                self.counts.refused += 1;
                let entry = format!("{}\n", entry(image, refusal));
                return self.refused.write_all(entry.as_bytes()).with_context(|| about(&self.files.refused));
            }
        }
        if let (Some(state), Some(path)) = (&mut self.state, &self.files.state) {
            let line = format!("{:0DIGITS$x}\n", key(image));
            state.write_all(line.as_bytes()).with_context(|| about(path))?;
        }
        if self.saved_at.elapsed() >= EVERY { self.save() } else { Ok(()) }
    }

    /// What became of the images so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Where refused images are, if there are any.
    pub(super) fn refused(&self) -> Option<&Path> {
        (self.counts.refused > 0).then_some(&*self.files.refused)
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.saved_at = Instant::now();
        self.refused.sync_data().with_context(|| about(&self.files.refused))?;
        match (&self.state, &self.files.state) {
            (Some(state), Some(path)) => state.sync_data().with_context(|| about(path)),
            _ => Ok(()),
        }
    }

    /// Saves for the last time, and removes the file of refused images if there are none.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(super) fn close(mut self) -> anyhow::Result<()> {
        self.save()?;
        if self.counts.refused == 0 {
            data_dir::remove_if_there(&self.files.refused).with_context(|| about(&self.files.refused))?;
        }
        Ok(())
    }
}

fn about(file: &Path) -> String {
    format!("{} cannot be used", file.display())
}

/// Opens a file that this run has alone.
fn open(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).read(true).write(true).mode(0o600);
    let file = options.open(path).with_context(|| about(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another import writes {}: wait for its end", path.display()),
        Err(TryLockError::Error(fault)) => Err(fault).with_context(|| about(path)),
    }
}

/// Reads which images are done, and leaves the file where the next line begins.
fn read(state: &mut File, head: &Head, path: &Path) -> anyhow::Result<HashSet<u128>> {
    let mut text = String::new();
    let read = state.read_to_string(&mut text);
    read.with_context(|| format!("{}; --restart sends every image again", about(path)))?;
    // What a killed run wrote last may have no end.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    state.set_len(whole as u64).with_context(|| about(path))?;
    state.seek(SeekFrom::End(0)).with_context(|| about(path))?;
    let mut lines = text[..whole].lines();
    let Some(first) = lines.next() else {
        let mut line = serde_json::to_string(head)?;
        writeln!(line)?;
        state.write_all(line.as_bytes()).with_context(|| about(path))?;
        return Ok(HashSet::new());
    };
    let saved: Option<Head> = serde_json::from_str(first).ok();
    ensure!(
        saved.as_ref() == Some(head),
        "{} belongs to another import, from another place or into another service: --restart sends every image again, --state names another file",
        path.display()
    );
    Ok(lines.filter_map(|line| u128::from_str_radix(line, 16).ok()).collect())
}

fn key(image: &StoredFile) -> u128 {
    let StoredFile { path, bytes, stored_at } = image;
    let digest = Digest::of(format!("{bytes} {} {path}", stored_at.0).as_bytes());
    u128::from_str_radix(&digest.as_str()[..DIGITS], 16).unwrap_or_default()
}

fn entry(image: &StoredFile, refusal: &Refusal) -> serde_json::Value {
    let mut entry = refusal.entry(0);
    if let Some(members) = entry.as_object_mut() {
        members.remove("line");
        members.insert("path".to_owned(), image.path.clone().into());
    }
    entry
}

#[cfg(test)]
mod tests {
    use honoken_domain::ids::UnixSeconds;
    use tempfile::TempDir;

    use super::*;

    fn files(folder: &TempDir) -> Files {
        Files { state: Some(folder.path().join("state")), refused: folder.path().join("refused.ndjson") }
    }

    fn open(files: &Files) -> anyhow::Result<Journal> {
        Journal::open(files.clone(), "https://passes.example.com", "fs:/old", false)
    }

    fn image(name: &str) -> StoredFile {
        StoredFile { path: name.to_owned(), bytes: 1, stored_at: UnixSeconds(1) }
    }

    #[test]
    fn an_image_is_done_until_it_changes_and_a_refused_one_is_tried_again() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        let mut journal = open(&files).unwrap();
        journal.note(&image("a"), &Done::Sent).unwrap();
        let refusal = Refusal::of_line("not_a_png", "no PNG");
        journal.note(&image("b"), &Done::Refused(refusal)).unwrap();
        assert!(super::open(files.state.as_ref().unwrap()).is_err(), "another run does not write it");
        journal.close().unwrap();
        // A killed run leaves half a line.
        let mut state = OpenOptions::new().append(true).open(files.state.as_ref().unwrap()).unwrap();
        state.write_all(b"0123").unwrap();
        let refused = std::fs::read_to_string(&files.refused).unwrap();
        assert!(refused.contains("\"path\":\"b\"") && !refused.contains("line"), "{refused}");

        let mut journal = open(&files).unwrap();
        assert_eq!(journal.before(), 1);
        assert!(journal.is_done(&image("a")) && !journal.is_done(&image("b")));
        assert!(!journal.is_done(&StoredFile { stored_at: UnixSeconds(2), ..image("a") }));
        journal.note(&image("b"), &Done::Unchanged).unwrap();
        journal.close().unwrap();
        assert!(!files.refused.exists());
        assert_eq!(open(&files).unwrap().before(), 2);
    }

    #[test]
    fn a_state_of_another_import_is_not_taken() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        open(&files).unwrap().close().unwrap();
        let other = || Journal::open(files.clone(), "http://127.0.0.1:1", "fs:/old", false).err();
        assert!(other().unwrap().to_string().contains("--restart"));
        Journal::open(files.clone(), "http://127.0.0.1:1", "fs:/old", true).unwrap().close().unwrap();
        std::fs::write(files.state.as_ref().unwrap(), "nonsense\n").unwrap();
        assert!(other().unwrap().to_string().contains("--restart"));
    }
}
