//! The images and texts that passes show, and the passes that came too late for a change of their defaults.

use honoken_database::statements::sql;
use honoken_domain::ids::{PassId, PassTypeIdentifier};

use crate::query_error::QueryError;
use crate::questions::paging::{AFTER_ALL_TYPES, sort_key};
use crate::read_model::ReadModel;
use crate::rows::columns::pass_id;
use crate::rows::shown_parts::shown_parts;

pub use crate::rows::nfc::NfcInFile;
pub use crate::rows::shown_parts::{Freshness, ShownParts};

impl ReadModel {
    /// Passes that came too late for a change of their defaults, in the order of their keys, behind a pass.
    pub async fn outdated_passes(
        &self,
        after: Option<&PassId>,
        limit: u32,
    ) -> Result<Vec<PassId>, QueryError> {
        let (pass_type, serial) = sort_key(after);
        let rows = sql("select pass_type_identifier, serial_number
             from wallet_outdated_pass
             where (pass_type_identifier, serial_number) > ($1, $2)
             order by pass_type_identifier, serial_number
             limit $3")
        .bind(pass_type)
        .bind(serial)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(pass_id).collect()).map_err(QueryError::of("outdated passes"))
    }

    /// The images and texts of passes, in the order of their keys, behind a pass; of one type if one is given.
    pub async fn shown_parts(
        &self,
        of_type: Option<&PassTypeIdentifier>,
        after: Option<&PassId>,
        limit: u32,
    ) -> Result<Vec<ShownParts>, QueryError> {
        let (pass_type, serial) = sort_key(after);
        let first = of_type.map_or(pass_type, PassTypeIdentifier::as_str);
        let last = of_type.map_or(AFTER_ALL_TYPES, PassTypeIdentifier::as_str);
        let rows = sql(
            "select pass.pass_type_identifier, pass.serial_number, pass.organization_id, pass.ticket_style, pass.poster, pass.retired,
                    content.assets, content.images, content.localizations, content.shown_localizations, content.nfc,
                    exists (select 1 from wallet_personalization form
                            where form.pass_type_identifier = pass.pass_type_identifier and form.serial_number = pass.serial_number
                              and form.form is not null and form.person is null) as has_open_form
             from wallet_pass pass
             join wallet_pass_content content
               on content.pass_type_identifier = pass.pass_type_identifier and content.serial_number = pass.serial_number
             where (pass.pass_type_identifier, pass.serial_number) > ($1, $2) and pass.pass_type_identifier <= $3
               and (content.pass_type_identifier, content.serial_number) > ($1, $2) and content.pass_type_identifier <= $3
             order by pass.pass_type_identifier, pass.serial_number
             limit $4",
        )
        .bind(first)
        .bind(serial)
        .bind(last)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(shown_parts).collect())
            .map_err(QueryError::of("the images and texts of passes"))
    }

    /// The number of passes; of one type if one is given. Reads all of them, so it is not for frequent use.
    pub async fn count_passes(&self, of_type: Option<&PassTypeIdentifier>) -> Result<u64, QueryError> {
        let row = sql("select count(*) as passes from wallet_pass
             where pass_type_identifier >= $1 and pass_type_identifier <= $2")
        .bind(of_type.map_or("", PassTypeIdentifier::as_str))
        .bind(of_type.map_or(AFTER_ALL_TYPES, PassTypeIdentifier::as_str))
        .fetch_one(&self.readers)
        .await;
        row.and_then(|row| row.get::<i64>("passes"))
            .map(i64::cast_unsigned)
            .map_err(QueryError::of("the number of passes"))
    }
}
