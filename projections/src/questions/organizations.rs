//! Organisations and their API keys.

use std::collections::BTreeSet;

use honoken_database::statements::{Row, read_for_each, sql};
use honoken_domain::ids::{Digest, OrganizationId, PassTypeIdentifier, UnixSeconds};
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
    /// Whether the organisation may not act at present.
    pub disabled: bool,
    /// Whether the organisation is for trying.
    pub is_test: bool,
}

/// What decides whether something is pushed for an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushPermission {
    /// Whether the organisation may not act at present.
    pub disabled: bool,
    /// Whether the organisation is for trying.
    pub is_test: bool,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationRow {
    /// Its name in this service.
    pub organization_id: OrganizationId,
    /// Its name for operators.
    pub name: String,
    /// Whether it is for trying.
    pub is_test: bool,
    /// Whether its keys are refused and nothing is pushed for it.
    pub disabled: bool,
    /// The most bytes that the images have in all which it has uploaded.
    pub image_bytes: Option<u64>,
}

/// The room that an organisation has for images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageRoom {
    /// Bytes of the images that it has uploaded.
    pub used: u64,
    /// The most that it may have.
    pub most: u64,
}

impl ReadModel {
    /// What the key with this digest allows at this moment; `None` when there is none, and when it is revoked or has ended.
    pub async fn grant_of_key(
        &self,
        key_digest: &Digest,
        now: UnixSeconds,
    ) -> Result<Option<KeyGrant>, QueryError> {
        let row = sql("select key.organization_id, key.scopes, coalesce(organization.disabled, false) as disabled,
                    coalesce(organization.is_test, false) as is_test
             from wallet_api_key key
             left join wallet_organization organization on organization.organization_id = key.organization_id
             where key.key_digest = $1 and not key.revoked and (key.expires_at is null or key.expires_at > $2)")
        .bind(key_digest.as_str())
        .bind(now.0)
        .fetch_optional(&self.readers)
        .await;
        let grant = |row: Row| {
            Ok(KeyGrant {
                organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
                    .map_err(invalid_value)?,
                scopes: row.optional_json("scopes")?.unwrap_or_default(),
                disabled: row.get("disabled")?,
                is_test: row.get("is_test")?,
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
                    (select coalesce(shown_name, name) from wallet_organization organization
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

    /// The organisations behind an id, in the order of the ids; `limit` of them at the most.
    pub async fn organizations(&self, after: &str, limit: u32) -> Result<Vec<OrganizationRow>, QueryError> {
        let rows =
            sql("select organization_id, coalesce(shown_name, name) as name, is_test, disabled, image_bytes
             from wallet_organization
             where organization_id > $1
             order by organization_id
             limit $2")
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await;
        rows.and_then(|rows| rows.iter().map(organization_row).collect())
            .map_err(QueryError::of("the organisations"))
    }

    /// What decides whether something is pushed for the passes of a type; `None` for a type that has no organisation.
    pub async fn push_permission(
        &self,
        topic: &PassTypeIdentifier,
    ) -> Result<Option<PushPermission>, QueryError> {
        let row = sql("select organization.disabled, organization.is_test
             from wallet_pass_type pass_type
             join wallet_organization organization on organization.organization_id = pass_type.organization_id
             where pass_type.pass_type_identifier = $1")
        .bind(topic.as_str())
        .fetch_optional(&self.readers)
        .await;
        let permission =
            |row: Row| Ok(PushPermission { disabled: row.get("disabled")?, is_test: row.get("is_test")? });
        row.and_then(|row| row.map(permission).transpose()).map_err(QueryError::of("an organisation"))
    }

    /// The room that an organisation has for some images, which count once however often they are uploaded; `None` where its images have no limit.
    pub async fn image_room(
        &self,
        organization_id: &OrganizationId,
        digests: &BTreeSet<Digest>,
    ) -> Result<Option<ImageRoom>, QueryError> {
        let pairs = digests.iter().map(|digest| [organization_id.as_str().into(), digest.as_str().into()]);
        let rows = read_for_each(
            &self.readers,
            "with new (organization_id, digest) as (values {rows})
             select image_bytes,
                    (select cast(coalesce(sum(bytes), 0) as bigint) from wallet_image image
                     where image.organization_id = organization.organization_id
                       and not exists (select 1 from new where new.digest = image.digest)) as used
             from wallet_organization organization
             where organization.organization_id = (select min(new.organization_id) from new) and image_bytes is not null",
            pairs.collect(),
        )
        .await;
        let room = |row: Row| {
            Ok(ImageRoom {
                used: row.get::<i64>("used")?.cast_unsigned(),
                most: row.get::<i64>("image_bytes")?.cast_unsigned(),
            })
        };
        rows.and_then(|rows| rows.into_iter().next().map(room).transpose())
            .map_err(QueryError::of("the room for images"))
    }

    /// The name of an organisation, for people.
    pub async fn organization_name(
        &self,
        organization_id: &OrganizationId,
    ) -> Result<Option<String>, QueryError> {
        let row = sql(
            "select coalesce(shown_name, name) as name from wallet_organization where organization_id = $1",
        )
        .bind(organization_id.as_str())
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.map(|row| row.get("name")).transpose())
            .map_err(QueryError::of("an organisation"))
    }
}

fn organization_row(row: &Row) -> sqlx::Result<OrganizationRow> {
    Ok(OrganizationRow {
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        name: row.get("name")?,
        is_test: row.get("is_test")?,
        disabled: row.get("disabled")?,
        image_bytes: row.get::<Option<i64>>("image_bytes")?.map(i64::cast_unsigned),
    })
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
