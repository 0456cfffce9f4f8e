//! A registration of which an event cannot be read mends itself, once an operator has decided to do without that event.

use honoken_domain::ids::RegistrationId;
use honoken_domain::registration::RegistrationError;
use honoken_event_store::{DispatchError, Metadata};
use honoken_projections::{QueryError, ReadModel, WALLET};

use crate::commands::Commands;

/// Why a registration was not mended. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum MendFailure {
    /// It was not stated anew.
    #[error(transparent)]
    Registration(#[from] DispatchError<RegistrationError>),
    /// The read model could not be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// States a damaged registration anew, from all events that can be read, if operators have skipped those that cannot. Whether it can be asked
/// again.
///
/// An event that this process cannot read and that was not skipped may be one of a newer release, which other processes understand.
///
/// # Errors
/// When a store is unavailable.
pub async fn mend(
    commands: &Commands,
    read_model: &ReadModel,
    id: &RegistrationId,
    metadata: &Metadata,
) -> Result<bool, MendFailure> {
    let damage = commands.damage_of_registration(id).await.map_err(DispatchError::Log)?;
    let skipped = read_model.skipped_events(WALLET).await?;
    if !damage.iter().all(|position| skipped.contains(position)) {
        return Ok(false);
    }
    if commands.repair_registration(id, metadata).await?.is_some() {
        tracing::warn!(
            device.id = %id.device_library_identifier.shortened(),
            "a registration is stated anew, without the events that were skipped"
        );
    }
    Ok(true)
}
