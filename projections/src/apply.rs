//! Which table an event goes to.

use honoken_domain::ids::InvalidId;
use honoken_event_store::RecordedEvent;

use crate::{
    wallet_apns_key, wallet_cert, wallet_image, wallet_job, wallet_organization, wallet_pass,
    wallet_pass_type, wallet_registration,
};
use honoken_database::statements::Connection;

/// Why an event was not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// It will not be applied however often it is tried by this release: it is parked.
    #[error("{0}")]
    Unappliable(String),
    /// The store is away; the same event is tried again.
    #[error("the read model could not be written")]
    Store(#[source] sqlx::Error),
}

impl From<sqlx::Error> for ApplyError {
    fn from(fault: sqlx::Error) -> Self {
        let breaks_a_rule = fault.as_database_error().is_some_and(|database| {
            database.is_unique_violation()
                || database.is_foreign_key_violation()
                || database.is_check_violation()
                // Postgres's classes for values that a column cannot hold, and for rules that are broken. SQLite's codes are shorter.
                || database.code().is_some_and(|code| {
                    code.len() == 5 && (code.starts_with("22") || code.starts_with("23"))
                })
        });
        if breaks_a_rule { Self::Unappliable(fault.to_string()) } else { Self::Store(fault) }
    }
}

impl From<serde_json::Error> for ApplyError {
    fn from(fault: serde_json::Error) -> Self {
        // What stands in quotes may be a value of the event, and so a secret.
        let reason = fault.to_string().split('"').step_by(2).collect::<Vec<_>>().join("\"…\"");
        Self::Unappliable(format!("the event does not decode: {reason}"))
    }
}

impl From<InvalidId> for ApplyError {
    fn from(fault: InvalidId) -> Self {
        Self::Unappliable(format!("the event names something that cannot be: {fault}"))
    }
}

/// Applies events, upcast already, to the tables of their aggregates. Aggregates of different types have no table in common but [`wallet_image`],
/// to which they add in any order, so only the order within a type matters; but for the images that passes fall back to, with which every pass
/// is compared as they are at its place in the log, and the jobs that changes of these begin.
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
            "Certificate" => wallet_cert::apply(connection, recorded).await?,
            "ApnsKey" => wallet_apns_key::apply(connection, recorded).await?,
            "UploadedImage" => wallet_image::apply(connection, recorded).await?,
            "Organization" => wallet_organization::apply(connection, recorded).await?,
            other => {
                return Err(ApplyError::Unappliable(format!("this release knows no aggregate `{other}`")));
            }
        }
    }
    wallet_pass::apply(connection, passes).await?;
    wallet_registration::apply(connection, registrations).await
}

/// The sequence as it is stored.
pub(crate) fn sequence_of(recorded: &RecordedEvent) -> i64 {
    i64::try_from(recorded.event.sequence).unwrap_or(i64::MAX)
}
