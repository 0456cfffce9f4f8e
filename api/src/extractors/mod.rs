//! Extractors: the parts of a request that handlers read.
//!
//! - [`path`], [`query`], [`json_body`]: parsed strictly, so that every fault can be named
//! - [`client`]: the address that limits count for; [`request_id`]: the id of a request

pub mod client;
pub mod json_body;
pub mod paging;
pub mod path;
pub mod query;
pub mod request_id;
