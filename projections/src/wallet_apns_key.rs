//! `wallet_apns_key`: what teams push with. Private keys are in it sealed, and this crate cannot open them.

use honoken_domain::apns_key::{ApnsKeyEvent, ApnsKeyInstallation};
use honoken_domain::ids::{ApnsKeyId, Digest, KeyIdentifier, TeamIdentifier, UnixSeconds};
use honoken_domain::sealed::Sealed;
use honoken_event_store::{Position, RecordedEvent};

use crate::apply::{ApplyError, sequence_of};
use crate::read_model::{QueryError, ReadModel, decode};
use honoken_database::statements::{Connection, Row, sql};

/// A key as it was installed last.
#[derive(Debug, Clone, PartialEq)]
pub struct ApnsKeyRow {
    /// The key, sealed.
    pub installation: ApnsKeyInstallation,
    /// When it was installed.
    pub installed_at: UnixSeconds,
    /// Where in the log that was: of several active keys of a team the one with the highest is pushed with.
    pub installed: Position,
    /// It is pushed with, or would be if there were no newer one of its team.
    pub active: bool,
    /// Where in the log it was changed last.
    pub position: Position,
}

impl ReadModel {
    /// The APNs keys that were changed behind a position, revoked ones too, in the order of their changes; from 0 on all of them. Costs next
    /// to nothing when there are none.
    pub async fn apns_keys_changed_after(&self, position: Position) -> Result<Vec<ApnsKeyRow>, QueryError> {
        let rows = sql(
            "select team_identifier, key_identifier, fingerprint, private_key, installed_at, installed, active, position
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
            "select team_identifier, key_identifier, fingerprint, private_key, installed_at, installed, active, position
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
            team_identifier: TeamIdentifier::parse(text("team_identifier")?).map_err(decode)?,
            key_identifier: KeyIdentifier::parse(text("key_identifier")?).map_err(decode)?,
            fingerprint: Digest::parse(text("fingerprint")?).map_err(decode)?,
            private_key: Sealed::parse(text("private_key")?).map_err(decode)?,
        },
        installed_at: UnixSeconds(row.get("installed_at")?),
        installed: Position(row.get::<i64>("installed")?.cast_unsigned()),
        active: row.get("active")?,
        position: Position(row.get::<i64>("position")?.cast_unsigned()),
    })
}

pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let id = ApnsKeyId::parse(&recorded.event.aggregate_id)?;
    let change = Change {
        sequence: sequence_of(&recorded),
        position: recorded.position.0.cast_signed(),
        at: recorded.recorded_at_ms.div_euclid(1000),
    };
    match serde_json::from_value(recorded.event.payload)? {
        ApnsKeyEvent::Installed(installation) => put(connection, &id, &installation, &change).await,
        ApnsKeyEvent::Resealed { private_key, .. } => reseal(connection, &id, &private_key, &change).await,
        ApnsKeyEvent::Revoked { .. } => revoke(connection, &id, &change).await,
    }
}

/// Which event, and when.
struct Change {
    sequence: i64,
    position: i64,
    at: i64,
}

async fn put(
    connection: &mut Connection,
    id: &ApnsKeyId,
    installation: &ApnsKeyInstallation,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("insert into wallet_apns_key (team_identifier, key_identifier, fingerprint, private_key, installed_at, installed, active, position, sequence)
         values ($1, $2, $3, $4, $5, $6, $7, $6, $8)
         on conflict (team_identifier, key_identifier) do update
         set fingerprint = excluded.fingerprint, private_key = excluded.private_key, installed_at = excluded.installed_at,
             installed = excluded.installed, active = excluded.active, position = excluded.position, sequence = excluded.sequence
         where wallet_apns_key.sequence < excluded.sequence")
    .bind(id.team_identifier.as_str())
    .bind(id.key_identifier.as_str())
    .bind(installation.fingerprint.as_str())
    .bind(installation.private_key.as_str())
    .bind(change.at)
    .bind(change.position)
    .bind(true)
    .bind(change.sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn reseal(
    connection: &mut Connection,
    id: &ApnsKeyId,
    private_key: &Sealed,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("update wallet_apns_key set private_key = $3, position = $4, sequence = $5
         where team_identifier = $1 and key_identifier = $2 and sequence < $5")
    .bind(id.team_identifier.as_str())
    .bind(id.key_identifier.as_str())
    .bind(private_key.as_str())
    .bind(change.position)
    .bind(change.sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn revoke(connection: &mut Connection, id: &ApnsKeyId, change: &Change) -> Result<(), ApplyError> {
    sql("update wallet_apns_key set active = $3, position = $4, sequence = $5
         where team_identifier = $1 and key_identifier = $2 and sequence < $5")
    .bind(id.team_identifier.as_str())
    .bind(id.key_identifier.as_str())
    .bind(false)
    .bind(change.position)
    .bind(change.sequence)
    .execute(connection)
    .await?;
    Ok(())
}
