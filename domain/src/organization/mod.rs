//! An integrator: a ticket shop, a club, an airline, the digests of its API keys, their scopes and their ends.

mod aggregate;
mod command;
mod error;
mod event;
mod scopes;
#[cfg(test)]
mod tests;

pub use aggregate::Organization;
pub use command::{OrganizationChange, OrganizationCommand};
pub use error::{MOST_KEYS, OrganizationError};
pub use event::OrganizationEvent;
pub use scopes::{Scope, Scopes, UnknownScope};
