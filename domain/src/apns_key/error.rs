//! Why an APNs key says no.

use crate::ids::Digest;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApnsKeyError {
    /// No such key is in use.
    #[error("no APNs key of this team and id is in use")]
    Unknown,
    /// Another private key goes by this id than the one that the command is about.
    #[error("another private key is installed under this id: the key with the fingerprint {installed}")]
    AnotherInstalled {
        /// The fingerprint of the one in use.
        installed: Digest,
    },
}
