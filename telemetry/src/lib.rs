//! What the service tells its operators, and how. This crate does not know what is done with a request.
//!
//! - [`metrics`]: everything that is counted and measured, in one table
//! - [`logging`]: how a line of log output looks; [`log_output`]: how it gets to standard error, bounded
//! - [`request`]: the id, the timings and the deadline of the request that is being worked on
//! - [`identity`]: which service, release and environment a process is
//! - [`error_chain`](mod@error_chain): an error with everything that led to it, in one line

pub mod error_chain;
pub mod identity;
pub mod log_output;
pub mod logging;
pub mod metrics;
pub mod request;

pub use error_chain::error_chain;
pub use identity::Identity;
