//! One device with one pass type: its push token and the serial numbers it holds.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::Registration;
pub use command::RegistrationCommand;
pub use error::RegistrationError;
pub use event::{REPAIRED, RegistrationEvent, UnregistrationCause};
