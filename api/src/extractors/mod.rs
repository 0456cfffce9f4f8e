//! What handlers read of a request.
//!
//! - [`path`], [`query`], [`json_body`]: taken apart strictly, so that every fault can be named
//! - [`client`]: the address that limits count for; [`request_id`]: the id of a request

pub mod client;
pub mod json_body;
pub mod path;
pub mod query;
pub mod request_id;
