//! `honoken certs install`: installs a certificate from files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use honoken_domain::certificate::{Certificate, CertificateEvent, Installation};
use honoken_domain::ids::OrganizationId;
use honoken_domain::pass_type::{PassType, PassTypeCommand, PassTypeError};
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::{Committed, DispatchError};
use honoken_pkpass::{Credential, CredentialFiles};
use honoken_service::install::{self, Enhanced};
use honoken_service::signers::{self, Standing, date, standing};
use zeroize::Zeroizing;

use crate::operator::keys::ensure_organization;
use crate::operator::print::print_line;
use crate::operator::session::{Environment, LogPresence, Session, StorageOptions, sealing_keys};

pub(super) const EXAMPLES: &str = "\
Examples:
  The certificate that Apple issued for `honoken certs request`, for a pass type that is new here:
    honoken certs install --certificate pass.cer --key certificates/pass.com.example.ticket.key \\
        --intermediate AppleWWDRCAG4.cer --organization club

  An export from Keychain:
    honoken certs install --certificate pass.p12 --password-file password.txt --intermediate AppleWWDRCAG4.cer

  A certificate for passes with NFC whose name does not say so:
    honoken certs install --certificate pass.cer --key pass.key --intermediate AppleWWDRCAG4.cer --enhanced

  A renewal is the same command with the new certificate. On Postgres running processes use it at once; with SQLite files stop the
  service first, and start it again.";

/// The files, and the organisation of the pass type.
#[derive(Debug, Args)]
pub struct Options {
    /// The certificate: the .cer from Apple (DER or PEM), or a .p12 with its key.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// The private key (PEM or DER), if the certificate file does not hold it.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file with the password of the .p12 or of the key, on one line. (Other users could see a password on the command line.)
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Apple's intermediate (WWDR) that issued the certificate; one PEM file may hold several. A .p12 may hold it too.
    #[arg(long, value_name = "FILE")]
    intermediate: Option<PathBuf>,
    /// Give the pass type to this organisation, which is created if it is missing. Not needed for a renewal.
    #[arg(long, value_name = "ID", value_parser = |text: &str| OrganizationId::parse(text))]
    organization: Option<OrganizationId>,
    /// The name of a new organisation for people: the `organizationName` of its passes. It cannot be changed later.
    #[arg(long, value_name = "NAME", requires = "organization")]
    name: Option<String>,
    /// Say that Apple allows this certificate to sign passes with NFC. Not needed where its name says so ("Pass Type ID with NFC").
    #[arg(long)]
    enhanced: bool,
    #[command(flatten)]
    location: StorageOptions,
}

impl Options {
    fn enhanced(&self) -> Enhanced {
        if self.enhanced { Enhanced::Said } else { Enhanced::ByName }
    }
}

/// The limit on the size of a file: more than any certificate or key has.
const FILE_BYTES: u64 = 1024 * 1024;

pub(super) async fn run(options: &Options, environment: &Environment) -> anyhow::Result<()> {
    // Everything that can be wrong with the files is found before anything is opened.
    let credential = credential(options)?;
    let identity = &credential.identity;
    let now = environment.clock.unix_seconds();
    identity.check(identity.pass_type_identifier(), identity.team_identifier(), now.0).with_context(|| {
        "the certificate cannot sign now: ask Apple for another one with `honoken certs request`, or take a newer intermediate".to_owned()
    })?;
    let storage = options.location.storage(&environment.config)?;
    let keys = sealing_keys(&storage, &options.location, environment).await?;
    let installation = install::installation(&credential, options.enhanced(), &keys, &*environment.ids)?;
    Session::with(&storage, LogPresence::CreateIfMissing, environment, async |session| {
        let installer = Installer { options, environment, session, credential: &credential, keys: &keys };
        installer.run(&installation).await
    })
    .await
}

fn credential(options: &Options) -> anyhow::Result<Credential> {
    let certificate = read(&options.certificate)?;
    let key = options.key.as_deref().map(read).transpose()?;
    let intermediate = options.intermediate.as_deref().map(read).transpose()?;
    let password = options.password_file.as_deref().map(read).transpose()?;
    let password = password.as_deref().map(|bytes| first_line(bytes)).transpose()?;
    let files = CredentialFiles {
        certificate: &certificate,
        private_key: key.as_deref().map(Vec::as_slice),
        password: password.as_ref().map(|password| password.as_str()),
        intermediate: intermediate.as_deref().map(Vec::as_slice),
    };
    Ok(Credential::read(files)?)
}

fn read(file: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let about = || format!("could not read {}", file.display());
    let size = fs::metadata(file).with_context(about)?.len();
    anyhow::ensure!(
        size <= FILE_BYTES,
        "{} has {size} bytes, and is neither a certificate nor a key",
        file.display()
    );
    fs::read(file).map(Zeroizing::new).with_context(about)
}

/// Editors end a file with a line break, which is not part of the password.
fn first_line(bytes: &[u8]) -> anyhow::Result<Zeroizing<String>> {
    let text = std::str::from_utf8(bytes).context("the password file is not text")?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

struct Installer<'a> {
    options: &'a Options,
    environment: &'a Environment,
    session: &'a Session,
    credential: &'a Credential,
    keys: &'a SealingKeys,
}

impl Installer<'_> {
    async fn run(&self, installation: &Installation) -> anyhow::Result<()> {
        let pass_type = &installation.pass_type_identifier;
        self.check_pass_type(installation).await?;
        if let Some(organization) = &self.options.organization {
            let name = self.options.name.as_deref();
            ensure_organization(self.session, organization, name).await?;
            self.give_pass_type_to(organization, installation).await?;
        }
        let row = self.session.read_model.certificate(pass_type).await?;
        let is_in_use = row.is_some_and(|row| {
            let in_use = &row.installation;
            !row.revoked
                && (&in_use.fingerprint, &in_use.intermediate)
                    == (&installation.fingerprint, &installation.intermediate)
                && in_use.allows_nfc() == installation.allows_nfc()
                && signers::open(Some(self.keys), in_use).is_ok()
        });
        if is_in_use {
            return print_line(&format!(
                "the certificate of {pass_type} is installed already; no change was made"
            ));
        }
        let (ids, enhanced) = (&*self.environment.ids, self.options.enhanced());
        let (dispatcher, metadata) = (&self.session.dispatcher, self.session.metadata());
        let installed =
            install::install(dispatcher, self.credential, enhanced, self.keys, ids, metadata).await?;
        self.session.settle(installed.position).await;
        self.report(installation, &installed).await
    }

    /// A certificate that could never sign a pass here is not installed.
    async fn check_pass_type(&self, installation: &Installation) -> anyhow::Result<()> {
        let Installation { pass_type_identifier, team_identifier, .. } = installation;
        let Some(row) = self.session.read_model.pass_type(pass_type_identifier).await? else { return Ok(()) };
        anyhow::ensure!(
            row.team_identifier == *team_identifier,
            "{pass_type_identifier} belongs to team {}, and the certificate is of team {team_identifier}",
            row.team_identifier
        );
        if let Some(organization) = &self.options.organization {
            anyhow::ensure!(
                row.organization_id == *organization,
                "{pass_type_identifier} belongs to the organisation {}: leave out --organization to renew its certificate",
                row.organization_id
            );
        }
        Ok(())
    }

    async fn give_pass_type_to(
        &self,
        organization_id: &OrganizationId,
        installation: &Installation,
    ) -> anyhow::Result<()> {
        let pass_type_identifier = &installation.pass_type_identifier;
        let create = PassTypeCommand::Create {
            pass_type_identifier: pass_type_identifier.clone(),
            organization_id: organization_id.clone(),
            team_identifier: installation.team_identifier.clone(),
        };
        let id = pass_type_identifier.as_str();
        match self.session.dispatcher.dispatch::<PassType>(id, create, &(), self.session.metadata()).await {
            Err(DispatchError::Refused(PassTypeError::AlreadyCreated)) => {
                anyhow::bail!("{pass_type_identifier} belongs to another organisation or team")
            }
            given => {
                self.session.settle(given?.position).await;
                Ok(())
            }
        }
    }

    async fn report(
        &self,
        installation: &Installation,
        installed: &Committed<Certificate>,
    ) -> anyhow::Result<()> {
        let Installation { pass_type_identifier, team_identifier, not_before, not_after, .. } = installation;
        let what = match installed.events.first() {
            Some(CertificateEvent::Renewed(_)) => "renewed",
            Some(CertificateEvent::Resealed { .. }) => "sealed anew",
            Some(CertificateEvent::Installed(_) | CertificateEvent::Revoked { .. }) | None => "installed",
        };
        print_line(&format!(
            "{what}: the certificate of {pass_type_identifier} (team {team_identifier}) signs until {}",
            date(*not_after)
        ))?;
        if standing(*not_before, *not_after, self.environment.clock.unix_seconds()) == Standing::Expiring {
            print_line("it expires soon: ask Apple for another one with `honoken certs request`")?;
        }
        if installation.allows_nfc() {
            print_line("it may sign passes with NFC")?;
        }
        if let Some(CertificateEvent::Installed(event) | CertificateEvent::Renewed(event)) =
            installed.events.first()
            && let Some(job) = &event.job
        {
            print_line(&format!("the job {job} brings the passes with `nfc` up to date"))?;
        }
        if self.session.read_model.pass_type(pass_type_identifier).await?.is_none() {
            print_line(&format!(
                "no organisation has {pass_type_identifier} yet: run the command again with --organization ID to issue passes"
            ))?;
        }
        Ok(())
    }
}
