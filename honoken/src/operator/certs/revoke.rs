//! `honoken certs revoke`: stops signing with a certificate.

use clap::Args;
use honoken_domain::certificate::{Certificate, CertificateCommand, CertificateError};
use honoken_domain::ids::PassTypeIdentifier;
use honoken_event_store::DispatchError;

use crate::operator::print::print_line;
use crate::operator::session::{Environment, LogPresence, Session, StorageOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken certs revoke --pass-type pass.com.example.ticket

Its passes are kept and can be changed; phones are asked to come back later until another certificate is installed.";

/// The certificate to revoke.
#[derive(Debug, Args)]
pub struct Options {
    /// The pass type of the certificate.
    #[arg(long, value_name = "IDENTIFIER", value_parser = |text: &str| PassTypeIdentifier::parse(text))]
    pass_type: PassTypeIdentifier,
    #[command(flatten)]
    location: StorageOptions,
}

pub(super) async fn run(options: &Options, environment: &Environment) -> anyhow::Result<()> {
    let storage = options.location.storage(&environment.config)?;
    let pass_type = &options.pass_type;
    Session::with(&storage, LogPresence::MustExist, environment, async |session| {
        let (id, revoke) = (pass_type.as_str(), CertificateCommand::Revoke);
        match session.dispatcher.dispatch::<Certificate>(id, revoke, &(), session.metadata()).await {
            Err(DispatchError::Refused(CertificateError::Unknown)) => {
                anyhow::bail!(
                    "no certificate is in use for {pass_type}; `honoken certs list` shows those that are"
                )
            }
            revoked => session.settle(revoked?.position).await,
        }
        print_line(&format!("the certificate of {pass_type} no longer signs"))
    })
    .await
}
