//! The library behind the binary `honoken`.
//!
//! [`cli`] is the command line. `dev` sets up a folder for development, [`serve`] runs the service or a part of it, both over [`process`]
//! and [`sockets`]; [`config`] is the configuration from the environment. [`operator`] holds the commands of operators, and [`admin`] sends their requests to a running service; [`import`] takes passes of
//! another service over; [`inspect`] and [`phone`] are for everyone; [`spelling`] finds names that were meant.

pub mod admin;
pub mod cli;
pub mod config;
pub mod dev;
pub mod import;
pub mod inspect;
pub mod operator;
pub mod operator_password;
pub mod phone;
pub mod process;
pub mod release;
pub mod serve;
pub mod server_address;
pub mod sockets;
pub mod spelling;

/// The allocator of every program that this crate is part of.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
