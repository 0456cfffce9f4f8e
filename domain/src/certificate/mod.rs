//! A certificate that signs the passes of one type: requested, installed, renewed, sealed anew, revoked. Its id is the name that an operator gave
//! it ([`CertRef`](crate::ids::CertRef)); the pass type says which certificate signs its passes.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::Certificate;
pub use command::CertificateCommand;
pub use error::CertificateError;
pub use event::{CertificateEvent, Installation, RequestedKey};
