//! Pass types, and the brand's images.

use honoken_database::statements::{Row, sql};
use honoken_domain::ids::{PassId, PassTypeIdentifier};
use honoken_domain::images::Images;
use honoken_domain::pass::PassKind;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::pass_kind;
use crate::rows::pass_type::{find_pass_type, pass_type_row};

pub use crate::rows::pass_type::PassTypeRow;

impl ReadModel {
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
            "select pass_type.pass_type_identifier, pass_type.organization_id, pass_type.team_identifier, pass_type.assets,
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

    /// The brand's images; `None` if it never had any.
    pub async fn brand_assets(&self) -> Result<Option<Images>, QueryError> {
        let row =
            sql("select assets from wallet_brand_assets where id = 1").fetch_optional(&self.readers).await;
        let assets = row.and_then(|row| row.map(|row| row.json("assets")).transpose());
        assets.map_err(QueryError::of("the brand's images"))
    }
}

fn kind_if_there(row: &Row) -> sqlx::Result<Option<PassKind>> {
    let is_there = row.get::<Option<&str>>("ticket_style")?.is_some();
    is_there.then(|| pass_kind(row)).transpose()
}
