//! An integrator: a ticket shop, a club, an airline, and the digests of its API keys.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::Organization;
pub use command::OrganizationCommand;
pub use error::OrganizationError;
pub use event::OrganizationEvent;
