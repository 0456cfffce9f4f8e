//! How far an import is, in a file beside the input, and the lines that were refused, in another one.
//!
//! Lines are done in no order. The file says up to which line all of them are done, so that the next run goes on there: lines behind it may be
//! done twice, which changes nothing. It is replaced as a whole, and after the refusals before it are on disk, so a crash loses neither.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use honoken_service::data_dir;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::lines::Mark;
use super::outcome::{Counts, Outcome};

/// The form of the file. Another release that writes another one raises it.
const FORMAT: u32 = 1;

/// The longest time between two writes of the file while lines are done.
const EVERY: Duration = Duration::from_secs(1);

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Saved {
    format: u32,
    /// The service that the lines were sent to.
    server: String,
    /// The lines that are done, from the first one on.
    pub(super) lines: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// SHA-256 of those bytes.
    pub(super) sha256: String,
    /// The bytes of the other file that belong to them.
    refused_bytes: u64,
    pub(super) counts: Counts,
}

/// Where the two files are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// How far the import is; `None` for an input that cannot be read once more.
    pub(super) state: Option<PathBuf>,
    /// The refused lines.
    pub(super) refused: PathBuf,
}

/// How far an import is.
pub(super) struct Journal {
    files: Files,
    server: String,
    refused: File,
    refused_bytes: u64,
    /// All lines before it are done.
    done: Mark,
    /// Lines behind it that are done.
    ahead: BTreeMap<u64, (Mark, Outcome)>,
    counts: Counts,
    saved_at: Instant,
}

impl Journal {
    /// What an earlier run has saved.
    ///
    /// # Errors
    /// When the file cannot be read, or belongs to an import into another service.
    pub(super) fn saved(files: &Files, server: &str) -> anyhow::Result<Option<Saved>> {
        let Some(file) = &files.state else { return Ok(None) };
        let about = || format!("the state of the import in {} cannot be used", file.display());
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(fault).with_context(about),
        };
        let again = "--restart sends every line again";
        let saved: Saved = serde_json::from_slice(&text).with_context(|| format!("{}; {again}", about()))?;
        ensure!(saved.format == FORMAT, "{}: it is of another release; {again}", about());
        ensure!(
            saved.server == server,
            "{} belongs to an import into {}; {again}, to {server}",
            file.display(),
            saved.server
        );
        Ok(Some(saved))
    }

    /// Begins, or goes on behind what was saved; `done` is that place in the input.
    ///
    /// # Errors
    /// When another import writes these files, or they cannot be written.
    pub(super) fn open(
        files: Files,
        server: &str,
        saved: Option<&Saved>,
        done: Mark,
    ) -> anyhow::Result<Self> {
        let about = || format!("{} cannot be written", files.refused.display());
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut refused = options.open(&files.refused).with_context(about)?;
        match refused.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another import writes {}: wait for its end", files.refused.display())
            }
            Err(TryLockError::Error(fault)) => return Err(fault).with_context(about),
        }
        let refused_bytes = saved.map_or(0, |saved| saved.refused_bytes);
        let there = refused.metadata().with_context(about)?.len();
        ensure!(
            there >= refused_bytes,
            "{} is shorter than it was: put it back, or send every line again with --restart",
            files.refused.display()
        );
        // What a killed run wrote behind its last state comes again.
        refused.set_len(refused_bytes).with_context(about)?;
        refused.seek(SeekFrom::End(0)).with_context(about)?;
        let mut journal = Self {
            files,
            server: server.to_owned(),
            refused,
            refused_bytes,
            done,
            ahead: BTreeMap::new(),
            counts: saved.map(|saved| saved.counts).unwrap_or_default(),
            saved_at: Instant::now(),
        };
        // A run that starts over must not be followed by one that goes on where an earlier one was.
        journal.save()?;
        Ok(journal)
    }

    /// Notes that a line is done, and saves the state now and then.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(super) fn note(&mut self, end: Mark, outcome: Outcome) -> anyhow::Result<()> {
        self.ahead.insert(end.lines, (end, outcome));
        while let Some((end, outcome)) = self.ahead.remove(&(self.done.lines + 1)) {
            self.counts.add(&outcome);
            if let Outcome::Refused(refusal) = &outcome {
                let entry = format!("{}\n", refusal.entry(end.lines));
                self.refused.write_all(entry.as_bytes()).with_context(|| self.about_refused())?;
                self.refused_bytes += entry.len() as u64;
            }
            self.done = end;
        }
        if self.saved_at.elapsed() >= EVERY { self.save() } else { Ok(()) }
    }

    /// Lines that are done, though a line before them is not.
    pub(super) fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// Bytes of the input of which all lines are done.
    pub(super) fn bytes(&self) -> u64 {
        self.done.bytes
    }

    /// What became of the lines so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Where refused lines are, if there are any.
    pub(super) fn refused(&self) -> Option<&Path> {
        (self.refused_bytes > 0).then_some(self.files.refused.as_path())
    }

    /// Saves the state.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        self.refused.sync_data().with_context(|| self.about_refused())?;
        self.saved_at = Instant::now();
        let Some(file) = &self.files.state else { return Ok(()) };
        let saved = Saved {
            format: FORMAT,
            server: self.server.clone(),
            lines: self.done.lines,
            bytes: self.done.bytes,
            sha256: self.done.digest(),
            refused_bytes: self.refused_bytes,
            counts: self.counts,
        };
        let text = serde_json::to_string_pretty(&saved)?;
        data_dir::write_secret(file, &text).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Saves the state for the last time, and removes the file of refused lines if there are none.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(super) fn close(mut self) -> anyhow::Result<()> {
        self.save()?;
        if self.refused_bytes == 0 {
            data_dir::remove_if_there(&self.files.refused).with_context(|| self.about_refused())?;
        }
        Ok(())
    }

    fn about_refused(&self) -> String {
        format!("{} cannot be written", self.files.refused.display())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::lines::Lines;
    use super::super::outcome::Refusal;
    use super::*;

    const SERVER: &str = "https://passes.example.com";
    const INPUT: &[u8] = b"one\ntwo\nthree\nfour\n";

    fn files(folder: &TempDir) -> Files {
        Files { state: Some(folder.path().join("state")), refused: folder.path().join("refused.ndjson") }
    }

    fn open(files: &Files) -> Journal {
        let saved = Journal::saved(files, SERVER).unwrap();
        let mut lines = Lines::new(INPUT);
        if let Some(saved) = &saved {
            lines.skip(saved.lines, saved.bytes, &saved.sha256).unwrap();
        }
        Journal::open(files.clone(), SERVER, saved.as_ref(), lines.mark().clone()).unwrap()
    }

    fn end_of(line: u64) -> Mark {
        let mut lines = Lines::new(INPUT);
        for _ in 0..line {
            lines.next().unwrap();
        }
        lines.mark().clone()
    }

    fn refused() -> Outcome {
        Outcome::Refused(Refusal::of_line("json", "no JSON"))
    }

    fn refused_lines(files: &Files) -> Vec<u64> {
        let text = fs::read_to_string(&files.refused).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["line"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn the_next_run_goes_on_behind_the_last_line_before_which_all_are_done() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        let mut journal = open(&files);
        journal.note(end_of(1), Outcome::Issued).unwrap();
        journal.note(end_of(3), refused()).unwrap();
        journal.note(end_of(4), Outcome::Registered).unwrap();
        journal.close().unwrap();
        let saved = Journal::saved(&files, SERVER).unwrap().unwrap();
        assert_eq!((saved.lines, saved.bytes), (1, 4));
        assert_eq!(saved.counts, Counts { issued: 1, ..Counts::default() });

        let mut journal = open(&files);
        for (line, outcome) in [(2, Outcome::Unchanged), (3, refused()), (4, Outcome::Registered)] {
            journal.note(end_of(line), outcome).unwrap();
        }
        let counts = Counts { issued: 1, registered: 1, unchanged: 1, refused: 1, updated: 0 };
        assert_eq!((journal.counts(), journal.bytes()), (counts, INPUT.len() as u64));
        journal.close().unwrap();
        assert_eq!(refused_lines(&files), [3]);
    }

    #[test]
    fn refusals_that_a_killed_run_wrote_behind_its_state_are_written_once() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        let mut journal = open(&files);
        journal.note(end_of(1), refused()).unwrap();
        journal.save().unwrap();
        journal.note(end_of(2), refused()).unwrap();
        drop(journal);
        assert_eq!(refused_lines(&files), [1, 2]);
        let mut journal = open(&files);
        assert_eq!(refused_lines(&files), [1]);
        journal.note(end_of(2), refused()).unwrap();
        journal.close().unwrap();
        assert_eq!(refused_lines(&files), [1, 2]);
    }

    #[test]
    fn no_file_of_refused_lines_stays_where_none_was_refused() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        let mut journal = open(&files);
        journal.note(end_of(1), Outcome::Issued).unwrap();
        assert_eq!(journal.refused(), None);
        journal.close().unwrap();
        assert!(!files.refused.exists() && files.state.unwrap().exists());
    }

    #[test]
    fn two_imports_do_not_write_the_same_files() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        let _first = open(&files);
        let second = Journal::open(files, SERVER, None, Mark::beginning());
        assert!(second.err().unwrap().to_string().contains("another import"));
    }

    #[test]
    fn a_state_of_another_service_or_another_form_is_not_taken() {
        let folder = TempDir::new().unwrap();
        let files = files(&folder);
        open(&files).close().unwrap();
        let other = Journal::saved(&files, "http://127.0.0.1:1").unwrap_err().to_string();
        assert!(other.contains(SERVER) && other.contains("--restart"), "{other}");
        for text in ["", "{}", "[]", "nonsense"] {
            fs::write(files.state.as_ref().unwrap(), text).unwrap();
            let said = format!("{:#}", Journal::saved(&files, SERVER).unwrap_err());
            assert!(said.contains("--restart"), "{said}");
        }
    }
}
