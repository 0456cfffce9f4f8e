//! The passes of an organisation, page by page.
//!
//! They are in the order of type and serial number, which never change: a caller who goes through the pages sees every pass that exists all the
//! time exactly once, even if it changes meanwhile.

use honoken_domain::ids::{ETag, OrganizationId, PassId, PassTypeIdentifier, UnixSeconds};
use honoken_domain::pass::PassKind;
use honoken_event_store::Position;

use crate::query_error::QueryError;
use crate::questions::paging::{AFTER_ALL_TYPES, sort_key};
use crate::read_model::ReadModel;
use crate::rows::columns::{invalid_value, pass_id, pass_kind};
use crate::words::ASKED;
use honoken_database::statements::{Row, sql};

/// A pass in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPass {
    /// The pass.
    pub id: PassId,
    /// What it is drawn as.
    pub kind: PassKind,
    /// Whether it is void.
    pub voided: bool,
    /// Whether it is void for ever.
    pub retired: bool,
    /// The tag of the current state.
    pub etag: ETag,
    /// The time of the current state.
    pub updated_at: UnixSeconds,
    /// The position in the event log of the last event that changed it.
    pub update_tag: Position,
    /// The number of devices that hold it.
    pub registrations: u64,
}

/// The passes of a list, and a page of them.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The organisation whose passes are listed.
    pub organization_id: &'a OrganizationId,
    /// Only passes of this type.
    pub of_type: Option<&'a PassTypeIdentifier>,
    /// Only passes with all of these words, which [`words::of_question`](crate::words::of_question) makes. Empty for all passes.
    pub words: &'a [String],
    /// The last pass of the page before.
    pub after: Option<&'a PassId>,
    /// Passes in the page, at most.
    pub limit: u32,
}

/// A page of an organisation's passes that meet a further condition, which may be empty.
macro_rules! page_of_passes {
    ($condition:literal) => {
        concat!(
            "select pass.pass_type_identifier, pass.serial_number, pass.ticket_style, pass.poster, pass.voided, pass.retired, pass.etag,
                    pass.updated_at, pass.update_tag,
                    (select count(*) from wallet_registration registration
                     where registration.pass_type_identifier = pass.pass_type_identifier
                       and registration.serial_number = pass.serial_number
                       and registration.deleted_at is null) as registrations
             from wallet_pass pass
             where pass.organization_id = $1 and (pass.pass_type_identifier, pass.serial_number) > ($2, $3)
               and pass.pass_type_identifier <= $4 ",
            $condition,
            " order by pass.pass_type_identifier, pass.serial_number
             limit $5"
        )
    };
}

impl ReadModel {
    /// A page of passes.
    pub async fn list_passes(&self, page: Page<'_>) -> Result<Vec<ListedPass>, QueryError> {
        let rows = if page.words.is_empty() {
            self.all_passes(page).await
        } else {
            self.passes_with_words(page).await
        };
        rows.and_then(|rows| rows.iter().map(listed_pass).collect())
            .map_err(QueryError::of("a page of passes"))
    }

    async fn all_passes(&self, page: Page<'_>) -> sqlx::Result<Vec<Row>> {
        let (after_type, after_serial) = after(&page);
        sql(page_of_passes!(""))
            .bind(page.organization_id.as_str())
            .bind(after_type)
            .bind(after_serial)
            .bind(last_type(&page))
            .bind(i64::from(page.limit))
            .fetch_all(&self.readers)
            .await
    }

    /// Goes through the passes of the organisation in their order until the page is full: the fewer passes have the words, the more are read.
    async fn passes_with_words(&self, page: Page<'_>) -> sqlx::Result<Vec<Row>> {
        let (after_type, after_serial) = after(&page);
        let mut statement = sql(page_of_passes!(
            "and (select ' ' || content.words like $6 escape '!' and ' ' || content.words like $7 escape '!'
                     and ' ' || content.words like $8 escape '!' and ' ' || content.words like $9 escape '!'
                     and ' ' || content.words like $10 escape '!' and ' ' || content.words like $11 escape '!'
                     and ' ' || content.words like $12 escape '!' and ' ' || content.words like $13 escape '!'
                  from wallet_pass_content content
                  where content.pass_type_identifier = pass.pass_type_identifier and content.serial_number = pass.serial_number)"
        ))
        .bind(page.organization_id.as_str())
        .bind(after_type)
        .bind(after_serial)
        .bind(last_type(&page))
        .bind(i64::from(page.limit));
        for number in 0..ASKED {
            statement = statement
                .bind(page.words.get(number).map_or_else(|| "%".to_owned(), |word| pattern_for(word)));
        }
        statement.fetch_all(&self.readers).await
    }
}

/// Type and serial number behind which the page begins.
fn after<'a>(page: &Page<'a>) -> (&'a str, &'a str) {
    let (pass_type, serial) = sort_key(page.after);
    match page.of_type {
        // A page that begins within another type begins before this one or behind it.
        Some(of_type) if pass_type < of_type.as_str() => (of_type.as_str(), ""),
        _ => (pass_type, serial),
    }
}

/// The greatest type in the list.
fn last_type<'a>(page: &Page<'a>) -> &'a str {
    page.of_type.map_or(AFTER_ALL_TYPES, PassTypeIdentifier::as_str)
}

/// A pattern for texts with a word that begins like this, where each word follows a space.
fn pattern_for(word: &str) -> String {
    format!("% {}%", word.replace('!', "!!").replace('%', "!%").replace('_', "!_"))
}

fn listed_pass(row: &Row) -> sqlx::Result<ListedPass> {
    Ok(ListedPass {
        id: pass_id(row)?,
        kind: pass_kind(row)?,
        voided: row.get("voided")?,
        retired: row.get("retired")?,
        etag: ETag::parse(row.get::<String>("etag")?).map_err(invalid_value)?,
        updated_at: UnixSeconds(row.get("updated_at")?),
        update_tag: Position(row.get::<i64>("update_tag")?.cast_unsigned()),
        registrations: row.get::<i64>("registrations")?.cast_unsigned(),
    })
}
