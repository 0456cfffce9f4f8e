//! `honoken certs`: the certificates that sign passes.
//!
//! - `request.rs`: a key, and the request that Apple needs for it
//! - `install.rs`: installs a certificate from files
//! - `list.rs`: lists the certificates
//! - `revoke.rs`: stops signing with a certificate

mod install;
mod list;
mod request;
mod revoke;

use clap::Subcommand;

use crate::operator::list::ListOptions;
use crate::operator::session::Environment;

/// The subcommands of `certs`.
#[derive(Debug, Subcommand)]
pub enum CertsCommand {
    /// Make a private key and the request that Apple turns into a certificate. Needs no Mac, no Keychain and no database.
    #[command(after_help = request::EXAMPLES)]
    Request(request::Options),
    /// Check a certificate with its key and the intermediate, and sign with it from now on, in place of the previous one.
    #[command(after_help = install::EXAMPLES)]
    Install(install::Options),
    /// List the certificates: their pass types, their expiry, and the encryption keys that they are sealed under.
    #[command(after_help = list::EXAMPLES)]
    List(ListOptions),
    /// Stop signing with a certificate. (Only Apple can revoke it everywhere: on its developer site.)
    #[command(after_help = revoke::EXAMPLES)]
    Revoke(revoke::Options),
}

/// `honoken certs`
///
/// # Errors
/// With a sentence that says what to do.
pub async fn run(command: &CertsCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        CertsCommand::Request(options) => request::run(options),
        CertsCommand::Install(options) => install::run(options, environment).await,
        CertsCommand::List(options) => list::run(options, environment).await,
        CertsCommand::Revoke(options) => revoke::run(options, environment).await,
    }
}
