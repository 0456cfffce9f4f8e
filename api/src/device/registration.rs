//! The registration of a device with a pass type, as its two endpoints reach it.

use honoken_domain::ids::{DeviceLibraryIdentifier, PassTypeIdentifier, RegistrationId};
use honoken_domain::registration::{Registration, RegistrationCommand};
use honoken_event_store::Committed;

use crate::app::App;
use crate::error::ApiError;
use crate::request_context::RequestId;

/// Carries a command of a device out.
///
/// # Errors
/// 503 when a store is away.
pub async fn dispatch(
    app: &App,
    device_library_identifier: DeviceLibraryIdentifier,
    pass_type_identifier: PassTypeIdentifier,
    command: RegistrationCommand,
    request_id: &RequestId,
) -> Result<Committed<Registration>, ApiError> {
    let actor = format!("device:{}", device_library_identifier.shortened());
    let id = RegistrationId { pass_type_identifier, device_library_identifier };
    let metadata = app.metadata(actor, None, &request_id.0);
    Ok(app.dispatcher.dispatch::<Registration>(&id.aggregate_id(), command, &(), &metadata).await?)
}
