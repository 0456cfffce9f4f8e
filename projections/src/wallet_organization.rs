//! `wallet_organization` and `wallet_api_key`: who may send commands.

use honoken_domain::ids::{Digest, OrganizationId};
use honoken_domain::organization::OrganizationEvent;
use honoken_event_store::RecordedEvent;

use crate::apply::{ApplyError, sequence_of};
use crate::database::{Connection, Row, sql};
use crate::read_model::{QueryError, ReadModel, decode};

impl ReadModel {
    /// The organisation that the key with this digest acts for.
    pub async fn organization_of_key(
        &self,
        key_digest: &Digest,
    ) -> Result<Option<OrganizationId>, QueryError> {
        let row = sql("select organization_id from wallet_api_key where key_digest = $1")
            .bind(key_digest.as_str())
            .fetch_optional(&self.readers)
            .await;
        let organization =
            |row: Row| OrganizationId::parse(row.get::<String>("organization_id")?).map_err(decode);
        row.and_then(|row| row.map(organization).transpose()).map_err(QueryError::of("an API key"))
    }
}

pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let organization_id = OrganizationId::parse(recorded.event.aggregate_id.clone())?;
    let sequence = sequence_of(&recorded);
    let event: OrganizationEvent = serde_json::from_value(recorded.event.payload)?;
    match event {
        OrganizationEvent::Created { name, .. } => {
            insert(connection, &organization_id, &name, sequence).await
        }
        OrganizationEvent::ApiKeyAdded { key_digest, label } => {
            insert_key(connection, &organization_id, &key_digest, &label).await
        }
    }
}

async fn insert(
    connection: &mut Connection,
    organization_id: &OrganizationId,
    name: &str,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("insert into wallet_organization (organization_id, name, sequence) values ($1, $2, $3)
         on conflict do nothing")
    .bind(organization_id.as_str())
    .bind(name)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_key(
    connection: &mut Connection,
    organization_id: &OrganizationId,
    key_digest: &Digest,
    label: &str,
) -> Result<(), ApplyError> {
    sql("insert into wallet_api_key (key_digest, organization_id, label) values ($1, $2, $3)
         on conflict do nothing")
    .bind(key_digest.as_str())
    .bind(organization_id.as_str())
    .bind(label)
    .execute(connection)
    .await?;
    Ok(())
}
