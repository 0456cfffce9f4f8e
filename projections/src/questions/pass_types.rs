//! Pass types, and the brand's images.

use honoken_database::statements::{Row, sql};
use honoken_domain::ids::{CertRef, OrganizationId, PassId, PassTypeIdentifier, TeamIdentifier};
use honoken_domain::images::Images;
use honoken_domain::pass::PassKind;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::{invalid_value, pass_kind};
use crate::rows::pass_type::{find_pass_type, pass_type_row};

pub use crate::rows::pass_type::PassTypeRow;

/// A pass type, its owner and its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedPassType {
    /// The identifier.
    pub pass_type_identifier: PassTypeIdentifier,
    /// The organisation that owns it.
    pub organization_id: OrganizationId,
    /// The team whose certificate signs its passes.
    pub team_identifier: TeamIdentifier,
    /// The certificate that signs its passes.
    pub cert_ref: CertRef,
}

impl ReadModel {
    /// A pass type of a team, if it has one.
    pub async fn pass_type_of_team(
        &self,
        team: &TeamIdentifier,
    ) -> Result<Option<PassTypeIdentifier>, QueryError> {
        let found = sql("select pass_type_identifier from wallet_pass_type where team_identifier = $1
             order by pass_type_identifier limit 1")
        .bind(team.as_str())
        .fetch_optional(&self.readers)
        .await;
        let parse = |row: &Row| {
            PassTypeIdentifier::parse(row.get::<String>("pass_type_identifier")?).map_err(invalid_value)
        };
        found.and_then(|row| row.as_ref().map(parse).transpose()).map_err(QueryError::of("a pass type"))
    }

    /// One pass type, by its identifier.
    pub async fn pass_type(
        &self,
        identifier: &PassTypeIdentifier,
    ) -> Result<Option<PassTypeRow>, QueryError> {
        find_pass_type(&self.readers, identifier).await.map_err(QueryError::of("a pass type"))
    }

    /// The type of a pass, and its kind; the kind is `None` while the pass does not exist or is not projected yet.
    pub async fn pass_type_of(
        &self,
        id: &PassId,
    ) -> Result<Option<(PassTypeRow, Option<PassKind>)>, QueryError> {
        let row = sql(
            "select pass_type.pass_type_identifier, pass_type.organization_id, pass_type.team_identifier, pass_type.cert_ref, pass_type.assets,
                    pass_type.localizations,
                    (select assets from wallet_brand_assets where id = 1) as brand_assets, pass.ticket_style, pass.poster,
                    coalesce((select allows_nfc from wallet_cert certificate
                              where certificate.pass_type_identifier = pass_type.pass_type_identifier), false) as allows_nfc
             from wallet_pass_type pass_type
             left join wallet_pass pass
               on pass.pass_type_identifier = pass_type.pass_type_identifier and pass.serial_number = $2
             where pass_type.pass_type_identifier = $1",
        )
        .bind(id.pass_type_identifier.as_str())
        .bind(id.serial_number.as_str())
        .fetch_optional(&self.readers)
        .await;
        let read = |row: &Row| Ok((pass_type_row(row)?, kind_if_there(row)?));
        row.and_then(|row| row.as_ref().map(read).transpose()).map_err(QueryError::of("a pass type"))
    }

    /// The pass types behind an identifier, in the order of the identifiers; `limit` of them at the most.
    pub async fn pass_types(&self, after: &str, limit: u32) -> Result<Vec<OwnedPassType>, QueryError> {
        let rows = sql("select pass_type_identifier, organization_id, team_identifier, cert_ref
             from wallet_pass_type
             where pass_type_identifier > $1
             order by pass_type_identifier
             limit $2")
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(owned).collect()).map_err(QueryError::of("the pass types"))
    }

    /// The brand's images; `None` if it never had any.
    pub async fn brand_assets(&self) -> Result<Option<Images>, QueryError> {
        let row =
            sql("select assets from wallet_brand_assets where id = 1").fetch_optional(&self.readers).await;
        let assets = row.and_then(|row| row.map(|row| row.json("assets")).transpose());
        assets.map_err(QueryError::of("the brand's images"))
    }
}

fn owned(row: &Row) -> sqlx::Result<OwnedPassType> {
    let text = |column| row.get::<String>(column);
    let pass_type_identifier = PassTypeIdentifier::parse(text("pass_type_identifier")?);
    let pass_type_identifier = pass_type_identifier.map_err(invalid_value)?;
    let cert_ref = row.get::<Option<String>>("cert_ref")?.map(CertRef::parse).transpose();
    let cert_ref = cert_ref.map_err(invalid_value)?;
    Ok(OwnedPassType {
        organization_id: OrganizationId::parse(text("organization_id")?).map_err(invalid_value)?,
        team_identifier: TeamIdentifier::parse(text("team_identifier")?).map_err(invalid_value)?,
        cert_ref: cert_ref.unwrap_or_else(|| CertRef::of_pass_type(&pass_type_identifier)),
        pass_type_identifier,
    })
}

fn kind_if_there(row: &Row) -> sqlx::Result<Option<PassKind>> {
    let is_there = row.get::<Option<&str>>("ticket_style")?.is_some();
    is_there.then(|| pass_kind(row)).transpose()
}
