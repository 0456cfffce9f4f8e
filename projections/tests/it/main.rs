//! From the log to the read model, with real files and a real server: what readers see, what survives a crash, what is parked, and what happens
//! when several processes run the projection.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod comparing;
mod crash;
mod endless;
mod filling;
mod history;
mod images;
mod jobs;
mod json;
mod listing;
mod lists;
mod lost_update;
mod model;
mod parking;
mod plans;
mod processes;
mod proxy;
mod readers;
mod rebuilding;
mod replay;
mod reports;
mod restarts;
mod row_cache;
mod store_failure;
mod tables;
mod world;
