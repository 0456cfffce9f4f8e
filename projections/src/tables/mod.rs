//! The effects of events on the tables: one file for each table. A table that is written with another one is in the file of that one.

pub(crate) mod apply_error;
pub(crate) mod wallet_apns_key;
pub(crate) mod wallet_cert;
pub(crate) mod wallet_image;
pub(crate) mod wallet_job;
pub(crate) mod wallet_organization;
pub(crate) mod wallet_outdated_pass;
pub(crate) mod wallet_pass;
pub(crate) mod wallet_pass_type;
pub(crate) mod wallet_personalization;
pub(crate) mod wallet_registration;

mod change;
