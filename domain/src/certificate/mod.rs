//! The certificate that signs the passes of one type: installed, renewed, sealed anew, revoked. Its id is the pass type identifier.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::Certificate;
pub use command::CertificateCommand;
pub use error::CertificateError;
pub use event::{CertificateEvent, Installation};
