//! Log output and metrics. This crate does not know how requests are handled.
//!
//! - [`metrics`]: all counters and measurements, in one table
//! - [`logging`]: the format of a line of log output; [`log_output`]: its way to standard error, bounded
//! - [`request`]: the id, the timings and the deadline of the current request
//! - [`identity`]: the service, release and environment of a process
//! - [`error_chain`](mod@error_chain): an error with everything that led to it, in one line

pub mod error_chain;
pub mod identity;
pub mod log_output;
pub mod logging;
pub mod metrics;
pub mod request;

pub use error_chain::error_chain;
pub use identity::Identity;
