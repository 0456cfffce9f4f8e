//! One sentence per rule: detected when broken, silent when kept.

mod actors;
mod address;
mod apns;
mod get;
mod http;
mod install;
mod line;
mod list;
mod log;
mod package;
mod pass_file;
mod register;
mod server;
