//! `wallet_pass` and `wallet_pass_content`: the passes as phones and integrators see them.
//!
//! The tag and the time of a row are copied from the event that led to them; nothing here computes either.

use honoken_domain::content::Content;
use honoken_domain::ids::{AuthenticationToken, ETag, OrganizationId, PassId, TeamIdentifier, UnixSeconds};
use honoken_domain::images::Images;
use honoken_domain::pass::{PassEvent, PassIssued, TicketStyle};
use honoken_event_store::{Position, RecordedEvent};

use crate::apply::{ApplyError, sequence_of};
use crate::database::{Connection, Row, Value, sql};
use crate::read_model::{QueryError, ReadModel, decode};

/// What a phone's request is answered from.
#[derive(Debug, Clone, PartialEq)]
pub struct PassRow {
    /// What the phone must show.
    pub authentication_token: AuthenticationToken,
    /// Name of the current state.
    pub etag: ETag,
    /// Time of the current state.
    pub updated_at: UnixSeconds,
}

/// Everything about a pass: what a `.pkpass` is built from and an integrator is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct PassDocument {
    /// What a phone's request is answered from.
    pub row: PassRow,
    /// Who issued it.
    pub organization_id: OrganizationId,
    /// The issuer's name for people.
    pub organization_name: String,
    /// The team whose certificate signs it.
    pub team_identifier: TeamIdentifier,
    /// What it is drawn as.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout.
    pub poster: bool,
    /// Whether it is void.
    pub voided: bool,
    /// What is on it.
    pub content: Content,
    /// The images that end up in it.
    pub images: Images,
    /// Log position of the last event that changed it.
    pub update_tag: Position,
    /// Devices that hold it.
    pub registrations: u64,
}

impl ReadModel {
    /// The hot row of a pass, by its natural key.
    pub async fn pass_row(&self, id: &PassId) -> Result<Option<PassRow>, QueryError> {
        let row = sql("select authentication_token, etag, updated_at
             from wallet_pass
             where pass_type_identifier = $1 and serial_number = $2")
        .bind(id.pass_type_identifier.as_str())
        .bind(id.serial_number.as_str())
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.as_ref().map(pass_row).transpose()).map_err(QueryError::of("a pass"))
    }

    /// A pass as a whole. One statement, so that its tag, its content and its images belong together.
    pub async fn pass_document(&self, id: &PassId) -> Result<Option<PassDocument>, QueryError> {
        let row = sql(
            "select pass.authentication_token, pass.etag, pass.updated_at, pass.organization_id, pass.ticket_style, pass.poster,
                    pass.voided, pass.update_tag, content.content, content.images,
                    organization.name as organization_name, pass_type.team_identifier,
                    (select count(*) from wallet_registration registration
                     where registration.pass_type_identifier = pass.pass_type_identifier
                       and registration.serial_number = pass.serial_number) as registrations
             from wallet_pass pass
             join wallet_pass_content content using (pass_type_identifier, serial_number)
             join wallet_pass_type pass_type using (pass_type_identifier)
             join wallet_organization organization on organization.organization_id = pass.organization_id
             where pass.pass_type_identifier = $1 and pass.serial_number = $2",
        )
        .bind(id.pass_type_identifier.as_str())
        .bind(id.serial_number.as_str())
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.as_ref().map(pass_document).transpose()).map_err(QueryError::of("a pass"))
    }
}

fn pass_row(row: &Row) -> sqlx::Result<PassRow> {
    Ok(PassRow {
        authentication_token: AuthenticationToken::parse(row.get::<String>("authentication_token")?)
            .map_err(decode)?,
        etag: ETag::parse(row.get::<String>("etag")?).map_err(decode)?,
        updated_at: UnixSeconds(row.get("updated_at")?),
    })
}

fn pass_document(row: &Row) -> sqlx::Result<PassDocument> {
    Ok(PassDocument {
        row: pass_row(row)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?).map_err(decode)?,
        organization_name: row.get("organization_name")?,
        team_identifier: TeamIdentifier::parse(row.get::<String>("team_identifier")?).map_err(decode)?,
        ticket_style: ticket_style(row.get("ticket_style")?)?,
        poster: row.get("poster")?,
        voided: row.get("voided")?,
        content: row.json("content")?,
        images: row.json("images")?,
        update_tag: Position(row.get::<i64>("update_tag")?.cast_unsigned()),
        registrations: row.get::<i64>("registrations")?.cast_unsigned(),
    })
}

/// Reads a stored style back.
pub(crate) fn ticket_style(name: &str) -> sqlx::Result<TicketStyle> {
    TicketStyle::parse(name)
        .ok_or_else(|| sqlx::Error::Decode(format!("unknown ticket style {name:?}").into()))
}

pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let id = PassId::parse(&recorded.event.aggregate_id)?;
    let (sequence, position) = (sequence_of(&recorded), recorded.position);
    let event: PassEvent = serde_json::from_value(recorded.event.payload)?;
    let state = match event {
        PassEvent::Issued(issued) => return insert(connection, &issued, position, sequence).await,
        PassEvent::ContentChanged { content, etag, updated_at } => {
            let document = Document { content: Value::json(&content)?, ..Document::default() };
            set_document(connection, &id, document, sequence).await?;
            State { etag, updated_at, voided: None }
        }
        PassEvent::AssetsChanged { images, etag, updated_at, .. } => {
            let document = Document { images: Value::json(&images)?, ..Document::default() };
            set_document(connection, &id, document, sequence).await?;
            State { etag, updated_at, voided: None }
        }
        PassEvent::Voided { etag, updated_at } => State { etag, updated_at, voided: Some(true) },
        PassEvent::Reinstated { etag, updated_at } => State { etag, updated_at, voided: Some(false) },
    };
    set_state(connection, &id, state, position, sequence).await
}

/// What every change leads to.
struct State {
    etag: ETag,
    updated_at: UnixSeconds,
    /// `None` leaves it as it is.
    voided: Option<bool>,
}

async fn insert(
    connection: &mut Connection,
    issued: &PassIssued,
    position: Position,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql(
        "insert into wallet_pass (pass_type_identifier, serial_number, authentication_token, organization_id, ticket_style, poster,
                                  voided, etag, updated_at, update_tag, sequence)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict do nothing",
    )
    .bind(issued.pass_type_identifier.as_str())
    .bind(issued.serial_number.as_str())
    .bind(issued.authentication_token.as_str())
    .bind(issued.organization_id.as_str())
    .bind(issued.ticket_style.as_str())
    .bind(issued.poster)
    .bind(false)
    .bind(issued.etag.as_str())
    .bind(issued.updated_at.0)
    .bind(position.0.cast_signed())
    .bind(sequence)
    .execute(&mut *connection)
    .await?;
    sql("insert into wallet_pass_content (pass_type_identifier, serial_number, content, images)
         values ($1, $2, $3, $4)
         on conflict do nothing")
    .bind(issued.pass_type_identifier.as_str())
    .bind(issued.serial_number.as_str())
    .bind(Value::json(&issued.content)?)
    .bind(Value::json(&issued.images)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// What an event puts into `wallet_pass_content`; null leaves it as it is.
struct Document {
    content: Value,
    images: Value,
}

impl Default for Document {
    fn default() -> Self {
        Self { content: Value::Json(None), images: Value::Json(None) }
    }
}

async fn set_document(
    connection: &mut Connection,
    id: &PassId,
    document: Document,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_pass_content
         set content = coalesce($4, content), images = coalesce($5, images)
         where pass_type_identifier = $1 and serial_number = $2
           and (select sequence from wallet_pass
                where pass_type_identifier = $1 and serial_number = $2) < $3")
    .bind(id.pass_type_identifier.as_str())
    .bind(id.serial_number.as_str())
    .bind(sequence)
    .bind(document.content)
    .bind(document.images)
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves the row on; last of an event's statements, since it carries the sequence that makes the others harmless when repeated.
async fn set_state(
    connection: &mut Connection,
    id: &PassId,
    state: State,
    position: Position,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_pass
         set etag = $4, updated_at = $5, update_tag = $6, voided = coalesce($7, voided), sequence = $3
         where pass_type_identifier = $1 and serial_number = $2 and sequence < $3")
    .bind(id.pass_type_identifier.as_str())
    .bind(id.serial_number.as_str())
    .bind(sequence)
    .bind(state.etag.as_str())
    .bind(state.updated_at.0)
    .bind(position.0.cast_signed())
    .bind(state.voided)
    .execute(connection)
    .await?;
    Ok(())
}
