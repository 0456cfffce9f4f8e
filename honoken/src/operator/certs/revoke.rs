//! `honoken certs revoke`: a certificate signs no more.

use clap::Args;
use honoken_domain::certificate::{Certificate, CertificateCommand, CertificateError};
use honoken_domain::ids::PassTypeIdentifier;
use honoken_event_store::DispatchError;

use crate::operator::print::say;
use crate::operator::session::{Beginning, Environment, Session, StorageOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken certs revoke --pass-type pass.com.example.ticket

Its passes are kept and can be changed; phones are asked to come back until another certificate is installed.";

/// Which one.
#[derive(Debug, Args)]
pub struct Options {
    /// The pass type whose certificate it is.
    #[arg(long, value_name = "IDENTIFIER", value_parser = |text: &str| PassTypeIdentifier::parse(text))]
    pass_type: PassTypeIdentifier,
    #[command(flatten)]
    location: StorageOptions,
}

pub(super) async fn run(options: &Options, circumstances: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&circumstances.config)?;
    let pass_type = &options.pass_type;
    Session::with(&place, Beginning::MustExist, circumstances, async |desk| {
        let (id, revoke) = (pass_type.as_str(), CertificateCommand::Revoke);
        match desk.dispatcher.dispatch::<Certificate>(id, revoke, &(), desk.metadata()).await {
            Err(DispatchError::Refused(CertificateError::Unknown)) => {
                anyhow::bail!(
                    "no certificate is in use for {pass_type}; `honoken certs list` shows those that are"
                )
            }
            revoked => desk.settle(revoked?.position).await,
        }
        say(&format!("the certificate of {pass_type} signs no more"))
    })
    .await
}
