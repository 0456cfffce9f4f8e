//! Organisations and their API keys.

use honoken_database::statements::{Row, sql};
use honoken_domain::ids::{Digest, OrganizationId, UnixSeconds};
use honoken_domain::organization::Scopes;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::invalid_value;

/// An API key, without the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// SHA-256 of the key.
    pub key_digest: Digest,
    /// The organisation that it acts for.
    pub organization_id: OrganizationId,
    /// The name of that organisation, for people.
    pub organization_name: String,
    /// The purpose that it was given.
    pub label: String,
    /// The time at which it was added.
    pub added_at: UnixSeconds,
    /// Whether it no longer acts for the organisation.
    pub revoked: bool,
    /// What its holder may do.
    pub scopes: Scopes,
    /// The moment from which on it is refused, if it ends by itself.
    pub expires_at: Option<UnixSeconds>,
}

impl ApiKeyRow {
    /// Hex digits of the digest that name a key, in lists, in addresses and in the metadata of events.
    pub const ID_DIGITS: usize = 12;

    /// The name of the key: the beginning of its digest.
    pub fn id(&self) -> &str {
        &self.key_digest.as_str()[..Self::ID_DIGITS]
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self, now: UnixSeconds) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// What an API key allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGrant {
    /// The organisation that its holder acts for.
    pub organization_id: OrganizationId,
    /// What its holder may do.
    pub scopes: Scopes,
}

impl ReadModel {
    /// What the key with this digest allows at this moment; `None` when there is none, and when it is revoked or has ended.
    pub async fn grant_of_key(
        &self,
        key_digest: &Digest,
        now: UnixSeconds,
    ) -> Result<Option<KeyGrant>, QueryError> {
        let row = sql("select organization_id, scopes from wallet_api_key
             where key_digest = $1 and not revoked and (expires_at is null or expires_at > $2)")
        .bind(key_digest.as_str())
        .bind(now.0)
        .fetch_optional(&self.readers)
        .await;
        let grant = |row: Row| {
            Ok(KeyGrant {
                organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
                    .map_err(invalid_value)?,
                scopes: row.optional_json("scopes")?.unwrap_or_default(),
            })
        };
        row.and_then(|row| row.map(grant).transpose()).map_err(QueryError::of("an API key"))
    }

    /// Every API key, revoked ones too, by organisation.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, QueryError> {
        // Every id is between these.
        self.api_keys_between("", "\u{10ffff}").await
    }

    /// Every API key of an organisation, revoked ones too, oldest first.
    pub async fn api_keys_of(&self, organization_id: &OrganizationId) -> Result<Vec<ApiKeyRow>, QueryError> {
        self.api_keys_between(organization_id.as_str(), organization_id.as_str()).await
    }

    async fn api_keys_between(&self, first: &str, last: &str) -> Result<Vec<ApiKeyRow>, QueryError> {
        let rows = sql(
            "select key.key_digest, key.organization_id, key.label, key.added_at, key.revoked, key.scopes, key.expires_at,
                    (select name from wallet_organization organization
                     where organization.organization_id = key.organization_id) as organization_name
             from wallet_api_key key
             where key.organization_id >= $1 and key.organization_id <= $2
             order by key.organization_id, key.added_at, key.key_digest",
        )
        .bind(first)
        .bind(last)
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(api_key_row).collect()).map_err(QueryError::of("the API keys"))
    }

    /// The name of an organisation, for people.
    pub async fn organization_name(
        &self,
        organization_id: &OrganizationId,
    ) -> Result<Option<String>, QueryError> {
        let row = sql("select name from wallet_organization where organization_id = $1")
            .bind(organization_id.as_str())
            .fetch_optional(&self.readers)
            .await;
        row.and_then(|row| row.map(|row| row.get("name")).transpose())
            .map_err(QueryError::of("an organisation"))
    }
}

fn api_key_row(row: &Row) -> sqlx::Result<ApiKeyRow> {
    Ok(ApiKeyRow {
        key_digest: Digest::parse(row.get::<String>("key_digest")?).map_err(invalid_value)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        organization_name: row.get::<Option<String>>("organization_name")?.unwrap_or_default(),
        label: row.get("label")?,
        added_at: UnixSeconds(row.get::<Option<i64>>("added_at")?.unwrap_or_default()),
        revoked: row.get("revoked")?,
        scopes: row.optional_json("scopes")?.unwrap_or_default(),
        expires_at: row.get::<Option<i64>>("expires_at")?.map(UnixSeconds),
    })
}
