//! `wallet_outdated_pass`: passes that came too late for a change of the images they fall back to.
//!
//! A command reads the default images, decides, and appends. If they change in between, the pass is written with the old ones, and the job that
//! brings the new ones to all passes may have gone by. So wherever an event says which images a pass shows, they are compared with the defaults as
//! they are at this place of the log. A pass that is behind is noted here until an event brings it up to date.
//!
//! With the jobs this is complete: a job begins when its change has been applied, so every pass that was applied before is seen by the job, and every
//! one that is applied after it is compared with the new defaults.

use std::collections::BTreeMap;

use honoken_domain::ids::{OrganizationId, PassId, PassTypeIdentifier};
use honoken_domain::images::{self, DefaultImages, Images};
use honoken_domain::pass::{PassEvent, TicketStyle};

use crate::apply::ApplyError;
use crate::read_model::{QueryError, ReadModel, decode};
use crate::wallet_pass::{serial_of, ticket_style, type_of};
use crate::wallet_pass_type;
use honoken_database::statements::{Connection, Row, execute_for_each, fetch_for_each, sql};

/// What decides which images a pass shows, and those that it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownImages {
    /// Which pass.
    pub id: PassId,
    /// Who issued it.
    pub organization_id: OrganizationId,
    /// What it is drawn as.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout.
    pub poster: bool,
    /// Whether it is retired, so that nothing can change it any more.
    pub retired: bool,
    /// Images of its own.
    pub assets: Images,
    /// The images that end up in it.
    pub images: Images,
}

/// What became of a pass since its images were resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It shows what it would show today.
    Current,
    /// It would show something else.
    Outdated,
    /// It would be left without an image that it needs, and keeps what it has.
    Lacking {
        /// The empty slot.
        slot: &'static str,
    },
}

/// Compares the images of a pass with those it would show under these defaults.
pub fn freshness(
    style: TicketStyle,
    poster: bool,
    assets: &Images,
    shown: &Images,
    defaults: &DefaultImages,
) -> Freshness {
    let resolved = images::resolve(style, assets, defaults);
    if resolved == *shown {
        return Freshness::Current;
    }
    match images::missing_slot(style, poster, &resolved) {
        Some(slot) => Freshness::Lacking { slot },
        None => Freshness::Outdated,
    }
}

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

/// Sorts behind every name.
pub(crate) const BEHIND_ALL: &str = "\u{10FFFF}";

/// Type and serial number; what sorts before all when there is no pass.
pub(crate) fn names(id: Option<&PassId>) -> (&str, &str) {
    id.map_or(("", ""), |id| (id.pass_type_identifier.as_str(), id.serial_number.as_str()))
}

fn shown_images(row: &Row) -> sqlx::Result<ShownImages> {
    Ok(ShownImages {
        id: pass_id(row)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?).map_err(decode)?,
        ticket_style: ticket_style(row.get("ticket_style")?)?,
        poster: row.get("poster")?,
        retired: row.get("retired")?,
        assets: row.json("assets")?,
        images: row.json("images")?,
    })
}

/// The pass that a row is about.
pub(crate) fn pass_id(row: &Row) -> sqlx::Result<PassId> {
    let id = format!("{}/{}", row.get::<&str>("pass_type_identifier")?, row.get::<&str>("serial_number")?);
    PassId::parse(&id).map_err(decode)
}

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
            let row = wallet_pass_type::find(&mut *connection, pass_type).await?;
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

async fn written(
    connection: &mut Connection,
    ids: Vec<[honoken_database::statements::Value; 2]>,
) -> Result<Vec<ShownImages>, ApplyError> {
    let rows = fetch_for_each(
        connection,
        "select new.column1 as pass_type_identifier, new.column2 as serial_number, pass.organization_id, pass.ticket_style, pass.poster, pass.retired,
                content.assets, content.images
         from (values {rows}) as new
         join wallet_pass pass on pass.pass_type_identifier = new.column1 and pass.serial_number = new.column2
         join wallet_pass_content content
           on content.pass_type_identifier = new.column1 and content.serial_number = new.column2",
        ids,
    )
    .await?;
    Ok(rows.iter().map(shown_images).collect::<sqlx::Result<_>>()?)
}

/// A row that a later event has changed since is left to that event.
async fn note(
    connection: &mut Connection,
    rows: Vec<[honoken_database::statements::Value; 3]>,
) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "insert into wallet_outdated_pass (pass_type_identifier, serial_number)
         select column1, column2
         from (values {rows}) as new
         where exists (select 1 from wallet_pass
                       where pass_type_identifier = column1 and serial_number = column2 and sequence = column3)
         on conflict do nothing",
        rows,
    )
    .await?;
    Ok(())
}

async fn forget(
    connection: &mut Connection,
    rows: Vec<[honoken_database::statements::Value; 3]>,
) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "delete from wallet_outdated_pass
         where (pass_type_identifier, serial_number) in
               (select column1, column2
                from (values {rows}) as new
                where exists (select 1 from wallet_pass pass
                              where pass.pass_type_identifier = column1 and pass.serial_number = column2 and pass.sequence = column3))",
        rows,
    )
    .await?;
    Ok(())
}
