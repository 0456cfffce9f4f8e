//! HTTP and NATS commands.
//!
//! Where to start reading: [`router`] is every route in one list; a handler is a file of its own under [`device`], [`manage`], [`admin`] or
//! [`operations`]. [`state`] is what a handler can reach, [`auth`] who may ask, [`extractors`] read requests, [`answers`] are parts of answers that
//! several handlers give, [`error`] is every answer that is no success. [`layers`] are around every request: limits, load shedding, the log line.
//! [`server`] accepts connections, [`nats`] takes commands from a broker, [`openapi`] writes the document from the same lines as the router.
//!
//! This crate contains no SQL and knows no environment variable.

pub mod admin;
pub mod answers;
pub mod auth;
pub mod device;
pub mod error;
pub mod extractors;
pub mod layers;
pub mod limits;
pub mod manage;
pub mod nats;
pub mod openapi;
pub mod operations;
pub mod router;
pub mod routes;
pub mod server;
pub mod state;
