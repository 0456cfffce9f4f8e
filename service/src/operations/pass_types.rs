//! The owner of a pass type, and the certificate that signs its passes.

use honoken_domain::ids::{CertRef, OrganizationId, PassTypeIdentifier, TeamIdentifier};
use honoken_domain::pass_type::{PassType, PassTypeCommand, PassTypeError};
use honoken_event_store::{Committed, DispatchError};
use honoken_projections::QueryError;
use honoken_projections::pass_types::PassTypeRow;

use crate::ids;
use crate::install::Takeover;
use crate::operations::context::Context;

/// What a pass type is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The pass type.
    pub pass_type_identifier: PassTypeIdentifier,
    /// Who owns it.
    pub organization_id: OrganizationId,
    /// The team of the certificate.
    pub team_identifier: TeamIdentifier,
    /// The certificate.
    pub cert_ref: CertRef,
    /// Whether that may sign passes with `nfc`.
    pub allows_nfc: bool,
}

/// A pass type, its owner and its certificate, as an operator wants them.
#[derive(Debug, Clone)]
pub struct Order {
    /// The pass type.
    pub pass_type_identifier: PassTypeIdentifier,
    /// Who is to own it.
    pub organization_id: OrganizationId,
    /// The certificate that is to sign its passes.
    pub cert_ref: CertRef,
    /// Whether it may come from another organisation or team.
    pub takeover: Takeover,
}

/// Why a pass type stays as it is. Each sentence names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum AssignFailure {
    /// No such organisation.
    #[error("no organisation has the id `{0}`: make it first, or mend the id")]
    UnknownOrganization(OrganizationId),
    /// No such certificate.
    #[error("no certificate is installed as `{0}`: install it first, or mend the name")]
    UnknownCertificate(CertRef),
    /// It signs nothing.
    #[error("the certificate `{0}` was revoked: install another one under the name")]
    Revoked(CertRef),
    /// It signs the passes of another type.
    #[error("the certificate `{cert_ref}` is for the pass type {found}")]
    OfAnotherType {
        /// The certificate.
        cert_ref: CertRef,
        /// The `UID` of its subject.
        found: PassTypeIdentifier,
    },
    /// The pass type does not go to another organisation or team.
    #[error(transparent)]
    PassType(#[from] DispatchError<PassTypeError>),
    /// The read model is unavailable.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Gives a pass type to an organisation and names its certificate, both of which exist. Returns the team, and whether anything changed.
///
/// # Errors
/// [`AssignFailure`]. Nothing has changed then.
pub async fn order(context: &Context<'_>, order: Order) -> Result<(TeamIdentifier, bool), AssignFailure> {
    let Order { pass_type_identifier, organization_id, cert_ref, takeover } = order;
    if context.read_model.organization_name(&organization_id).await?.is_none() {
        return Err(AssignFailure::UnknownOrganization(organization_id));
    }
    let named = context.read_model.named_certificate(&cert_ref).await?;
    let Some(installed) = named.and_then(|named| named.installed) else {
        return Err(AssignFailure::UnknownCertificate(cert_ref));
    };
    if installed.revoked {
        return Err(AssignFailure::Revoked(cert_ref));
    }
    let installation = installed.installation;
    if installation.pass_type_identifier != pass_type_identifier {
        return Err(AssignFailure::OfAnotherType { cert_ref, found: installation.pass_type_identifier });
    }
    let allows_nfc = installation.allows_nfc();
    let team_identifier = installation.team_identifier;
    let row = context.read_model.pass_type(&pass_type_identifier).await?;
    let wanted = Assignment {
        pass_type_identifier,
        organization_id,
        team_identifier: team_identifier.clone(),
        cert_ref,
        allows_nfc,
    };
    let assigned = assign(context, &wanted, row.as_ref(), takeover).await?;
    context.settle(&assigned).await;
    Ok((team_identifier, !assigned.events.is_empty()))
}

/// Refuses in advance what [`assign`] will refuse.
///
/// # Errors
/// When the pass type would go to another organisation or team, and nobody said that this is meant.
pub fn check(row: &PassTypeRow, wanted: &Assignment, takeover: Takeover) -> Result<(), PassTypeError> {
    if takeover == Takeover::Forced {
        Ok(())
    } else if row.organization_id != wanted.organization_id {
        Err(PassTypeError::AnotherOrganization { owner: row.organization_id.clone() })
    } else if row.team_identifier != wanted.team_identifier {
        Err(PassTypeError::AnotherTeam { team: row.team_identifier.clone() })
    } else {
        Ok(())
    }
}

/// Gives a pass type to an organisation, and lets a certificate sign its passes. `row` is the pass type as it is.
///
/// # Errors
/// As [`check`], and when the event log is unavailable.
pub async fn assign(
    context: &Context<'_>,
    wanted: &Assignment,
    row: Option<&PassTypeRow>,
    takeover: Takeover,
) -> Result<Committed<PassType>, DispatchError<PassTypeError>> {
    // The certificate itself names the job when its successor under the same name allows something else.
    let is_other =
        |row: &&PassTypeRow| row.cert_ref != wanted.cert_ref && row.allows_nfc != wanted.allows_nfc;
    let job = row.filter(is_other).map(|_| ids::job_id(context.ids, context.metadata.recorded_at_ms));
    let command = PassTypeCommand::Assign {
        pass_type_identifier: wanted.pass_type_identifier.clone(),
        organization_id: wanted.organization_id.clone(),
        team_identifier: wanted.team_identifier.clone(),
        cert_ref: wanted.cert_ref.clone(),
        force: takeover == Takeover::Forced,
        job,
    };
    let id = wanted.pass_type_identifier.as_str();
    context.dispatcher.dispatch::<PassType>(id, command, &(), context.metadata).await
}
