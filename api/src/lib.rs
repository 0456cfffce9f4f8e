//! The HTTP service and the binary `honoken`.
//!
//! Where to start reading: [`router`] is every route in one list; a handler is a file of its own under [`device`], [`manage`] or [`admin`].
//! [`app`] puts the parts together, [`place`] says where log and read model are, [`server`] listens, [`jobs`] is what runs in the background, [`pushing`] what wakes phones. [`cli`] is the command line: [`dev`] sets up
//! a folder in which everything works, [`serve`] runs the service or a part of it, [`certs`], [`apns_keys`], [`keys`] and [`operate`] are for operators,
//! [`inspect`] and [`phone`] for anybody.
//!
//! This crate knows all others. It contains no SQL.

pub mod apns_keys;
pub mod app;
pub mod blobs;
pub mod built_passes;
pub mod clock;
pub mod commands;
pub mod config;
pub mod content_rules;
pub mod dead_tokens;
pub mod ending;
pub mod folder;
pub mod following;
pub mod ids;
pub mod installing;
pub mod keyring;
pub mod log_output;
pub mod logging;
pub mod metrics;
pub mod operator_password;
pub mod place;
pub mod push_credentials;
pub mod release;
pub mod signers;

pub mod auth;
pub mod budget;
pub mod client_address;
pub mod cross_site;
pub mod error;
pub mod failed_logins;
pub mod headers;
pub mod json_body;
pub mod keyed_limit;
pub mod limits;
pub mod load;
pub mod openapi;
pub mod path;
pub mod query;
pub mod rates;
pub mod registration_limits;
pub mod request_context;
pub mod router;
pub mod server;
pub mod service;
pub mod set_back;
pub mod update_tag;

pub mod admin;
pub mod device;
pub mod docs;
pub mod health;
pub mod jobs;
pub mod manage;
pub mod nats_commands;
pub mod pushing;
pub mod scrape;

pub mod certs;
pub mod cli;
pub mod desk;
pub mod dev;
pub mod inspect;
pub mod keys;
pub mod operate;
pub mod paper;
pub mod phone;
pub mod serve;

#[cfg(test)]
mod generated;

/// For every program that this crate is part of.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
