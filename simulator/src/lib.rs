//! A fake iPhone that speaks `PassKit`'s web service protocol and judges every answer as Wallet would.
//!
//! The crate stands alone: it knows no other crate of this workspace, only HTTP, so it can be pointed at any pass
//! server. Its cast:
//!
//! - [`http`]: a small client and its [`Answer`], also handy for requests that no phone would ever send.
//! - [`phone`]: the device. It keeps passes, asks for updates when it is woken, and remembers a [`Complaint`] for
//!   every answer a phone would log as an error. Start reading at [`Phone`].
//! - [`conformance`]: the life of a pass against any web service, and a verdict on every rule of the protocol.
//! - [`fleet`]: many phones at once, for load.
//! - [`apns`]: Apple's push servers, for programs that wake phones.
//!
//! The phone deliberately does not verify the signature of a pass (a reader that knows Apple's certificates does that elsewhere), slow down
//! after too many pushes, or repeat a request that failed. A failed request is the finding.

pub mod apns;
pub mod conformance;
pub mod fleet;
pub mod http;
pub mod phone;

mod identities;

pub use crate::http::{Answer, HttpClient, HttpError, Trust, TrustError};
pub use crate::identities::Identities;
pub use crate::phone::{
    Complaint, HeldPass, Installation, InvalidPass, Joining, Package, Phone, PhoneError, Registration, Rule,
    Strictness, TokenChange, Update, WebService,
};

#[cfg(test)]
mod tests;
