//! `honoken certs revoke`: stops signing with a certificate.

use anyhow::Context;
use clap::Args;
use honoken_domain::ids::{CertRef, PassTypeIdentifier};
use honoken_service::operations::certificates;

use crate::operator::print::print_line;
use crate::operator::session::{Environment, LogPresence, Session, StorageOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken certs revoke --pass-type pass.com.example.ticket
  honoken certs revoke --cert-ref club-2026

Its passes are kept and can be changed; phones are asked to come back later until another certificate is installed.";

/// The certificate to revoke.
#[derive(Debug, Args)]
pub struct Options {
    /// The pass type of the certificate: the one that signs its passes is meant.
    #[arg(long, value_name = "IDENTIFIER", required_unless_present = "cert_ref", value_parser = |text: &str| PassTypeIdentifier::parse(text))]
    pass_type: Option<PassTypeIdentifier>,
    /// The name of the certificate.
    #[arg(long, value_name = "NAME", conflicts_with = "pass_type", value_parser = |text: &str| CertRef::parse(text))]
    cert_ref: Option<CertRef>,
    #[command(flatten)]
    location: StorageOptions,
}

pub(super) async fn run(options: &Options, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        let context = session.context(environment);
        let (cert_ref, meant) = match (&options.cert_ref, &options.pass_type) {
            (Some(cert_ref), _) => (cert_ref.clone(), cert_ref.to_string()),
            (None, Some(pass_type)) => {
                (certificates::name_of(&context, pass_type).await?, pass_type.to_string())
            }
            (None, None) => anyhow::bail!("name the certificate with --pass-type or --cert-ref"),
        };
        let work = async {
            certificates::revoke(&context, &cert_ref).await?.with_context(|| {
                format!("no certificate is in use for {meant}; `honoken certs list` shows those that are")
            })?;
            print_line(&format!("the certificate of {meant} no longer signs"))
        };
        place.notes(environment, "revokeCertificate", format!("/certs/{cert_ref}"), work).await
    })
    .await
}
