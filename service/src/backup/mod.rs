//! Backups of a data folder, made while the service runs, and how one becomes a data folder again.
//!
//! A place of backups is a folder with one folder for each backup, named after its moment, and `images/`, which they share: images never change, so
//! each is kept once. A backup has copies of the SQLite files and a manifest, `backup.json`, which is written last: a folder without one is no
//! backup. Encryption keys are never in it, only their numbers. [`making`] writes, [`restoring`] reads, [`keeping`] removes what is old.

pub mod keeping;
pub mod making;
pub mod manifest;
pub mod restoring;

mod shared_images;

pub use manifest::Manifest;
