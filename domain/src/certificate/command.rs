//! What an operator asks of a certificate.

use strum::IntoStaticStr;

use crate::certificate::{Installation, RequestedKey};
use crate::ids::Digest;
use crate::sealed::Sealed;

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
pub enum CertificateCommand {
    /// Sign with this certificate from here on, in place of one of the same team that ends no later.
    Install(Box<Installation>),
    /// Likewise, also in place of one of another team, and of one that ends later.
    Replace(Box<Installation>),
    /// Keep the same private key under another seal.
    Reseal {
        /// The certificate that the key belongs to.
        fingerprint: Digest,
        /// The same key, sealed anew.
        private_key: Sealed,
    },
    /// Sign no more, and forget a key that waits.
    Revoke,
    /// Keep a key that waits for its certificate, in place of another one.
    Request(RequestedKey),
    /// Keep the waiting key under another seal.
    ResealRequest {
        /// Which key.
        public_key: Digest,
        /// The same key, sealed anew.
        private_key: Sealed,
    },
    /// Let every process read the read model again.
    Invalidate,
}
