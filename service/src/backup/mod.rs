//! Backups of a data folder, made while the service runs, and how one becomes a data folder again.
//!
//! A place of backups is a folder, or a store on another machine, with one folder for each backup, named after its moment, and `images/`, which
//! they share: images never change, so each is kept once. A backup has copies of the SQLite files and a manifest, `backup.json`, which is written
//! last: a folder without one is no backup. Encryption keys are never in it, only their numbers. [`place`] is where backups are, [`images`] what
//! they share; [`making`] writes, [`restoring`] reads, [`keeping`] removes what is old.

pub mod images;
pub mod keeping;
pub mod making;
pub mod manifest;
pub mod place;
pub mod restoring;

pub use images::Images;
pub use manifest::Manifest;
pub use place::Backups;
