//! `honoken apns-keys`: the keys that authenticate pushes.
//!
//! - `install.rs`: installs a key from Apple's file
//! - `list.rs`: lists the keys
//! - `revoke.rs`: stops pushing with a key

mod install;
mod list;
mod revoke;

use clap::Subcommand;

use crate::operator::list::ListOptions;
use crate::operator::session::Environment;

/// The subcommands of `apns-keys`.
#[derive(Debug, Subcommand)]
pub enum ApnsKeysCommand {
    /// Check a key and push with it from now on, for all pass types of its team.
    #[command(after_help = install::EXAMPLES)]
    Install(install::Options),
    /// List the keys: their teams, their states, and the encryption keys that they are sealed under.
    #[command(after_help = list::EXAMPLES)]
    List(ListOptions),
    /// Stop pushing with a key. (Only Apple can revoke it everywhere: on its developer site.)
    #[command(after_help = revoke::EXAMPLES)]
    Revoke(revoke::Options),
}

/// `honoken apns-keys`
///
/// # Errors
/// With a sentence that says what to do.
pub async fn run(command: &ApnsKeysCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        ApnsKeysCommand::Install(options) => install::run(options, environment).await,
        ApnsKeysCommand::List(options) => list::run(options, environment).await,
        ApnsKeysCommand::Revoke(options) => revoke::run(options, environment).await,
    }
}
