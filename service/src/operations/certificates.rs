//! Installs a certificate and gives it to its pass type, revokes it, and lets every process read it again.

use honoken_domain::certificate::{
    Certificate, CertificateCommand, CertificateError, CertificateEvent, Installation,
};
use honoken_domain::ids::{CertRef, JobId, OrganizationId, PassTypeIdentifier, TeamIdentifier};
use honoken_domain::pass_type::PassTypeError;
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::{Committed, DispatchError, Position};
use honoken_pkpass::IdentityError;
use honoken_projections::QueryError;
use honoken_projections::certificates::{CertificateRow, NamedCertificate};
use honoken_projections::pass_types::PassTypeRow;

use crate::install::{self, Enhanced, NotForPasses, Takeover};
use crate::operations::context::Context;
use crate::operations::credentials::Given;
use crate::operations::pass_types::{self, Assignment};
use crate::signers;

/// A certificate that is to sign.
#[derive(Debug)]
pub struct Order {
    /// Its name; without one that by which its pass type names its certificate.
    pub cert_ref: Option<CertRef>,
    /// Certificate, key and intermediate.
    pub given: Given,
    /// The team that the operator expects in it.
    pub team: Option<TeamIdentifier>,
    /// Whether Apple allows it to sign passes with `nfc`.
    pub enhanced: Enhanced,
    /// What the operator says about it.
    pub description: Option<String>,
    /// The organisation that is to own its pass type.
    pub organization: Option<OrganizationId>,
    /// Whether it takes over although that may be a mistake.
    pub takeover: Takeover,
}

/// Why a certificate was not installed. Each sentence names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum InstallFailure {
    /// It is not valid now.
    #[error("the certificate cannot sign now: ask Apple for another one, or take a newer intermediate")]
    CannotSign(#[source] IdentityError),
    /// It is another kind of certificate.
    #[error(transparent)]
    NotForPasses(#[from] NotForPasses),
    /// It is of another team than the operator says.
    #[error("the certificate is of team {found}, not of {said}")]
    OtherTeam {
        /// The team that the operator expects.
        said: TeamIdentifier,
        /// The team in the certificate.
        found: TeamIdentifier,
    },
    /// No such organisation.
    #[error("no organisation has the id `{0}`: make it first, or mend the id")]
    UnknownOrganization(OrganizationId),
    /// The certificate in use does not give way.
    #[error(transparent)]
    Certificate(DispatchError<CertificateError>),
    /// The pass type does not go to another organisation or team.
    #[error(transparent)]
    PassType(DispatchError<PassTypeError>),
    /// The read model is unavailable.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it was installed already.
    None,
    /// It is the first, or the first after one that was revoked.
    Installed,
    /// It took the place of another.
    Renewed,
    /// Its key did not open any more, and is sealed anew.
    SealedAnew,
}

/// A certificate that was installed.
#[derive(Debug)]
pub struct Installed {
    /// The certificate, and who uses it.
    pub named: NamedCertificate,
    /// What became of the order.
    pub change: Change,
    /// The position in the event log from which on it signs.
    pub position: Position,
    /// Whether its pass type was given to an organisation, or names this certificate from now on.
    pub is_assigned: bool,
    /// The job that brings the passes with `nfc` up to date.
    pub job: Option<JobId>,
}

/// Installs a certificate. With an organisation, its pass type is given to that and names the certificate.
///
/// # Errors
/// [`InstallFailure`]. Nothing has changed then, unless a store failed halfway: the same order again finishes it.
pub async fn install(
    context: &Context<'_>,
    keys: &SealingKeys,
    order: Order,
) -> Result<Installed, InstallFailure> {
    let identity = &order.given.credential.identity;
    identity
        .check(identity.pass_type_identifier(), identity.team_identifier(), context.now().0)
        .map_err(InstallFailure::CannotSign)?;
    let mut installation = install::installation(&order.given.credential, order.enhanced, keys, context.ids)?;
    if let Some(said) = order.team.filter(|said| *said != installation.team_identifier) {
        return Err(InstallFailure::OtherTeam { said, found: installation.team_identifier });
    }
    installation.description = order.description;
    installation.requested_key = order.given.requested_key;
    let pass_type = context.read_model.pass_type(&installation.pass_type_identifier).await?;
    let cert_ref = order.cert_ref.unwrap_or_else(|| usual_name(pass_type.as_ref(), &installation));
    let assignment =
        assignment(context, &cert_ref, &installation, order.organization, pass_type.as_ref()).await?;
    if let (Some(assignment), Some(row)) = (&assignment, &pass_type) {
        // Before the certificate is installed, so that a refusal changes nothing.
        pass_types::check(row, assignment, order.takeover)
            .map_err(|refusal| InstallFailure::PassType(DispatchError::Refused(refusal)))?;
    }
    let known = context.read_model.named_certificate(&cert_ref).await?;
    let (change, committed) =
        put(context, keys, &cert_ref, &installation, known.as_ref(), order.takeover).await?;
    let mut is_assigned = false;
    let mut position = committed.as_ref().map(|committed| committed.position).unwrap_or_default();
    if let Some(assignment) = assignment {
        let assigned = pass_types::assign(context, &assignment, pass_type.as_ref(), order.takeover).await;
        let assigned = assigned.map_err(InstallFailure::PassType)?;
        is_assigned = !assigned.events.is_empty();
        position = position.max(assigned.position);
        context.settle(&assigned).await;
    }
    let job = committed.as_ref().and_then(job_of);
    let named = as_installed(context, cert_ref, installation, known, committed.as_ref()).await?;
    Ok(Installed { named, change, position, is_assigned, job })
}

/// The name under which a certificate is installed when no other was chosen.
fn usual_name(pass_type: Option<&PassTypeRow>, installation: &Installation) -> CertRef {
    let named = pass_type.map(|row| row.cert_ref.clone());
    named.unwrap_or_else(|| CertRef::of_pass_type(&installation.pass_type_identifier))
}

/// What the pass type is told: its new owner, or the new team of the certificate that it names.
async fn assignment(
    context: &Context<'_>,
    cert_ref: &CertRef,
    installation: &Installation,
    organization: Option<OrganizationId>,
    pass_type: Option<&PassTypeRow>,
) -> Result<Option<Assignment>, InstallFailure> {
    let Installation { pass_type_identifier, team_identifier, .. } = installation;
    let organization_id = match (organization, pass_type) {
        (Some(organization), _) => {
            if context.read_model.organization_name(&organization).await?.is_none() {
                return Err(InstallFailure::UnknownOrganization(organization));
            }
            organization
        }
        (None, Some(row)) if row.cert_ref == *cert_ref => row.organization_id.clone(),
        (None, _) => return Ok(None),
    };
    Ok(Some(Assignment {
        pass_type_identifier: pass_type_identifier.clone(),
        organization_id,
        team_identifier: team_identifier.clone(),
        cert_ref: cert_ref.clone(),
        allows_nfc: installation.allows_nfc(),
    }))
}

/// Lets the certificate sign, or seals its key anew when that no longer opens.
async fn put(
    context: &Context<'_>,
    keys: &SealingKeys,
    cert_ref: &CertRef,
    installation: &Installation,
    known: Option<&NamedCertificate>,
    takeover: Takeover,
) -> Result<(Change, Option<Committed<Certificate>>), InstallFailure> {
    let in_use = known.and_then(|named| named.installed.as_ref()).filter(|row| !row.revoked);
    if in_use.is_some_and(|row| is_same(&row.installation, installation) && opens(keys, row)) {
        return Ok((Change::None, None));
    }
    let (dispatcher, metadata) = (context.dispatcher, context.metadata);
    let installed =
        install::install(dispatcher, cert_ref, installation.clone(), takeover, context.ids, metadata).await;
    let installed = installed.map_err(InstallFailure::Certificate)?;
    context.settle(&installed).await;
    let change = match installed.events.first() {
        Some(CertificateEvent::Renewed(_)) => Change::Renewed,
        Some(CertificateEvent::Resealed { .. }) => Change::SealedAnew,
        Some(_) => Change::Installed,
        None => Change::None,
    };
    Ok((change, Some(installed)))
}

fn is_same(known: &Installation, given: &Installation) -> bool {
    (&known.fingerprint, &known.intermediate, &known.description, known.allows_nfc())
        == (&given.fingerprint, &given.intermediate, &given.description, given.allows_nfc())
}

fn opens(keys: &SealingKeys, row: &CertificateRow) -> bool {
    signers::open(Some(keys), &row.installation).is_ok()
}

fn job_of(committed: &Committed<Certificate>) -> Option<JobId> {
    match committed.events.first() {
        Some(CertificateEvent::Installed(event) | CertificateEvent::Renewed(event)) => event.job.clone(),
        _ => None,
    }
}

/// The certificate as it is now, also when readers do not see it yet.
async fn as_installed(
    context: &Context<'_>,
    cert_ref: CertRef,
    installation: Installation,
    known: Option<NamedCertificate>,
    committed: Option<&Committed<Certificate>>,
) -> Result<NamedCertificate, QueryError> {
    let Some(committed) = committed else {
        let shown = context.read_model.named_certificate(&cert_ref).await?.or(known);
        return Ok(shown.unwrap_or_else(|| unseen(cert_ref, installation, context, None)));
    };
    let shown = context.read_model.named_certificate(&cert_ref).await?;
    let is_shown = |named: &NamedCertificate| {
        named.installed.as_ref().is_some_and(|row| row.position >= committed.position)
    };
    Ok(shown.filter(is_shown).unwrap_or_else(|| unseen(cert_ref, installation, context, Some(committed))))
}

fn unseen(
    cert_ref: CertRef,
    installation: Installation,
    context: &Context<'_>,
    committed: Option<&Committed<Certificate>>,
) -> NamedCertificate {
    let row = CertificateRow {
        cert_ref: cert_ref.clone(),
        installation,
        installed_at: context.now(),
        revoked: false,
        position: committed.map(|committed| committed.position).unwrap_or_default(),
    };
    NamedCertificate { cert_ref, installed: Some(row), requested: None, is_named: true, has_owner: true }
}

/// Stops signing with a certificate, and forgets a key that waits. `None` when there is none under this name.
///
/// # Errors
/// When a store is unavailable.
pub async fn revoke(
    context: &Context<'_>,
    cert_ref: &CertRef,
) -> Result<Option<Committed<Certificate>>, DispatchError<CertificateError>> {
    tell(context, cert_ref, CertificateCommand::Revoke).await
}

/// Lets every process read a certificate again. `None` when none signs under this name.
///
/// # Errors
/// When a store is unavailable.
pub async fn invalidate(
    context: &Context<'_>,
    cert_ref: &CertRef,
) -> Result<Option<Committed<Certificate>>, DispatchError<CertificateError>> {
    tell(context, cert_ref, CertificateCommand::Invalidate).await
}

async fn tell(
    context: &Context<'_>,
    cert_ref: &CertRef,
    command: CertificateCommand,
) -> Result<Option<Committed<Certificate>>, DispatchError<CertificateError>> {
    let id = cert_ref.as_str();
    match context.dispatcher.dispatch::<Certificate>(id, command, &(), context.metadata).await {
        Err(DispatchError::Refused(CertificateError::Unknown)) => Ok(None),
        told => {
            let told = told?;
            context.settle(&told).await;
            Ok(Some(told))
        }
    }
}

/// The name of the certificate that a pass type names; that of its own name for one that does not exist.
///
/// # Errors
/// When the read model is unavailable.
pub async fn name_of(
    context: &Context<'_>,
    pass_type_identifier: &PassTypeIdentifier,
) -> Result<CertRef, QueryError> {
    let row = context.read_model.pass_type(pass_type_identifier).await?;
    Ok(row.map_or_else(|| CertRef::of_pass_type(pass_type_identifier), |row| row.cert_ref))
}
