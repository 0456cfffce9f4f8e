//! What a phone says that it has already, and whether that is the newest.
//!
//! - [`Validators`]: the tag and the date of a state, and the conditions `If-None-Match` and `If-Modified-Since` of a request for it
//!   (RFC 9110, section 13).
//! - [`update_tag`]: the value of `passesUpdatedSince`.
//! - [`http_date`]: dates as HTTP writes them.
//!
//! Everything that is read here comes from outside and may be any text: no text is an error, and one that means nothing is as good as
//! none. This room knows no store, and no type of another room.

pub mod http_date;
pub mod update_tag;
mod validators;

pub use validators::Validators;
