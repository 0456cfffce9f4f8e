//! Behind the binary `honoken`: what people run.
//!
//! [`cli`] is the command line. `dev` sets up a folder in which everything works, [`serve`] runs the service or a part of it, both over
//! [`process`] and [`sockets`]; [`config`] is what the environment says. [`operator`] are the commands of operators; [`inspect`] and [`phone`] are for everybody.

pub mod cli;
pub mod config;
pub mod dev;
pub mod inspect;
pub mod operator;
pub mod operator_password;
pub mod phone;
pub mod process;
pub mod release;
pub mod serve;
pub mod sockets;

/// For every program that this crate is part of.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
