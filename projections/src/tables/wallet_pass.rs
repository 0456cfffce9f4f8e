//! `wallet_pass` and `wallet_pass_content`: the passes, as phones and integrators see them.
//!
//! The tag and the time of a row are copied from its last event and never computed here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use honoken_database::statements::{Connection, Value, execute_for_each};
use honoken_domain::content::Content;
use honoken_domain::ids::{AuthenticationToken, ETag, OrganizationId, PassId, UnixSeconds};
use honoken_domain::pass::{PassEvent, PassKind};
use honoken_event_store::{Position, RecordedEvent};

use crate::rows::columns::{actor_of, pass_type_value, recorded_at, sequence_of, serial_number_value};
use crate::rows::content::content_value;
use crate::rows::nfc::NfcInFile;
use crate::tables::apply_error::ApplyError;
use crate::tables::{wallet_image, wallet_outdated_pass, wallet_personalization};
use crate::words;

/// Applies events of passes, in order. Several events of one pass become one change of its row, and all rows are changed together.
pub(crate) async fn apply(connection: &mut Connection, events: Vec<RecordedEvent>) -> Result<(), ApplyError> {
    // Sorted, so that two transactions that write never wait for each other in a circle.
    let mut changes: BTreeMap<PassId, Change> = BTreeMap::new();
    let mut part_changes = wallet_outdated_pass::PartChanges::default();
    let mut given_images = wallet_image::GivenImages::default();
    let mut form_changes = wallet_personalization::FormChanges::default();
    for recorded in events {
        let id = PassId::parse(&recorded.event.aggregate_id)?;
        let (position, sequence) = (recorded.position, sequence_of(&recorded));
        let origin = Origin { recorded_at: recorded_at(&recorded), actor: actor_of(&recorded) };
        let event: PassEvent = serde_json::from_value(recorded.event.payload)?;
        part_changes.add_event(&id, &event);
        given_images.add_event(&id, &event);
        form_changes.add_event(&id, &event, sequence);
        match changes.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(Change::of_first_event(event, origin, position, sequence)?);
            }
            Entry::Occupied(mut entry) => entry.get_mut().add_event(event, origin, position, sequence)?,
        }
    }
    let sequences = changes.iter().map(|(id, change)| (id.clone(), change.state.sequence)).collect();
    let (new, known): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(_, change)| change.issued.is_some());
    insert(connection, new).await?;
    update(connection, known).await?;
    given_images.insert(connection).await?;
    form_changes.write(connection).await?;
    wallet_outdated_pass::apply(connection, part_changes, &sequences).await
}

/// The changes that consecutive events make to a pass.
struct Change {
    /// `None` unless the first event of the pass is among them.
    issued: Option<Issued>,
    /// `None` leaves it as it is.
    content: Option<Content>,
    /// Null leaves them as they are.
    assets: Value,
    /// Null leaves them as they are.
    images: Value,
    /// Null leaves them as they are.
    localizations: Value,
    /// Null leaves them as they are.
    shown_localizations: Value,
    /// `None` leaves it as it is.
    nfc: Option<NfcInFile>,
    /// `None` leaves it as it is.
    kind: Option<PassKind>,
    /// `None` leaves it as it is.
    voided: Option<bool>,
    /// `None` leaves it as it is.
    retired: Option<bool>,
    /// When it was retired, in Unix seconds. `None` leaves it as it is.
    deleted_at: Option<i64>,
    state: State,
}

/// The columns that only the first event of a pass has.
struct Issued {
    authentication_token: AuthenticationToken,
    organization_id: OrganizationId,
    origin: Origin,
}

/// When an event was recorded, in Unix seconds, and in whose name.
struct Origin {
    recorded_at: i64,
    actor: Option<String>,
}

/// The columns that every event changes.
struct State {
    etag: ETag,
    updated_at: UnixSeconds,
    /// `None` leaves it as it is: there is nothing new for a phone.
    update_tag: Option<Position>,
    sequence: i64,
}

impl State {
    /// In the order of its fields.
    fn values(&self) -> [Value; 4] {
        [
            self.etag.as_str().into(),
            self.updated_at.0.into(),
            self.update_tag.map(|position| position.0.cast_signed()).into(),
            self.sequence.into(),
        ]
    }
}

impl Change {
    fn of_first_event(
        event: PassEvent,
        origin: Origin,
        position: Position,
        sequence: i64,
    ) -> Result<Self, ApplyError> {
        let mut change = Self {
            issued: None,
            content: None,
            assets: Value::Json(None),
            images: Value::Json(None),
            localizations: Value::Json(None),
            shown_localizations: Value::Json(None),
            nfc: None,
            kind: None,
            voided: None,
            retired: None,
            deleted_at: None,
            state: State {
                etag: event.etag().clone(),
                updated_at: event.updated_at(),
                update_tag: None,
                sequence,
            },
        };
        change.add_event(event, origin, position, sequence)?;
        Ok(change)
    }

    fn add_event(
        &mut self,
        event: PassEvent,
        origin: Origin,
        position: Position,
        sequence: i64,
    ) -> Result<(), ApplyError> {
        let update_tag = if event.is_seen() { Some(position) } else { self.state.update_tag };
        self.state =
            State { etag: event.etag().clone(), updated_at: event.updated_at(), update_tag, sequence };
        match event {
            PassEvent::Issued(issued) => {
                self.nfc = Some(NfcInFile::of(&issued.content, issued.nfc_left_out));
                self.content = Some(issued.content);
                self.assets = Value::json(&issued.assets)?;
                self.images = Value::json(&issued.images)?;
                self.localizations = Value::json(&issued.localizations)?;
                self.shown_localizations = Value::json(&issued.shown_localizations)?;
                self.kind = Some(PassKind { style: issued.ticket_style, poster: issued.poster });
                (self.voided, self.retired) = (Some(false), Some(false));
                self.issued = Some(Issued {
                    authentication_token: issued.authentication_token,
                    organization_id: issued.organization_id,
                    origin,
                });
            }
            PassEvent::ContentChanged { content, nfc_left_out, images, .. } => {
                self.nfc = Some(NfcInFile::of(&content, nfc_left_out));
                self.content = Some(content);
                if let Some(images) = images {
                    self.images = Value::json(&images)?;
                }
            }
            PassEvent::MetadataChanged { ticket_style, poster, images, .. } => {
                self.kind = Some(PassKind { style: ticket_style, poster });
                self.images = Value::json(&images)?;
            }
            PassEvent::AssetsChanged { assets, images, .. } => {
                self.assets = Value::json(&assets)?;
                self.images = Value::json(&images)?;
            }
            PassEvent::HiddenAssetsChanged { assets, .. } => self.assets = Value::json(&assets)?,
            PassEvent::LocalizationsChanged { localizations, shown_localizations, .. } => {
                self.localizations = Value::json(&localizations)?;
                self.shown_localizations = Value::json(&shown_localizations)?;
            }
            PassEvent::HiddenLocalizationsChanged { localizations, .. } => {
                self.localizations = Value::json(&localizations)?;
            }
            PassEvent::NfcChanged { nfc_left_out, images, .. } => {
                self.nfc = Some(NfcInFile::decided(nfc_left_out));
                self.images = Value::json(&images)?;
            }
            PassEvent::PersonalizationChanged { nfc_left_out, images, .. } => {
                self.nfc = nfc_left_out.map(NfcInFile::decided).or(self.nfc);
                self.images = Value::json(&images)?;
            }
            PassEvent::Personalized { images, .. } => self.images = Value::json(&images)?,
            PassEvent::HiddenPersonalizationChanged { .. } => {}
            PassEvent::Repaired(repaired) => {
                self.nfc = Some(NfcInFile::of(&repaired.content, repaired.nfc_left_out));
                self.content = Some(repaired.content);
                self.assets = Value::json(&repaired.assets)?;
                self.images = Value::json(&repaired.images)?;
                self.localizations = Value::json(&repaired.localizations)?;
                self.shown_localizations = Value::json(&repaired.shown_localizations)?;
                self.kind = Some(PassKind { style: repaired.ticket_style, poster: repaired.poster });
                (self.voided, self.retired) = (Some(repaired.voided), Some(repaired.retired));
            }
            PassEvent::Voided { .. } => self.voided = Some(true),
            PassEvent::Reinstated { .. } => self.voided = Some(false),
            PassEvent::Retired { .. } => {
                (self.voided, self.retired) = (Some(true), Some(true));
                self.deleted_at = Some(origin.recorded_at);
            }
        }
        Ok(())
    }
}

impl Change {
    /// Whether it changes a column of `wallet_pass_content`.
    fn is_of_content(&self) -> bool {
        let parts = [&self.assets, &self.images, &self.localizations, &self.shown_localizations];
        self.content.is_some() || self.nfc.is_some() || parts.into_iter().any(|part| !part.is_null())
    }

    /// A row for either statement about `wallet_pass_content`, with the words by which the pass is found; nulls for columns that stay as they are.
    fn take_content_row(&mut self, id: &PassId) -> serde_json::Result<[Value; 10]> {
        let (content, words) = match self.content.take() {
            Some(content) => {
                let words = words::of_pass(&id.serial_number, &content);
                (content_value(&content)?, words.into_iter().collect::<Vec<_>>().join(" ").into())
            }
            None => (Value::Json(None), Value::Text(None)),
        };
        let parts =
            [&mut self.assets, &mut self.images, &mut self.localizations, &mut self.shown_localizations];
        let [assets, images, localizations, shown_localizations] =
            parts.map(|part| std::mem::replace(part, Value::Json(None)));
        Ok([
            pass_type_value(id),
            serial_number_value(id),
            content,
            words,
            assets,
            images,
            localizations,
            shown_localizations,
            self.nfc.take().map(NfcInFile::as_str).into(),
            self.state.sequence.into(),
        ])
    }
}

/// Writes passes whose first event is among those applied. If a pass has a row already, the event was applied before.
async fn insert(connection: &mut Connection, changes: Vec<(PassId, Change)>) -> Result<(), ApplyError> {
    let (mut contents, mut passes) = (Vec::new(), Vec::new());
    for (id, mut change) in changes {
        let content = change.take_content_row(&id)?;
        let Change { issued, kind, voided, retired, deleted_at, state, .. } = change;
        // The first event has both.
        let (Some(issued), Some(kind)) = (issued, kind) else { continue };
        let [pass_type, serial, content, words, assets, images, localizations, shown, nfc, sequence] =
            content;
        let issued_by = issued.organization_id.as_str().into();
        contents.push([
            pass_type,
            serial,
            content,
            words,
            assets,
            images,
            localizations,
            shown,
            nfc,
            issued_by,
            sequence,
        ]);
        let [etag, updated_at, update_tag, sequence] = state.values();
        passes.push([
            pass_type_value(&id),
            serial_number_value(&id),
            issued.authentication_token.as_str().into(),
            issued.organization_id.as_str().into(),
            kind.style.as_str().into(),
            kind.poster.into(),
            voided.into(),
            retired.into(),
            issued.origin.recorded_at.into(),
            issued.origin.actor.into(),
            deleted_at.into(),
            etag,
            updated_at,
            update_tag,
            sequence,
        ]);
    }
    execute_for_each(
        connection,
        "with new (pass_type_identifier, serial_number, content, words, assets, images, localizations, shown_localizations, nfc, issued_by,
                   sequence)
           as (values {rows})
         insert into wallet_pass_content (pass_type_identifier, serial_number, content, words, assets, images, localizations,
                                          shown_localizations, nfc, issued_by)
         select new.pass_type_identifier, new.serial_number, new.content, new.words, new.assets, new.images, new.localizations,
                new.shown_localizations, new.nfc, new.issued_by
         from new
         where not exists (select 1 from wallet_pass pass
                           where pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number
                             and pass.sequence >= new.sequence)
         on conflict (pass_type_identifier, serial_number) do update
         set content = excluded.content, words = excluded.words, assets = excluded.assets, images = excluded.images,
             localizations = excluded.localizations, shown_localizations = excluded.shown_localizations, nfc = excluded.nfc,
             issued_by = excluded.issued_by",
        contents,
    )
    .await?;
    // Last, since its sequence makes a repetition of the statement above harmless. A pass belongs to the organisation that owns its type now:
    // one that was decided just before the type was given away still names the earlier owner.
    execute_for_each(
        connection,
        "with new (pass_type_identifier, serial_number, authentication_token, organization_id, ticket_style, poster, voided, retired,
                   created_at, created_by, deleted_at, etag, updated_at, update_tag, sequence)
           as (values {rows})
         insert into wallet_pass (pass_type_identifier, serial_number, authentication_token, organization_id, ticket_style, poster,
                                  voided, retired, created_at, created_by, deleted_at, etag, updated_at, update_tag, sequence)
         select new.pass_type_identifier, new.serial_number, new.authentication_token,
                coalesce((select pass_type.organization_id from wallet_pass_type pass_type
                          where pass_type.pass_type_identifier = new.pass_type_identifier), new.organization_id),
                new.ticket_style, new.poster, new.voided, new.retired, new.created_at, new.created_by, new.deleted_at, new.etag,
                new.updated_at, new.update_tag, new.sequence
         from new
         where true
         on conflict (pass_type_identifier, serial_number) do update
         set ticket_style = excluded.ticket_style, poster = excluded.poster, voided = excluded.voided, retired = excluded.retired,
             created_at = excluded.created_at, created_by = excluded.created_by, deleted_at = excluded.deleted_at, etag = excluded.etag, updated_at = excluded.updated_at, update_tag = excluded.update_tag, sequence = excluded.sequence
         where wallet_pass.sequence < excluded.sequence",
        passes,
    )
    .await?;
    Ok(())
}

/// Changes passes that have a row.
async fn update(connection: &mut Connection, changes: Vec<(PassId, Change)>) -> Result<(), ApplyError> {
    let (mut contents, mut passes) = (Vec::new(), Vec::new());
    for (id, mut change) in changes {
        if change.is_of_content() {
            contents.push(change.take_content_row(&id)?);
        }
        let Change { kind, voided, retired, deleted_at, state, .. } = change;
        let [etag, updated_at, update_tag, sequence] = state.values();
        passes.push([
            pass_type_value(&id),
            serial_number_value(&id),
            kind.map(|kind| kind.style.as_str()).into(),
            kind.map(|kind| kind.poster).into(),
            voided.into(),
            retired.into(),
            deleted_at.into(),
            etag,
            updated_at,
            update_tag,
            sequence,
        ]);
    }
    execute_for_each(
        connection,
        "with new (pass_type_identifier, serial_number, content, words, assets, images, localizations, shown_localizations, nfc, sequence)
           as (values {rows})
         update wallet_pass_content as old
         set content = coalesce(new.content, old.content), words = coalesce(new.words, old.words),
             assets = coalesce(new.assets, old.assets), images = coalesce(new.images, old.images),
             localizations = coalesce(new.localizations, old.localizations),
             shown_localizations = coalesce(new.shown_localizations, old.shown_localizations),
             nfc = coalesce(new.nfc, old.nfc)
         from new
         where old.pass_type_identifier = new.pass_type_identifier and old.serial_number = new.serial_number
           and (select pass.sequence from wallet_pass pass
                where pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number) < new.sequence",
        contents,
    )
    .await?;
    // Last, since its sequence makes a repetition of the statement above harmless.
    execute_for_each(
        connection,
        "with new (pass_type_identifier, serial_number, ticket_style, poster, voided, retired, deleted_at, etag, updated_at, update_tag,
                   sequence)
           as (values {rows})
         update wallet_pass as old
         set ticket_style = coalesce(new.ticket_style, old.ticket_style), poster = coalesce(new.poster, old.poster),
             voided = coalesce(new.voided, old.voided), retired = coalesce(new.retired, old.retired),
             deleted_at = coalesce(new.deleted_at, old.deleted_at), etag = new.etag, updated_at = new.updated_at, update_tag = coalesce(new.update_tag, old.update_tag), sequence = new.sequence
         from new
         where old.pass_type_identifier = new.pass_type_identifier and old.serial_number = new.serial_number
           and old.sequence < new.sequence",
        passes,
    )
    .await?;
    Ok(())
}
