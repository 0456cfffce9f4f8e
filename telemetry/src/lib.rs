//! What the service tells its operators, and how.

pub mod error_chain;

pub use error_chain::error_chain;
