//! What events do to the tables: one file for each aggregate's tables, named for the first of them.

pub(crate) mod apply_error;
pub(crate) mod wallet_apns_key;
pub(crate) mod wallet_cert;
pub(crate) mod wallet_image;
pub(crate) mod wallet_job;
pub(crate) mod wallet_organization;
pub(crate) mod wallet_outdated_pass;
pub(crate) mod wallet_pass;
pub(crate) mod wallet_pass_type;
pub(crate) mod wallet_registration;
