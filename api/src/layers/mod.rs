//! The layers around every request.
//!
//! - [`around`]: id, permit, time limit, log line and metrics of a request; [`panics`]: the answer when a handler panics
//! - [`at_hand`]: what is kept with the current request; [`in_flight`]: how many requests are in progress
//! - [`load_shedding`] and [`body_budget`]: limits on the work and the memory in use at a time
//! - [`rate_limits`]: limits by caller, over [`failed_logins`], [`registration_limits`], [`window_limits`] and [`keyed_limit`];
//!   [`client_address`]: the address of a caller
//! - [`shortened_path`]: a path as log output may have it
//! - [`cross_site`]: refuses requests that a foreign page makes a browser send
//! - [`audit`]: notes what operators do; [`refused_credentials`]: tells of callers whose credentials are wrong again and again

pub mod around;
pub mod at_hand;
pub mod audit;
pub mod body_budget;
pub mod client_address;
pub mod cross_site;
pub mod failed_logins;
pub mod in_flight;
pub mod keyed_limit;
pub mod load_shedding;
pub mod panics;
pub mod rate_limits;
pub mod refused_credentials;
pub mod registration_limits;
pub mod shortened_path;
pub mod window_limits;
