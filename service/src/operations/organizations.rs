//! Organisations are made on purpose: nothing makes one by the way, and each new one is announced in the log output.

use honoken_domain::ids::OrganizationId;
use honoken_domain::organization::{
    Organization, OrganizationChange, OrganizationCommand, OrganizationError, OrganizationEvent,
};
use honoken_event_store::{Committed, DispatchError};

use crate::operations::context::Context;

/// The rule for a name for people.
pub const NAME_RULE: &str = "must have 1 to 256 characters and no control characters";

/// Whether a text can be the name of an organisation for people.
pub fn is_a_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= 256 && !text.chars().any(char::is_control)
}

/// Makes an organisation, for trying if `test` says so; one that exists under the same name and is of the same kind stays as it is.
///
/// # Errors
/// When it exists under another name or is of the other kind, or the event log is unavailable.
pub async fn create(
    context: &Context<'_>,
    organization_id: &OrganizationId,
    name: &str,
    test: bool,
) -> Result<Committed<Organization>, DispatchError<OrganizationError>> {
    let command =
        OrganizationCommand::Create { organization_id: organization_id.clone(), name: name.to_owned(), test };
    let created = tell(context, organization_id, command).await?;
    if !created.events.is_empty() {
        let kind = if test { "test organisation" } else { "organisation" };
        tracing::info!("made the {kind} {organization_id} (\"{name}\"), which did not exist before");
    }
    Ok(created)
}

/// Renames an organisation, disables or enables it, or limits its images.
///
/// # Errors
/// When it does not exist, or the event log is unavailable.
pub async fn change(
    context: &Context<'_>,
    organization_id: &OrganizationId,
    change: OrganizationChange,
) -> Result<Committed<Organization>, DispatchError<OrganizationError>> {
    let changed = tell(context, organization_id, OrganizationCommand::Change(change)).await?;
    for event in &changed.events {
        match event {
            OrganizationEvent::Disabled {} => tracing::warn!(
                "the organisation {organization_id} is disabled: its API keys are refused, and nothing is pushed for it"
            ),
            OrganizationEvent::Enabled {} => {
                tracing::info!("the organisation {organization_id} is enabled again");
            }
            _ => {}
        }
    }
    Ok(changed)
}

async fn tell(
    context: &Context<'_>,
    organization_id: &OrganizationId,
    command: OrganizationCommand,
) -> Result<Committed<Organization>, DispatchError<OrganizationError>> {
    let id = organization_id.as_str();
    let told = context.dispatcher.dispatch::<Organization>(id, command, &(), context.metadata).await?;
    if !told.events.is_empty() {
        context.settle(&told).await;
    }
    Ok(told)
}
