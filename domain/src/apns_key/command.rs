//! What an operator asks of an APNs key.

use strum::IntoStaticStr;

use crate::apns_key::ApnsKeyInstallation;
use crate::ids::Digest;
use crate::sealed::Sealed;

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ApnsKeyCommand {
    /// Push with this key from here on.
    Install(ApnsKeyInstallation),
    /// Likewise, but only if there never was one under its id: for configuration that is read at every start.
    InstallFirst(ApnsKeyInstallation),
    /// Know this key, and do not push with it.
    Keep(ApnsKeyInstallation),
    /// Keep the same private key under another seal.
    Reseal {
        /// The key that is meant.
        fingerprint: Digest,
        /// The same key, sealed anew.
        private_key: Sealed,
    },
    /// Push with it no more.
    Revoke,
}
