//! What an operator asks of a certificate.

use strum::IntoStaticStr;

use crate::certificate::Installation;
use crate::ids::Digest;
use crate::sealed::Sealed;

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
pub enum CertificateCommand {
    /// Sign with this certificate from here on, in place of whatever signs now.
    Install(Box<Installation>),
    /// Keep the same private key under another seal.
    Reseal {
        /// The certificate that the key belongs to.
        fingerprint: Digest,
        /// The same key, sealed anew.
        private_key: Sealed,
    },
    /// Sign no more.
    Revoke,
}
