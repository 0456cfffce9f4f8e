//! A pass type identifier: whose it is, and the images its passes fall back to.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::PassType;
pub use command::PassTypeCommand;
pub use error::PassTypeError;
pub use event::PassTypeEvent;
