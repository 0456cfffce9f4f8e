//! One pass: the row that phones are answered from, and the pass as a whole.

use honoken_database::statements::{Row, sql};
use honoken_domain::content::Content;
use honoken_domain::ids::{AuthenticationToken, ETag, OrganizationId, PassId, TeamIdentifier, UnixSeconds};
use honoken_domain::images::Images;
use honoken_domain::localizations::Localizations;
use honoken_domain::pass::PassKind;
use honoken_domain::personalization::PersonalizationForm;
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::{invalid_value, pass_kind};
use crate::rows::content::read_content;
use crate::rows::nfc::{NfcInFile, nfc_in_file};

pub use crate::rows::pass::PassRow;

/// Everything about a pass: for building a `.pkpass` and for integrators.
#[derive(Debug, Clone, PartialEq)]
pub struct PassDocument {
    /// The columns from which a phone's request is answered.
    pub row: PassRow,
    /// The organisation that issued it.
    pub organization_id: OrganizationId,
    /// The name of that organisation, for people.
    pub organization_name: String,
    /// The team whose certificate signs it.
    pub team_identifier: TeamIdentifier,
    /// What it is drawn as.
    pub kind: PassKind,
    /// Whether it is void.
    pub voided: bool,
    /// Whether it is void for ever.
    pub retired: bool,
    /// Its content.
    pub content: Content,
    /// The images that end up in it.
    pub images: Images,
    /// Texts of its own in other languages.
    pub own_localizations: Localizations,
    /// The texts in other languages that end up in it.
    pub localizations: Localizations,
    /// Whether `nfc` of its content is left out of its file.
    pub nfc_left_out: bool,
    /// Its form, until a person has filled it in. It is in the file when its logo is among the images.
    pub open_form: Option<PersonalizationForm>,
    /// The position in the event log of the last event that changed it.
    pub update_tag: Position,
    /// The number of devices that hold it.
    pub registrations: u64,
}

impl ReadModel {
    /// The hot row of a pass, by its natural key.
    pub async fn pass_row(&self, id: &PassId) -> Result<Option<PassRow>, QueryError> {
        self.pass_row_that_opens(id, |row| row.is_some()).await
    }

    /// The row of a pass for a caller to whom it `opens`; `None` when it does not, and likewise when there is no such pass.
    ///
    /// Both refusals take the same work, so that their time does not tell whether a pass exists: a look-up in memory, a statement that the
    /// database answers with one row, and two calls of `opens`, with `None` where there is no row. A row in memory saves the statement only if
    /// it opens, and only a row that opens is cached.
    pub async fn pass_row_that_opens(
        &self,
        id: &PassId,
        opens: impl Fn(Option<&PassRow>) -> bool,
    ) -> Result<Option<PassRow>, QueryError> {
        let in_memory = self.pass_rows.get(id);
        if opens(in_memory.as_ref()) {
            return Ok(in_memory);
        }
        let ticket = self.pass_rows.ticket(id);
        // On the heap, since the future is large and would be moved for every row that is in memory.
        let row = Box::pin(self.stored_pass_row(id)).await?;
        if !opens(row.as_ref()) {
            return Ok(None);
        }
        if let (Some(ticket), Some(row)) = (ticket, &row) {
            self.pass_rows.put(ticket, id, row);
        }
        Ok(row)
    }

    /// The database returns one row in any case: an empty one for a pass that does not exist.
    async fn stored_pass_row(&self, id: &PassId) -> Result<Option<PassRow>, QueryError> {
        let row = sql("select pass.authentication_token, pass.etag, pass.updated_at
             from (select 1 as asked_for) new
             left join wallet_pass pass on pass.pass_type_identifier = $1 and pass.serial_number = $2")
        .bind(id.pass_type_identifier.as_str())
        .bind(id.serial_number.as_str())
        .fetch_one(&self.readers)
        .await;
        row.and_then(|row| pass_row_if_there(&row)).map_err(QueryError::of("a pass"))
    }

    /// A pass as a whole. One statement, so that its tag, its content and its images belong together.
    pub async fn pass_document(&self, id: &PassId) -> Result<Option<PassDocument>, QueryError> {
        let row = sql(
            "select pass.authentication_token, pass.etag, pass.updated_at, pass.organization_id, pass.ticket_style, pass.poster,
                    pass.voided, pass.retired, pass.update_tag, content.content, content.images, content.localizations,
                    content.shown_localizations, content.nfc,
                    case when personalization.person is null then personalization.form end as open_form,
                    organization.name as organization_name, pass_type.team_identifier,
                    (select count(*) from wallet_registration registration
                     where registration.pass_type_identifier = pass.pass_type_identifier
                       and registration.serial_number = pass.serial_number
                       and registration.deleted_at is null) as registrations
             from wallet_pass pass
             join wallet_pass_content content using (pass_type_identifier, serial_number)
             left join wallet_personalization personalization using (pass_type_identifier, serial_number)
             join wallet_pass_type pass_type using (pass_type_identifier)
             join wallet_organization organization on organization.organization_id = coalesce(content.issued_by, pass.organization_id)
             where pass.pass_type_identifier = $1 and pass.serial_number = $2",
        )
        .bind(id.pass_type_identifier.as_str())
        .bind(id.serial_number.as_str())
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.as_ref().map(pass_document).transpose()).map_err(QueryError::of("a pass"))
    }
}

fn pass_row_if_there(row: &Row) -> sqlx::Result<Option<PassRow>> {
    let is_there = row.get::<Option<String>>("authentication_token")?.is_some();
    is_there.then(|| pass_row(row)).transpose()
}

fn pass_row(row: &Row) -> sqlx::Result<PassRow> {
    Ok(PassRow {
        authentication_token: AuthenticationToken::parse(row.get::<String>("authentication_token")?)
            .map_err(invalid_value)?,
        etag: ETag::parse(row.get::<String>("etag")?).map_err(invalid_value)?,
        updated_at: UnixSeconds(row.get("updated_at")?),
    })
}

fn pass_document(row: &Row) -> sqlx::Result<PassDocument> {
    Ok(PassDocument {
        row: pass_row(row)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        organization_name: row.get("organization_name")?,
        team_identifier: TeamIdentifier::parse(row.get::<String>("team_identifier")?)
            .map_err(invalid_value)?,
        kind: pass_kind(row)?,
        voided: row.get("voided")?,
        retired: row.get("retired")?,
        content: read_content(row)?,
        images: row.json("images")?,
        own_localizations: row.json("localizations")?,
        localizations: row.json("shown_localizations")?,
        nfc_left_out: nfc_in_file(row)? == NfcInFile::LeftOut,
        open_form: row.optional_json("open_form")?,
        update_tag: Position(row.get::<i64>("update_tag")?.cast_unsigned()),
        registrations: row.get::<i64>("registrations")?.cast_unsigned(),
    })
}
