//! `wallet_organization` and `wallet_api_key`: the organisations that may send commands, and the keys that they send with.

use honoken_database::statements::{Connection, Value, sql};
use honoken_domain::ids::{Digest, OrganizationId, UnixSeconds};
use honoken_domain::organization::{OrganizationEvent, Scopes};
use honoken_event_store::RecordedEvent;

use crate::tables::apply_error::ApplyError;
use crate::tables::change::{Change, note_authorship};

/// Applies an event of an organisation.
pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let organization_id = OrganizationId::parse(recorded.event.aggregate_id.clone())?;
    let change = Change::of(&recorded);
    apply_event(connection, &organization_id, serde_json::from_value(recorded.event.payload)?, &change)
        .await?;
    let noting = note_authorship!("wallet_organization", "organization_id = $4");
    change.note_authorship(connection, noting, &[organization_id.as_str()]).await
}

async fn apply_event(
    connection: &mut Connection,
    organization_id: &OrganizationId,
    event: OrganizationEvent,
    change: &Change,
) -> Result<(), ApplyError> {
    let sequence = change.sequence;
    match event {
        OrganizationEvent::Created { name, test, .. } => {
            sql("insert into wallet_organization (organization_id, name, sequence, is_test) values ($1, $2, $3, $4)
                 on conflict do nothing")
            .bind(organization_id.as_str())
            .bind(name)
            .bind(sequence)
            .bind(test)
            .execute(connection)
            .await?;
            Ok(())
        }
        OrganizationEvent::Renamed { name } => {
            set(connection, organization_id, Column::ShownName, name.as_str(), sequence).await
        }
        OrganizationEvent::Disabled {} => {
            set(connection, organization_id, Column::Disabled, true, sequence).await
        }
        OrganizationEvent::Enabled {} => {
            set(connection, organization_id, Column::Disabled, false, sequence).await
        }
        OrganizationEvent::ImagesLimited { bytes } => {
            let bytes = bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
            set(connection, organization_id, Column::ImageBytes, bytes, sequence).await
        }
        OrganizationEvent::ApiKeyAdded { key_digest, label, scopes, expires_at } => {
            insert_key(connection, organization_id, &key_digest, &label, change).await?;
            give_scopes(connection, &key_digest, &scopes, sequence).await?;
            give_end(connection, &key_digest, expires_at, sequence).await
        }
        OrganizationEvent::ApiKeyExpiryChanged { key_digest, expires_at } => {
            give_end(connection, &key_digest, Some(expires_at), sequence).await
        }
        OrganizationEvent::ApiKeyScopesChanged { key_digest, scopes } => {
            give_scopes(connection, &key_digest, &scopes, sequence).await
        }
        OrganizationEvent::ApiKeyRevoked { key_digest } => revoke_key(connection, &key_digest).await,
    }
}

/// A column that one kind of event changes.
#[derive(Clone, Copy)]
enum Column {
    ShownName,
    Disabled,
    ImageBytes,
}

async fn set(
    connection: &mut Connection,
    organization_id: &OrganizationId,
    column: Column,
    value: impl Into<Value>,
    sequence: i64,
) -> Result<(), ApplyError> {
    let statement = match column {
        Column::ShownName => {
            "update wallet_organization set shown_name = $2, sequence = $3 where organization_id = $1 and sequence < $3"
        }
        Column::Disabled => {
            "update wallet_organization set disabled = $2, sequence = $3 where organization_id = $1 and sequence < $3"
        }
        Column::ImageBytes => {
            "update wallet_organization set image_bytes = $2, sequence = $3 where organization_id = $1 and sequence < $3"
        }
    };
    sql(statement).bind(organization_id.as_str()).bind(value).bind(sequence).execute(connection).await?;
    Ok(())
}

async fn insert_key(
    connection: &mut Connection,
    organization_id: &OrganizationId,
    key_digest: &Digest,
    label: &str,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("insert into wallet_api_key (key_digest, organization_id, label, added_at, created_by) values ($1, $2, $3, $4, $5)
         on conflict do nothing")
    .bind(key_digest.as_str())
    .bind(organization_id.as_str())
    .bind(label)
    .bind(change.recorded_at)
    .bind(change.actor.clone())
    .execute(connection)
    .await?;
    Ok(())
}

async fn give_scopes(
    connection: &mut Connection,
    key_digest: &Digest,
    scopes: &Scopes,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_api_key set scopes = $2, scopes_sequence = $3 where key_digest = $1 and scopes_sequence < $3")
        .bind(key_digest.as_str())
        .bind(Value::json(scopes)?)
        .bind(sequence)
        .execute(connection)
        .await?;
    Ok(())
}

async fn give_end(
    connection: &mut Connection,
    key_digest: &Digest,
    expires_at: Option<UnixSeconds>,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_api_key set expires_at = $2, expiry_sequence = $3
         where key_digest = $1 and expiry_sequence < $3")
    .bind(key_digest.as_str())
    .bind(expires_at.map(|end| end.0))
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

/// The row stays, so that the key does not come back if the event that added it is applied again.
async fn revoke_key(connection: &mut Connection, key_digest: &Digest) -> Result<(), ApplyError> {
    sql("update wallet_api_key set revoked = $2 where key_digest = $1")
        .bind(key_digest.as_str())
        .bind(true)
        .execute(connection)
        .await?;
    Ok(())
}
