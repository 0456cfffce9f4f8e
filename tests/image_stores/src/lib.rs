//! Gives tests image stores on other machines, for use in development only.
//!
//! [`Redis`] is a real server, which `scripts/test` installs; [`S3`] is a server in this process that speaks the protocol, over a folder;
//! [`VercelBlob`] stands in for the service of that name behind its client, because the client knows no other address. Each belongs to one
//! test, which may take it away and bring it back. Nothing here knows another crate of the workspace.

mod redis;
mod s3;
mod vercel_blob;

pub use redis::{PASSWORD, Redis};
pub use s3::{ACCESS_KEY_ID, BUCKET, S3, SECRET_ACCESS_KEY};
pub use vercel_blob::{TOKEN, VercelBlob};
