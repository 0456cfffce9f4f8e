//! The keys with which teams push.

use honoken_database::statements::{Row, sql};
use honoken_domain::apns_key::ApnsKeyInstallation;
use honoken_domain::ids::{ApnsKeyId, Digest, KeyIdentifier, KeyRef, TeamIdentifier, UnixSeconds};
use honoken_domain::sealed::Sealed;
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::invalid_value;

/// A key as it was installed last.
#[derive(Debug, Clone, PartialEq)]
pub struct ApnsKeyRow {
    /// The key, sealed.
    pub installation: ApnsKeyInstallation,
    /// The time of its installation.
    pub installed_at: UnixSeconds,
    /// The position of its installation in the event log. The newest active key of a team is the one to push with.
    pub installed: Position,
    /// Whether it may be pushed with; that is done if its team has no newer one.
    pub active: bool,
    /// The position of its last change in the event log.
    pub position: Position,
}

impl ReadModel {
    /// The APNs keys that were changed behind a position, revoked ones too, in the order of their changes; all of them from 0 on. Cheap when
    /// there are none.
    pub async fn apns_keys_changed_after(&self, position: Position) -> Result<Vec<ApnsKeyRow>, QueryError> {
        let rows = sql(
            "select team_identifier, key_identifier, fingerprint, private_key, installed_at, installed, active, position, key_ref
             from wallet_apns_key
             where position > $1
             order by position",
        )
        .bind(position.0.cast_signed())
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(row).collect()).map_err(QueryError::of("APNs keys"))
    }

    /// An APNs key, also when it was revoked.
    pub async fn apns_key(&self, id: &ApnsKeyId) -> Result<Option<ApnsKeyRow>, QueryError> {
        let found = sql(
            "select team_identifier, key_identifier, fingerprint, private_key, installed_at, installed, active, position, key_ref
             from wallet_apns_key
             where team_identifier = $1 and key_identifier = $2",
        )
        .bind(id.team_identifier.as_str())
        .bind(id.key_identifier.as_str())
        .fetch_optional(&self.readers)
        .await;
        found.and_then(|found| found.as_ref().map(row).transpose()).map_err(QueryError::of("an APNs key"))
    }
}

fn row(row: &Row) -> sqlx::Result<ApnsKeyRow> {
    let text = |column| row.get::<String>(column);
    Ok(ApnsKeyRow {
        installation: ApnsKeyInstallation {
            team_identifier: TeamIdentifier::parse(text("team_identifier")?).map_err(invalid_value)?,
            key_identifier: KeyIdentifier::parse(text("key_identifier")?).map_err(invalid_value)?,
            fingerprint: Digest::parse(text("fingerprint")?).map_err(invalid_value)?,
            private_key: Sealed::parse(text("private_key")?).map_err(invalid_value)?,
            key_ref: row
                .get::<Option<String>>("key_ref")?
                .map(KeyRef::parse)
                .transpose()
                .map_err(invalid_value)?,
        },
        installed_at: UnixSeconds(row.get("installed_at")?),
        installed: Position(row.get::<i64>("installed")?.cast_unsigned()),
        active: row.get("active")?,
        position: Position(row.get::<i64>("position")?.cast_unsigned()),
    })
}
