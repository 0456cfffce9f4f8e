//! `wallet_pass_type` and `wallet_brand_assets`: whose a pass type is, and which images its passes fall back to.

use honoken_domain::brand_assets::BrandAssetsEvent;
use honoken_domain::ids::{OrganizationId, PassId, PassTypeIdentifier, TeamIdentifier};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::pass::TicketStyle;
use honoken_domain::pass_type::PassTypeEvent;
use honoken_event_store::RecordedEvent;

use crate::apply::{ApplyError, sequence_of};
use crate::read_model::{QueryError, ReadModel, decode};
use crate::wallet_pass::ticket_style;
use crate::{wallet_image, wallet_job};
use honoken_database::statements::{Connection, Row, Source, Value, sql};

/// A pass type with all that a command for one of its passes needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassTypeRow {
    /// The identifier.
    pub pass_type_identifier: PassTypeIdentifier,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The team whose certificate signs its passes.
    pub team_identifier: TeamIdentifier,
    /// What its passes fall back to.
    pub default_images: DefaultImages,
}

impl ReadModel {
    /// One pass type, by its identifier.
    pub async fn pass_type(
        &self,
        identifier: &PassTypeIdentifier,
    ) -> Result<Option<PassTypeRow>, QueryError> {
        find(&self.readers, identifier).await.map_err(QueryError::of("a pass type"))
    }

    /// The brand's images; `None` while it never had any.
    pub async fn brand_assets(&self) -> Result<Option<Images>, QueryError> {
        let row =
            sql("select assets from wallet_brand_assets where id = 1").fetch_optional(&self.readers).await;
        let assets = row.and_then(|row| row.map(|row| row.json("assets")).transpose());
        assets.map_err(QueryError::of("the brand's images"))
    }
}

/// One pass type, by its identifier.
pub(crate) async fn find<'a>(
    from: impl Into<Source<'a>>,
    identifier: &PassTypeIdentifier,
) -> sqlx::Result<Option<PassTypeRow>> {
    let row = sql("select pass_type_identifier, organization_id, team_identifier, assets,
                (select assets from wallet_brand_assets where id = 1) as brand_assets
         from wallet_pass_type
         where pass_type_identifier = $1")
    .bind(identifier.as_str())
    .fetch_optional(from)
    .await?;
    row.as_ref().map(pass_type_row).transpose()
}

impl ReadModel {
    /// A pass type, and what one of its passes is; the latter is `None` while the pass does not exist or is not projected yet.
    pub async fn pass_type_of(
        &self,
        id: &PassId,
    ) -> Result<Option<(PassTypeRow, Option<PassKind>)>, QueryError> {
        let row = sql(
            "select pass_type.pass_type_identifier, pass_type.organization_id, pass_type.team_identifier, pass_type.assets,
                    (select assets from wallet_brand_assets where id = 1) as brand_assets, pass.ticket_style, pass.poster
             from wallet_pass_type pass_type
             left join wallet_pass pass
               on pass.pass_type_identifier = pass_type.pass_type_identifier and pass.serial_number = $2
             where pass_type.pass_type_identifier = $1",
        )
        .bind(id.pass_type_identifier.as_str())
        .bind(id.serial_number.as_str())
        .fetch_optional(&self.readers)
        .await;
        let read = |row: &Row| Ok((pass_type_row(row)?, pass_kind(row)?));
        row.and_then(|row| row.as_ref().map(read).transpose()).map_err(QueryError::of("a pass type"))
    }
}

/// What a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassKind {
    /// What it is drawn as.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout.
    pub poster: bool,
}

fn pass_kind(row: &Row) -> sqlx::Result<Option<PassKind>> {
    let Some(style) = row.get::<Option<&str>>("ticket_style")? else { return Ok(None) };
    Ok(Some(PassKind { ticket_style: ticket_style(style)?, poster: row.get("poster")? }))
}

fn pass_type_row(row: &Row) -> sqlx::Result<PassTypeRow> {
    Ok(PassTypeRow {
        pass_type_identifier: PassTypeIdentifier::parse(row.get::<String>("pass_type_identifier")?)
            .map_err(decode)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?).map_err(decode)?,
        team_identifier: TeamIdentifier::parse(row.get::<String>("team_identifier")?).map_err(decode)?,
        default_images: DefaultImages {
            pass_type: row.json("assets")?,
            brand: row.optional_json("brand_assets")?.unwrap_or_default(),
        },
    })
}

pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let identifier = PassTypeIdentifier::parse(recorded.event.aggregate_id.clone())?;
    let (position, sequence) = (recorded.position, sequence_of(&recorded));
    let event: PassTypeEvent = serde_json::from_value(recorded.event.payload)?;
    match event {
        PassTypeEvent::Created { organization_id, team_identifier, .. } => {
            insert(connection, &identifier, &organization_id, &team_identifier, sequence).await
        }
        PassTypeEvent::AssetsChanged { assets, job } => {
            set_assets(connection, &identifier, &assets, sequence).await?;
            wallet_image::add_of_pass_type(connection, &identifier, &assets).await?;
            match job {
                Some(job) => wallet_job::expect_for_pass_type(connection, &job, &identifier, position).await,
                None => Ok(()),
            }
        }
    }
}

async fn insert(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    organization_id: &OrganizationId,
    team_identifier: &TeamIdentifier,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql(
        "insert into wallet_pass_type (pass_type_identifier, organization_id, team_identifier, assets, sequence)
         values ($1, $2, $3, $4, $5)
         on conflict do nothing",
    )
    .bind(identifier.as_str())
    .bind(organization_id.as_str())
    .bind(team_identifier.as_str())
    .bind(Value::json(&Images::new())?)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn set_assets(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    assets: &Images,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_pass_type set assets = $2, sequence = $3
         where pass_type_identifier = $1 and sequence < $3")
    .bind(identifier.as_str())
    .bind(Value::json(assets)?)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn apply_brand(
    connection: &mut Connection,
    recorded: RecordedEvent,
) -> Result<(), ApplyError> {
    let sequence = sequence_of(&recorded);
    let BrandAssetsEvent::Changed { assets, job } = serde_json::from_value(recorded.event.payload)?;
    sql("insert into wallet_brand_assets (id, assets, sequence) values (1, $1, $2)
         on conflict (id) do update set assets = excluded.assets, sequence = excluded.sequence
         where wallet_brand_assets.sequence < excluded.sequence")
    .bind(Value::json(&assets)?)
    .bind(sequence)
    .execute(&mut *connection)
    .await?;
    match job {
        Some(job) => wallet_job::expect_for_brand(connection, &job, recorded.position).await,
        None => Ok(()),
    }
}
