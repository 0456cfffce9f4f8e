//! `honoken certs install`: installs a certificate from files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use honoken_domain::certificate::{CertificateError, Installation};
use honoken_domain::ids::{CertRef, OrganizationId, PassTypeIdentifier};
use honoken_domain::pass_type::PassTypeError;
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::DispatchError;
use honoken_pkpass::CredentialFiles;
use honoken_service::install::{Enhanced, Takeover};
use honoken_service::operations::certificates::{self, Change, InstallFailure, Installed, Order};
use honoken_service::operations::credentials::{self, Given};
use honoken_service::operations::pass_types::{self, Assignment};
use honoken_service::signers::{Standing, date, standing};
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

  A renewal is the same command with the new certificate. Running processes use it at once.";

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
    /// Give the pass type to this organisation, which must exist or be given a `--name`. Not needed for a renewal.
    #[arg(long, value_name = "ID", value_parser = |text: &str| OrganizationId::parse(text))]
    organization: Option<OrganizationId>,
    /// The name of a new organisation for people: the `organizationName` of its passes, which cannot be changed later. Only with it an organisation is made.
    #[arg(long, value_name = "NAME", requires = "organization")]
    name: Option<String>,
    /// Say that Apple allows this certificate to sign passes with NFC. Not needed where its name says so ("Pass Type ID with NFC").
    #[arg(long)]
    enhanced: bool,
    /// The name to install it under. Without one: the name by which its pass type names its certificate, at first the pass type itself.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| CertRef::parse(text))]
    cert_ref: Option<CertRef>,
    /// Install it although it ends earlier than the one in use, or although the pass type moves to another team or organisation: phones then take no
    /// update of the passes that they hold.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    location: StorageOptions,
}

impl Options {
    fn enhanced(&self) -> Enhanced {
        if self.enhanced { Enhanced::Said } else { Enhanced::ByName }
    }

    fn takeover(&self) -> Takeover {
        if self.force { Takeover::Forced } else { Takeover::OfSuccessor }
    }
}

/// The limit on the size of a file: more than any certificate or key has.
const FILE_BYTES: u64 = 1024 * 1024;

pub(super) async fn run(options: &Options, environment: &Environment) -> anyhow::Result<()> {
    // Everything that can be wrong with the files is found before anything is opened.
    let given = given(options)?;
    let identity = &given.credential.identity;
    let now = environment.clock.unix_seconds();
    identity.check(identity.pass_type_identifier(), identity.team_identifier(), now.0).with_context(|| {
        "the certificate cannot sign now: ask Apple for another one with `honoken certs request`, or take a newer intermediate".to_owned()
    })?;
    let place = options.location.place(&environment.config)?;
    let keys = sealing_keys(&place, &options.location, environment).await?;
    Session::with(&place, LogPresence::CreateIfMissing, environment, async |session| {
        let pass_type = given.credential.identity.pass_type_identifier();
        let name = options.cert_ref.as_ref().map_or(pass_type, CertRef::as_str);
        let target = format!("/certs/{name}");
        let installer = Installer { options, environment, session, keys: &keys };
        place.notes(environment, "putCertificate", target, Box::pin(installer.run(given))).await
    })
    .await
}

fn given(options: &Options) -> anyhow::Result<Given> {
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
    Ok(credentials::with_own_key(files)?)
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
    keys: &'a SealingKeys,
}

impl Installer<'_> {
    async fn run(&self, given: Given) -> anyhow::Result<()> {
        let Options { organization, name, cert_ref, .. } = self.options;
        if let Some(organization) = organization {
            self.check_owner(&given).await?;
            ensure_organization(self.session, self.environment, organization, name.as_deref()).await?;
        }
        let order = Order {
            cert_ref: cert_ref.clone(),
            given,
            team: None,
            enhanced: self.options.enhanced(),
            description: None,
            organization: organization.clone(),
            takeover: self.options.takeover(),
        };
        let context = self.session.context(self.environment);
        let team = order.given.credential.identity.team_identifier().to_owned();
        let installed = certificates::install(&context, self.keys, order).await;
        let installed = installed.map_err(|failure| explained(failure, &team))?;
        self.report(&installed)
    }

    /// Refuses another owner of the pass type before an organisation is made for it.
    async fn check_owner(&self, given: &Given) -> anyhow::Result<()> {
        let identity = &given.credential.identity;
        let Ok(pass_type) = PassTypeIdentifier::parse(identity.pass_type_identifier()) else { return Ok(()) };
        let row = self.session.read_model.pass_type(&pass_type).await?;
        let (Some(row), Some(organization_id)) = (row, &self.options.organization) else { return Ok(()) };
        let wanted = Assignment {
            pass_type_identifier: pass_type,
            organization_id: organization_id.clone(),
            team_identifier: row.team_identifier.clone(),
            cert_ref: row.cert_ref.clone(),
            allows_nfc: row.allows_nfc,
        };
        pass_types::check(&row, &wanted, self.options.takeover())
            .map_err(|refusal| InstallFailure::PassType(DispatchError::Refused(refusal)))
            .map_err(|failure| explained(failure, identity.team_identifier()))
    }

    fn report(&self, installed: &Installed) -> anyhow::Result<()> {
        let Some(row) = &installed.named.installed else { return Ok(()) };
        let Installation { pass_type_identifier, team_identifier, not_before, not_after, .. } =
            &row.installation;
        let what = match installed.change {
            Change::Installed => "installed",
            Change::Renewed => "renewed",
            Change::SealedAnew => "sealed anew",
            Change::None if installed.is_assigned => "given away",
            Change::None => {
                return print_line(&format!(
                    "the certificate of {pass_type_identifier} is installed already; no change was made"
                ));
            }
        };
        print_line(&format!(
            "{what}: the certificate of {pass_type_identifier} (team {team_identifier}) signs until {}",
            date(*not_after)
        ))?;
        if standing(*not_before, *not_after, self.environment.clock.unix_seconds()) == Standing::Expiring {
            print_line("it expires soon: ask Apple for another one with `honoken certs request`")?;
        }
        if row.installation.allows_nfc() {
            print_line("it may sign passes with NFC")?;
        }
        if !honoken_pkpass::is_issued_by_apple(row.installation.certificate.as_bytes()) {
            print_line(
                "none of Apple's intermediates has issued it: no phone will take a pass that it signs",
            )?;
        }
        if let Some(job) = &installed.job {
            print_line(&format!("the job {job} brings the passes with `nfc` up to date"))?;
        }
        if !installed.named.has_owner {
            print_line(&format!(
                "no organisation has {pass_type_identifier} yet: run the command again with --organization ID to issue passes"
            ))?;
        } else if !installed.named.is_named {
            print_line(&format!(
                "the passes of {pass_type_identifier} are signed with another certificate: run the command again with --organization ID to sign them with this one"
            ))?;
        }
        Ok(())
    }
}

/// The refusal of a certificate of this team, in the words of this command.
fn explained(failure: InstallFailure, team: &str) -> anyhow::Error {
    let advice = match &failure {
        InstallFailure::PassType(DispatchError::Refused(PassTypeError::AnotherOrganization { .. })) => {
            "leave out --organization to renew its certificate, or say --force"
        }
        InstallFailure::PassType(DispatchError::Refused(PassTypeError::AnotherTeam { .. })) => {
            return anyhow::anyhow!(
                "{failure}: the certificate is of team {team}; say --force if this is meant"
            );
        }
        InstallFailure::Certificate(DispatchError::Refused(
            CertificateError::AnotherTeam { .. } | CertificateError::EndsEarlier { .. },
        )) => "say --force if this is meant",
        _ => return failure.into(),
    };
    anyhow::anyhow!("{failure}: {advice}")
}
