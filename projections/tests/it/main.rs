//! From the log to the read model, with real files: what readers see, what survives a crash, what is parked.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod crash;
mod endless;
mod history;
mod listing;
mod lost_update;
mod model;
mod parking;
mod plans;
mod replay;
mod store_failure;
mod tables;
mod world;
