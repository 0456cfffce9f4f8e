//! Which table an event goes to.

use honoken_database::statements::Connection;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::RecordedEvent;

use crate::tables::apply_error::ApplyError;
use crate::tables::{
    wallet_apns_key, wallet_cert, wallet_image, wallet_job, wallet_organization, wallet_pass,
    wallet_pass_type, wallet_registration,
};

/// Applies events, already upcast, to the tables of their aggregates. Aggregates of different types share only [`wallet_image`], to which
/// they add in any order, so only the order within a type matters. There are two exceptions: every pass is compared with the default images
/// and the certificate as they are at its position in the event log, and changes of these begin jobs.
pub(crate) async fn apply(connection: &mut Connection, events: Vec<RecordedEvent>) -> Result<(), ApplyError> {
    let (mut passes, mut registrations) = (Vec::new(), Vec::new());
    for recorded in events {
        match recorded.event.aggregate_type.as_str() {
            "Pass" => passes.push(recorded),
            "Registration" => registrations.push(recorded),
            "PassType" => {
                wallet_pass::apply(connection, std::mem::take(&mut passes)).await?;
                wallet_pass_type::apply(connection, recorded).await?;
            }
            "BrandAssets" => {
                wallet_pass::apply(connection, std::mem::take(&mut passes)).await?;
                wallet_pass_type::apply_brand(connection, recorded).await?;
            }
            "Job" => wallet_job::apply(connection, recorded).await?,
            "Certificate" => {
                wallet_pass::apply(connection, std::mem::take(&mut passes)).await?;
                wallet_cert::apply(connection, recorded).await?;
            }
            "ApnsKey" => wallet_apns_key::apply(connection, recorded).await?,
            "UploadedImage" => wallet_image::apply(connection, recorded).await?,
            "Organization" => wallet_organization::apply(connection, recorded).await?,
            other => {
                return Err(ApplyError::Unappliable(format!(
                    "this release does not know the aggregate `{other}`"
                )));
            }
        }
    }
    wallet_pass::apply(connection, passes).await?;
    wallet_registration::apply(connection, registrations).await
}

/// Brings an event of an older release to the version that this release writes.
pub(crate) fn upcast(upcasters: &Upcasters, recorded: RecordedEvent) -> RecordedEvent {
    RecordedEvent { event: upcasters.upcast(recorded.event), ..recorded }
}
