//! `parked_message` and `parked_credential`: dead letters, and credentials that APNs refuses, where an operator sees them.

use honoken_database::statements::{Connection, Row, sql};
use honoken_domain::ids::PassTypeIdentifier;

use super::{Ledger, LedgerError, columns, storable};

/// Messages that are kept, since a publisher may send nonsense without end.
const KEPT: i64 = 1000;

/// A message that can never succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedMessage {
    /// Made when it was parked.
    pub id: String,
    /// Its beginning, as it was received.
    pub payload: String,
    /// Why it cannot succeed.
    pub reason: String,
    /// The request that led to it.
    pub request_id: Option<String>,
    /// When it was parked, Unix milliseconds.
    pub parked_at_ms: i64,
}

/// A credential that APNs refuses for a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedCredential {
    /// [`Credential::id`](crate::ports::Credential::id), or the name that stands for one that is not installed.
    pub credential: String,
    /// The topic, whose pushes wait.
    pub topic: PassTypeIdentifier,
    /// APNs' reason, or the action that an operator has to take.
    pub reason: String,
    /// Since when, Unix milliseconds.
    pub parked_at_ms: i64,
    /// When it is probed with one push, Unix milliseconds.
    pub probe_at_ms: i64,
}

impl Ledger {
    /// Keeps a message that can never succeed, and deletes the oldest beyond a thousand.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn park_message(&self, message: &ParkedMessage) -> Result<(), LedgerError> {
        let doing = "parking a message";
        let mut writer = self.writer(doing).await?;
        let parked = park_message(&mut writer, message).await;
        writer.keep(parked).map_err(LedgerError::of(doing))
    }

    /// The messages that were parked last, the newest first.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn parked_messages(&self, limit: u32) -> Result<Vec<ParkedMessage>, LedgerError> {
        let rows = sql("select id, payload, reason, request_id, parked_at from parked_message order by parked_at desc, id desc limit $1")
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await;
        let read = |row: &Row| {
            Ok(ParkedMessage {
                id: row.get("id")?,
                payload: row.get("payload")?,
                reason: row.get("reason")?,
                request_id: row.get("request_id")?,
                parked_at_ms: row.get("parked_at")?,
            })
        };
        rows.and_then(|rows| rows.iter().map(read).collect()).map_err(LedgerError::of("parked messages"))
    }

    /// Keeps a credential from being used for a topic until `probe_at_ms`. `false` when it was parked before: then only that time is new.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn park_credential(&self, parked: &ParkedCredential) -> Result<bool, LedgerError> {
        let doing = "parking a credential";
        let mut writer = self.writer(doing).await?;
        let parked = park_credential(&mut writer, parked).await;
        writer.keep(parked).map_err(LedgerError::of(doing))
    }

    /// The credentials that are parked.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn parked_credentials(&self) -> Result<Vec<ParkedCredential>, LedgerError> {
        let rows = sql("select credential, pass_type_identifier, reason, parked_at, probe_at from parked_credential order by parked_at")
            .fetch_all(&self.readers)
            .await;
        let read = |row: &Row| {
            Ok(ParkedCredential {
                credential: row.get("credential")?,
                topic: columns::pass_type(row)?,
                reason: row.get("reason")?,
                parked_at_ms: row.get("parked_at")?,
                probe_at_ms: row.get("probe_at")?,
            })
        };
        rows.and_then(|rows| rows.iter().map(read).collect()).map_err(LedgerError::of("parked credentials"))
    }

    /// Takes the right to probe a parked credential with one push. `false` when another process has it, it is not time, or it is not parked.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn may_probe(
        &self,
        credential: &str,
        topic: &PassTypeIdentifier,
        now_ms: i64,
        next_probe_ms: i64,
    ) -> Result<bool, LedgerError> {
        let doing = "trying a parked credential";
        let mut writer = self.writer(doing).await?;
        let taken = sql("update parked_credential set probe_at = $4
             where credential = $1 and pass_type_identifier = $2 and probe_at <= $3")
        .bind(credential)
        .bind(topic.as_str())
        .bind(now_ms)
        .bind(next_probe_ms)
        .execute(&mut writer)
        .await;
        Ok(writer.keep(taken).map_err(LedgerError::of(doing))? == 1)
    }

    /// Lets a topic be pushed to again.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn free_credential(
        &self,
        credential: &str,
        topic: &PassTypeIdentifier,
    ) -> Result<(), LedgerError> {
        let doing = "freeing a parked credential";
        let mut writer = self.writer(doing).await?;
        let freed = sql("delete from parked_credential where credential = $1 and pass_type_identifier = $2")
            .bind(credential)
            .bind(topic.as_str())
            .execute(&mut writer)
            .await;
        writer.keep(freed).map_err(LedgerError::of(doing))?;
        Ok(())
    }
}

async fn park_message(connection: &mut Connection, message: &ParkedMessage) -> sqlx::Result<()> {
    connection.begin().await?;
    sql("insert into parked_message (id, payload, reason, request_id, parked_at) values ($1, $2, $3, $4, $5) on conflict do nothing")
        .bind(message.id.as_str())
        .bind(storable(&message.payload, 4000))
        .bind(storable(&message.reason, 500))
        .bind(message.request_id.as_deref().map(|id| storable(id, 200)))
        .bind(message.parked_at_ms)
        .execute(connection)
        .await?;
    sql("delete from parked_message
         where id in (select id from parked_message order by parked_at desc, id desc limit 1000 offset $1)")
    .bind(KEPT)
    .execute(connection)
    .await?;
    connection.commit().await
}

async fn park_credential(connection: &mut Connection, parked: &ParkedCredential) -> sqlx::Result<bool> {
    connection.begin().await?;
    let new =
        sql("insert into parked_credential (credential, pass_type_identifier, reason, parked_at, probe_at)
         values ($1, $2, $3, $4, $5)
         on conflict (credential, pass_type_identifier) do nothing")
        .bind(parked.credential.as_str())
        .bind(parked.topic.as_str())
        .bind(storable(&parked.reason, 500))
        .bind(parked.parked_at_ms)
        .bind(parked.probe_at_ms)
        .execute(connection)
        .await?;
    sql("update parked_credential set reason = $3, probe_at = $4
         where credential = $1 and pass_type_identifier = $2 and probe_at < $4")
    .bind(parked.credential.as_str())
    .bind(parked.topic.as_str())
    .bind(storable(&parked.reason, 500))
    .bind(parked.probe_at_ms)
    .execute(connection)
    .await?;
    connection.commit().await?;
    Ok(new == 1)
}

/// All parked credentials may be probed now.
pub(super) async fn free_credentials(connection: &mut Connection, now_ms: i64) -> sqlx::Result<()> {
    sql("update parked_credential set probe_at = $1 where probe_at > $1")
        .bind(now_ms)
        .execute(connection)
        .await?;
    Ok(())
}
