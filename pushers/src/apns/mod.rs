//! The client of Apple's push servers: HTTP/2 straight on the crate `h2`, since its streams, SETTINGS and GOAWAY decide what may be sent again.
//!
//! In reading order:
//!
//! - `options.rs`: the options, and those that are refused.
//! - `reasons.rs`: every answer of APNs and what follows from it, in one place.
//! - `client.rs`: one push from its credential to its [`Outcome`](crate::outcome::Outcome), with the faults that can be put right at once.
//! - `pool.rs`: the connections of one credential: which one is used, when another is opened, and when none is for a while.
//! - `connection.rs`: one connection: TLS, HTTP/2, and whether it is still alive.
//! - `request.rs`: the headers, most of which are the same for all pushes of a topic.
//! - `provider_token.rs`: the signed token of an APNs key.
//! - `tls.rs`: the servers that are trusted, and the certificate that is shown to them.
//!
//! Apple's pages: *Sending notification requests to APNs*, *Handling notification responses from APNs*, *Establishing a token-based
//! connection to APNs*, *Establishing a certificate-based connection to APNs*.

mod client;
mod connection;
mod options;
mod pool;
mod provider_token;
mod reasons;
mod request;
mod tls;

pub use self::client::ApnsClient;
pub use self::options::{InvalidOptions, Options, PushType};
