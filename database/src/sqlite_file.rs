//! A SQLite file that may be found damaged: by a disk, by a copy made while the service ran, or by hand.
//!
//! Statements on a damaged file fail as those on an unavailable store do. This file detects the damage, and logs once which file it is and
//! what to do about it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{SqliteConnection, SqlitePool};

use crate::sqlite::{self, Durability};
use honoken_telemetry::error_chain;

/// "The database disk image is malformed": `SQLITE_CORRUPT`.
const CORRUPT: u32 = 11;

/// "File is not a database": `SQLITE_NOTADB`.
const NOT_A_DATABASE: u32 = 26;

/// The codes for damage that the file system reports: `SQLITE_IOERR_DATA` and `SQLITE_IOERR_CORRUPTFS`.
const UNREADABLE: [u32; 2] = [8202, 8458];

/// A file, and whether it was found damaged. Clones refer to the same file.
#[derive(Debug, Clone)]
pub struct SqliteFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    remedy: &'static str,
    damaged: AtomicBool,
}

impl SqliteFile {
    /// A file; `remedy` tells an operator what to do when it is damaged.
    pub fn new(path: &Path, remedy: &'static str) -> Self {
        Self(Arc::new(Shared { path: path.to_owned(), remedy, damaged: AtomicBool::new(false) }))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Opens the one connection that writes, creating the file where it is missing.
    ///
    /// # Errors
    /// The driver's.
    pub async fn open_writer(&self, durability: Durability) -> sqlx::Result<SqliteConnection> {
        self.heeds(sqlite::open_writer(self.path(), durability).await)
    }

    /// Opens one connection that only reads. The file must have been opened for writing before.
    ///
    /// # Errors
    /// The driver's.
    pub async fn open_reader(&self) -> sqlx::Result<SqliteConnection> {
        self.heeds(sqlite::open_reader(self.path()).await)
    }

    /// Opens connections that only read. The file must have been opened for writing before.
    pub fn open_readers(&self, connections: u32) -> SqlitePool {
        sqlite::open_readers(self.path(), connections)
    }

    /// Whether a statement has failed because the file is damaged. This stays so: a file is replaced only while no process has it open.
    pub fn is_damaged(&self) -> bool {
        self.0.damaged.load(Ordering::Relaxed)
    }

    /// Passes an outcome on, and logs the first one that shows the file to be damaged.
    ///
    /// # Errors
    /// The same.
    pub fn heeds<T, E: Error + 'static>(&self, outcome: Result<T, E>) -> Result<T, E> {
        if let Err(fault) = &outcome
            && shows_damage(fault)
            && !self.0.damaged.swap(true, Ordering::Relaxed)
        {
            let (file, remedy) = (self.path().display(), self.0.remedy);
            tracing::error!(error = error_chain(fault), "the file {file} is damaged: {remedy}");
        }
        outcome
    }
}

/// Whether this error, or one of its sources, is SQLite's report of a damaged file.
fn shows_damage(fault: &(dyn Error + 'static)) -> bool {
    let is_damage = |fault: &(dyn Error + 'static)| {
        let database = fault.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
        let code = database.and_then(|database| database.code()?.parse::<u32>().ok());
        // The lowest eight bits are the kind of error, those above a detail of it.
        code.is_some_and(|code| {
            [CORRUPT, NOT_A_DATABASE].contains(&(code & 0xff)) || UNREADABLE.contains(&code)
        })
    };
    let mut link = Some(fault);
    while let Some(fault) = link {
        if is_damage(fault) {
            return true;
        }
        link = fault.source();
    }
    false
}
