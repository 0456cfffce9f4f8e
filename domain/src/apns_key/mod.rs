//! A key with which a team speaks to APNs: installed, sealed anew, revoked. Its id is `{team}/{key}`, as Apple names them.
//! <https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns>

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::ApnsKey;
pub use command::ApnsKeyCommand;
pub use error::ApnsKeyError;
pub use event::{ApnsKeyEvent, ApnsKeyInstallation};
