//! `wallet_outdated_pass`: passes that came too late for a change of the images and texts to which they fall back, or of their certificate.
//!
//! A command reads the defaults, decides, and appends. If they change in between, the pass is written with the old ones, and the job that
//! brings the new ones to all passes may already be past it. So wherever an event decides what a pass shows of its defaults, it is compared with
//! the defaults as they are at this position of the event log; so is what became of its `nfc` with the certificate. A pass that shows something
//! else is in this table until an event brings it up to date.
//!
//! With the jobs this is complete: a job begins when its change has been applied, so the job sees every pass that was applied before, and every
//! pass that is applied after it is compared with the new defaults.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, Value, execute_for_each, fetch_for_each, sql};
use honoken_domain::ids::PassId;
use honoken_domain::pass::{PassEvent, PassKind};

use crate::rows::columns::{pass_key, pass_type_value, serial_number_value};
use crate::rows::nfc::NfcInFile;
use crate::rows::pass_type::find_pass_type;
use crate::rows::shown_parts::{ShownParts, shown_parts};
use crate::tables::apply_error::ApplyError;

/// The passes whose images or texts may have changed with the events of a batch.
#[derive(Default)]
pub(crate) struct PartChanges(BTreeMap<PassId, PartChange>);

/// Where the images and texts of such a pass are.
enum PartChange {
    /// In the first event of the pass.
    Event(Box<ShownParts>),
    /// In its row.
    Row,
    /// In its row, which is up to date unless it was outdated before.
    RowIfOutdated,
}

impl PartChanges {
    /// Adds the pass of an event, if the event may change its images or texts.
    pub(crate) fn add_event(&mut self, id: &PassId, event: &PassEvent) {
        let change = match event {
            PassEvent::Issued(issued) => PartChange::Event(Box::new(ShownParts {
                id: id.clone(),
                organization_id: issued.organization_id.clone(),
                kind: PassKind { style: issued.ticket_style, poster: issued.poster },
                retired: false,
                assets: issued.assets.clone(),
                images: issued.images.clone(),
                own_localizations: issued.localizations.clone(),
                localizations: issued.shown_localizations.clone(),
                nfc: NfcInFile::of(&issued.content, issued.nfc_left_out),
                has_open_form: false,
            })),
            PassEvent::AssetsChanged { .. }
            | PassEvent::HiddenAssetsChanged { .. }
            | PassEvent::LocalizationsChanged { .. }
            | PassEvent::HiddenLocalizationsChanged { .. }
            | PassEvent::MetadataChanged { .. }
            | PassEvent::NfcChanged { .. }
            | PassEvent::PersonalizationChanged { .. }
            | PassEvent::HiddenPersonalizationChanged { .. }
            | PassEvent::Personalized { .. }
            | PassEvent::Repaired(_)
            | PassEvent::Retired { .. } => PartChange::Row,
            // Only `nfc` makes a content depend on more than the pass.
            PassEvent::ContentChanged { nfc_left_out, .. } => {
                if nfc_left_out.is_some() || self.0.contains_key(id) {
                    PartChange::Row
                } else {
                    PartChange::RowIfOutdated
                }
            }
            PassEvent::Voided { .. } | PassEvent::Reinstated { .. } => return,
        };
        self.0.insert(id.clone(), change);
    }
}

/// Inserts the passes that are outdated now, and deletes those that no longer are. The rows of the passes must have been written, with these
/// `sequences`.
pub(crate) async fn apply(
    connection: &mut Connection,
    PartChanges(changes): PartChanges,
    sequences: &BTreeMap<PassId, i64>,
) -> Result<(), ApplyError> {
    let asks = changes.values().any(|change| matches!(change, PartChange::RowIfOutdated));
    let is_empty = asks && is_empty(connection).await?;
    let is_examined = |change: &PartChange| !(is_empty && matches!(change, PartChange::RowIfOutdated));
    let changes: BTreeMap<_, _> = changes.into_iter().filter(|(_, change)| is_examined(change)).collect();
    let mut defaults = BTreeMap::new();
    for id in changes.keys() {
        let pass_type = &id.pass_type_identifier;
        if !defaults.contains_key(pass_type) {
            let row = find_pass_type(&mut *connection, pass_type).await?;
            defaults.insert(pass_type.clone(), row);
        }
    }
    let is_outdated = |pass: &ShownParts| {
        let pass_type = defaults.get(&pass.id.pass_type_identifier).and_then(Option::as_ref);
        pass_type.is_some_and(|pass_type| pass.freshness_when_appended(pass_type).is_outdated())
    };
    let row = |id: &PassId| {
        let sequence = sequences.get(id).copied().unwrap_or_default();
        [pass_type_value(id), serial_number_value(id), sequence.into()]
    };
    let (mut outdated, mut current, mut in_row) = (Vec::new(), Vec::new(), Vec::new());
    for (id, change) in &changes {
        match change {
            PartChange::Event(pass) => {
                if is_outdated(pass) {
                    outdated.push(row(id));
                }
            }
            PartChange::Row | PartChange::RowIfOutdated => in_row.push(pass_key(id)),
        }
    }
    for found in fetch_shown_parts(connection, in_row).await? {
        let is_outdated = !found.retired && is_outdated(&found);
        if is_outdated { outdated.push(row(&found.id)) } else { current.push(row(&found.id)) }
    }
    insert(connection, outdated).await?;
    delete(connection, current).await
}

/// Whether no pass is outdated, as nearly always.
async fn is_empty(connection: &mut Connection) -> Result<bool, ApplyError> {
    let any = sql("select serial_number from wallet_outdated_pass where pass_type_identifier > '' limit 1")
        .fetch_optional(connection)
        .await?;
    Ok(any.is_none())
}

async fn fetch_shown_parts(
    connection: &mut Connection,
    ids: Vec<[Value; 2]>,
) -> Result<Vec<ShownParts>, ApplyError> {
    let rows = fetch_for_each(
        connection,
        "with new (pass_type_identifier, serial_number) as (values {rows})
         select new.pass_type_identifier, new.serial_number, pass.organization_id, pass.ticket_style, pass.poster, pass.retired,
                content.assets, content.images, content.localizations, content.shown_localizations, content.nfc,
                exists (select 1 from wallet_personalization form
                        where form.pass_type_identifier = pass.pass_type_identifier and form.serial_number = pass.serial_number
                          and form.form is not null and form.person is null) as has_open_form
         from new
         join wallet_pass pass
           on pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number
         join wallet_pass_content content
           on content.pass_type_identifier = new.pass_type_identifier and content.serial_number = new.serial_number",
        ids,
    )
    .await?;
    Ok(rows.iter().map(shown_parts).collect::<sqlx::Result<_>>()?)
}

/// A pass whose row a later event has changed is left to that event.
async fn insert(connection: &mut Connection, rows: Vec<[Value; 3]>) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "with new (pass_type_identifier, serial_number, sequence) as (values {rows})
         insert into wallet_outdated_pass (pass_type_identifier, serial_number)
         select new.pass_type_identifier, new.serial_number
         from new
         where exists (select 1 from wallet_pass pass
                       where pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number
                         and pass.sequence = new.sequence)
         on conflict do nothing",
        rows,
    )
    .await?;
    Ok(())
}

async fn delete(connection: &mut Connection, rows: Vec<[Value; 3]>) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "with new (pass_type_identifier, serial_number, sequence) as (values {rows})
         delete from wallet_outdated_pass
         where (pass_type_identifier, serial_number) in
               (select new.pass_type_identifier, new.serial_number
                from new
                where exists (select 1 from wallet_pass pass
                              where pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number
                                and pass.sequence = new.sequence))",
        rows,
    )
    .await?;
    Ok(())
}
