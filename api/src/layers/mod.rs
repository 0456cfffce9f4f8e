//! Around every request.
//!
//! - [`around`]: its id, its permit, its time limit, its log line, its place in the metrics; [`panics`]: what becomes of a handler that panics
//! - [`at_hand`]: what is known of the current request; [`in_flight`]: how many there are
//! - [`load_shedding`] and [`body_budget`]: how much is done, and held in memory, at a time
//! - [`rate_limits`]: how often a caller may ask, over [`failed_logins`], [`registration_limits`] and [`keyed_limit`]; [`client_address`]: which caller it is
//! - [`cross_site`]: refuses what a foreign page makes a browser send

pub mod around;
pub mod at_hand;
pub mod body_budget;
pub mod client_address;
pub mod cross_site;
pub mod failed_logins;
pub mod in_flight;
pub mod keyed_limit;
pub mod load_shedding;
pub mod panics;
pub mod rate_limits;
pub mod registration_limits;
