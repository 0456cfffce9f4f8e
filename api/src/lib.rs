//! HTTP and NATS commands.
//!
//! Where to start reading: [`router`] lists every route; each handler is a file under [`device`], [`manage`], [`admin`] or [`operations`].
//! [`state`] holds what handlers use, [`auth`] authenticates callers, [`extractors`] read requests, [`answers`] are parts that the answers
//! of several handlers share, [`doctor`] inspects passes, [`first_steps`] are shown at `/`, [`error`] holds every error answer, [`damage`] the words about events that cannot be read. [`layers`] are around every request: limits, load shedding, the log line.
//! [`server`] accepts connections, [`nats`] takes commands over NATS, [`openapi`] generates the document from the same lines as the router.
//!
//! This crate contains no SQL and reads no environment variable.

pub mod admin;
pub mod answers;
pub mod auth;
pub mod causes;
pub mod damage;
pub mod device;
pub mod doctor;
pub mod error;
pub mod extractors;
pub mod first_steps;
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
