//! Why a pass is refused.

/// A reason for Wallet not to take a pass in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPass {
    /// The bytes are not a ZIP archive that can be read to the end.
    #[error("not a readable archive: {0}")]
    NotAnArchive(String),
    /// More files than any pass has.
    #[error("the archive holds too many files")]
    TooManyFiles,
    /// Unpacked, the archive is larger than any pass.
    #[error("the archive is too large when unpacked")]
    TooLarge,
    /// Two files have the same name.
    #[error("two files of the archive have the same name")]
    DuplicateFile,
    /// A path leads out of the archive.
    #[error("the path {0:?} leads out of the archive")]
    UnsafePath(String),
    /// A file is required, or listed in the manifest, and absent (or an empty signature).
    #[error("{0:?} is missing")]
    MissingFile(String),
    /// A file is not the JSON it should be.
    #[error("{file} is not the JSON expected: {reason}")]
    NotJson {
        /// Which file.
        file: &'static str,
        /// The parser's complaint.
        reason: String,
    },
    /// A file is in the archive and not in the manifest.
    #[error("{0:?} is not in the manifest")]
    NotInManifest(String),
    /// A file is not the one the manifest describes.
    #[error("{0:?} differs from its hash in the manifest")]
    HashMismatch(String),
    /// A value of `pass.json` is missing or of the wrong kind.
    #[error("{key} of pass.json must be {expected}")]
    Field {
        /// The key.
        key: &'static str,
        /// The value that belongs there.
        expected: &'static str,
    },
}
