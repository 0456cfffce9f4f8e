//! `wallet_outdated_pass`: passes that came too late for a change of the images they fall back to.
//!
//! A command reads the default images, decides, and appends. If they change in between, the pass is written with the old ones, and the job that
//! brings the new ones to all passes may have gone by. So wherever an event says which images a pass shows, they are compared with the defaults as
//! they are at this place of the log. A pass that is behind is noted here until an event brings it up to date.
//!
//! With the jobs this is complete: a job begins when its change has been applied, so every pass that was applied before is seen by the job, and every
//! one that is applied after it is compared with the new defaults.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, Value, execute_for_each, fetch_for_each};
use honoken_domain::ids::PassId;
use honoken_domain::images::Images;
use honoken_domain::pass::{PassEvent, TicketStyle};

use crate::rows::columns::{serial_of, type_of};
use crate::rows::pass_type;
use crate::rows::shown_images::{Freshness, ShownImages, freshness, shown_images};
use crate::tables::apply_error::ApplyError;

/// What the events of a batch say about the images of passes.
#[derive(Default)]
pub(crate) struct Shown(BTreeMap<PassId, Said>);

enum Said {
    /// The first event of the pass says everything.
    Whole { ticket_style: TicketStyle, poster: bool, assets: Images, images: Images },
    /// The rest is in its row.
    Changed,
}

impl Shown {
    /// Takes note of an event.
    pub(crate) fn note(&mut self, id: &PassId, event: &PassEvent) {
        let said = match event {
            PassEvent::Issued(issued) => Said::Whole {
                ticket_style: issued.ticket_style,
                poster: issued.poster,
                assets: issued.assets.clone(),
                images: issued.images.clone(),
            },
            PassEvent::AssetsChanged { .. }
            | PassEvent::MetadataChanged { .. }
            | PassEvent::Retired { .. } => Said::Changed,
            PassEvent::ContentChanged { .. } | PassEvent::Voided { .. } | PassEvent::Reinstated { .. } => {
                return;
            }
        };
        self.0.insert(id.clone(), said);
    }
}

/// Notes the passes that came too late, and those that have caught up; `sequences` are those of the rows, which have been written.
pub(crate) async fn apply(
    connection: &mut Connection,
    Shown(shown): Shown,
    sequences: &BTreeMap<PassId, i64>,
) -> Result<(), ApplyError> {
    let mut defaults = BTreeMap::new();
    for id in shown.keys() {
        let pass_type = &id.pass_type_identifier;
        if !defaults.contains_key(pass_type) {
            let row = pass_type::find(&mut *connection, pass_type).await?;
            defaults.insert(pass_type.clone(), row.map(|row| row.default_images));
        }
    }
    let is_outdated = |id: &PassId, style, poster, assets: &Images, images: &Images| {
        let defaults = defaults.get(&id.pass_type_identifier).and_then(Option::as_ref);
        defaults
            .is_some_and(|defaults| freshness(style, poster, assets, images, defaults) == Freshness::Outdated)
    };
    let row = |id: &PassId| {
        let sequence = sequences.get(id).copied().unwrap_or_default();
        [type_of(id), serial_of(id), sequence.into()]
    };
    let (mut late, mut caught_up, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for (id, said) in &shown {
        match said {
            Said::Whole { ticket_style, poster, assets, images } => {
                if is_outdated(id, *ticket_style, *poster, assets, images) {
                    late.push(row(id));
                }
            }
            Said::Changed => changed.push([type_of(id), serial_of(id)]),
        }
    }
    for found in written(connection, changed).await? {
        let ShownImages { id, ticket_style, poster, retired, assets, images, .. } = &found;
        let is_late = !retired && is_outdated(id, *ticket_style, *poster, assets, images);
        if is_late { late.push(row(id)) } else { caught_up.push(row(id)) }
    }
    note(connection, late).await?;
    forget(connection, caught_up).await
}

async fn written(connection: &mut Connection, ids: Vec<[Value; 2]>) -> Result<Vec<ShownImages>, ApplyError> {
    let rows = fetch_for_each(
        connection,
        "with new (pass_type_identifier, serial_number) as (values {rows})
         select new.pass_type_identifier, new.serial_number, pass.organization_id, pass.ticket_style, pass.poster, pass.retired,
                content.assets, content.images
         from new
         join wallet_pass pass
           on pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number
         join wallet_pass_content content
           on content.pass_type_identifier = new.pass_type_identifier and content.serial_number = new.serial_number",
        ids,
    )
    .await?;
    Ok(rows.iter().map(shown_images).collect::<sqlx::Result<_>>()?)
}

/// A row that a later event has changed since is left to that event.
async fn note(connection: &mut Connection, rows: Vec<[Value; 3]>) -> Result<(), ApplyError> {
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

async fn forget(connection: &mut Connection, rows: Vec<[Value; 3]>) -> Result<(), ApplyError> {
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
