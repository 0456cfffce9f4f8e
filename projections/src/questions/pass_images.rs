//! Which images passes show, and which passes came too late for a change of those that they fall back to.

use honoken_database::statements::sql;
use honoken_domain::ids::{PassId, PassTypeIdentifier};

use crate::query_error::QueryError;
use crate::questions::paging::{BEHIND_ALL, names};
use crate::read_model::ReadModel;
use crate::rows::columns::pass_id;
use crate::rows::shown_images::shown_images;

pub use crate::rows::shown_images::{Freshness, ShownImages, freshness};

impl ReadModel {
    /// Passes that came too late, in order, behind one of them.
    pub async fn outdated_passes(
        &self,
        after: Option<&PassId>,
        limit: u32,
    ) -> Result<Vec<PassId>, QueryError> {
        let (pass_type, serial) = names(after);
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

    /// The images of passes in the order of their names, behind one of them; of one type if one is named.
    pub async fn shown_images(
        &self,
        of_type: Option<&PassTypeIdentifier>,
        after: Option<&PassId>,
        limit: u32,
    ) -> Result<Vec<ShownImages>, QueryError> {
        let (pass_type, serial) = names(after);
        let first = of_type.map_or(pass_type, PassTypeIdentifier::as_str);
        let last = of_type.map_or(BEHIND_ALL, PassTypeIdentifier::as_str);
        let rows = sql(
            "select pass.pass_type_identifier, pass.serial_number, pass.organization_id, pass.ticket_style, pass.poster, pass.retired,
                    content.assets, content.images
             from wallet_pass pass
             join wallet_pass_content content
               on content.pass_type_identifier = pass.pass_type_identifier and content.serial_number = pass.serial_number
             where (pass.pass_type_identifier, pass.serial_number) > ($1, $2) and pass.pass_type_identifier <= $3
             order by pass.pass_type_identifier, pass.serial_number
             limit $4",
        )
        .bind(first)
        .bind(serial)
        .bind(last)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(shown_images).collect())
            .map_err(QueryError::of("the images of passes"))
    }

    /// How many passes there are; of one type if one is named. Reads as much as there is of them, so it is for what is done once.
    pub async fn count_passes(&self, of_type: Option<&PassTypeIdentifier>) -> Result<u64, QueryError> {
        let row = sql("select count(*) as passes from wallet_pass
             where pass_type_identifier >= $1 and pass_type_identifier <= $2")
        .bind(of_type.map_or("", PassTypeIdentifier::as_str))
        .bind(of_type.map_or(BEHIND_ALL, PassTypeIdentifier::as_str))
        .fetch_one(&self.readers)
        .await;
        row.and_then(|row| row.get::<i64>("passes"))
            .map(i64::cast_unsigned)
            .map_err(QueryError::of("the number of passes"))
    }
}
