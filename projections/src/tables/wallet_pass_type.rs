//! `wallet_pass_type` and `wallet_brand_assets`: the owner of each pass type, and the images and texts to which its passes fall back.

use honoken_database::statements::{Connection, Value, sql};
use honoken_domain::brand_assets::BrandAssetsEvent;
use honoken_domain::ids::{CertRef, JobId, OrganizationId, PassTypeIdentifier, TeamIdentifier};
use honoken_domain::images::Images;
use honoken_domain::job::{PASS_TYPE_ASSETS, PASS_TYPE_LOCALIZATIONS, PASS_TYPE_NFC};
use honoken_domain::pass_type::PassTypeEvent;
use honoken_event_store::{Position, RecordedEvent};

use crate::rows::columns::sequence_of;
use crate::tables::apply_error::ApplyError;
use crate::tables::change::{Change, note_authorship};
use crate::tables::{wallet_cert, wallet_image, wallet_job};

/// Applies an event of a pass type.
pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let identifier = PassTypeIdentifier::parse(recorded.event.aggregate_id.clone())?;
    let change = Change::of(&recorded);
    let event = serde_json::from_value(recorded.event.payload)?;
    apply_event(connection, &identifier, event, recorded.position, change.sequence).await?;
    let noting = note_authorship!("wallet_pass_type", "pass_type_identifier = $4");
    change.note_authorship(connection, noting, &[identifier.as_str()]).await
}

async fn apply_event(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    event: PassTypeEvent,
    position: Position,
    sequence: i64,
) -> Result<(), ApplyError> {
    match event {
        PassTypeEvent::Created { organization_id, team_identifier, cert_ref, .. } => {
            let owner = Owner { organization_id, team_identifier, cert_ref };
            insert(connection, identifier, &owner, position, sequence).await?;
            wallet_cert::show_pass_type(connection, identifier).await
        }
        PassTypeEvent::Assigned { organization_id, team_identifier, cert_ref, job } => {
            let owner = Owner { organization_id, team_identifier, cert_ref: Some(cert_ref) };
            assign(connection, identifier, &owner, position, sequence).await?;
            wallet_cert::show_pass_type(connection, identifier).await?;
            insert_job(connection, job, PASS_TYPE_NFC, identifier, position).await
        }
        PassTypeEvent::AssetsChanged { assets, job } => {
            let defaults = [Value::json(&assets)?, Value::Json(None)];
            set_defaults(connection, identifier, defaults, sequence).await?;
            wallet_image::insert_for_pass_type(connection, identifier, &assets).await?;
            insert_job(connection, job, PASS_TYPE_ASSETS, identifier, position).await
        }
        PassTypeEvent::LocalizationsChanged { localizations, job } => {
            let defaults = [Value::Json(None), Value::json(&localizations)?];
            set_defaults(connection, identifier, defaults, sequence).await?;
            insert_job(connection, job, PASS_TYPE_LOCALIZATIONS, identifier, position).await
        }
    }
}

async fn insert_job(
    connection: &mut Connection,
    job: Option<JobId>,
    kind: &'static str,
    identifier: &PassTypeIdentifier,
    position: Position,
) -> Result<(), ApplyError> {
    match job {
        Some(job) => wallet_job::insert_for_pass_type(connection, &job, kind, identifier, position).await,
        None => Ok(()),
    }
}

/// Whose a pass type is, and who signs.
struct Owner {
    organization_id: OrganizationId,
    team_identifier: TeamIdentifier,
    /// `None`: the certificate with the name of the pass type.
    cert_ref: Option<CertRef>,
}

async fn insert(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    owner: &Owner,
    position: Position,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql(
        "insert into wallet_pass_type (pass_type_identifier, organization_id, team_identifier, cert_ref, cert_position, assets, sequence)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict do nothing",
    )
    .bind(identifier.as_str())
    .bind(owner.organization_id.as_str())
    .bind(owner.team_identifier.as_str())
    .bind(owner.cert_ref.as_ref().map(CertRef::as_str))
    .bind(position.0.cast_signed())
    .bind(Value::json(&Images::new())?)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives a pass type, and all of its passes, to an organisation, and names its certificate.
async fn assign(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    owner: &Owner,
    position: Position,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_pass_type
         set organization_id = $2, team_identifier = $3, cert_ref = $4, cert_position = $5, sequence = $6
         where pass_type_identifier = $1 and sequence < $6")
    .bind(identifier.as_str())
    .bind(owner.organization_id.as_str())
    .bind(owner.team_identifier.as_str())
    .bind(owner.cert_ref.as_ref().map(CertRef::as_str))
    .bind(position.0.cast_signed())
    .bind(sequence)
    .execute(&mut *connection)
    .await?;
    sql("update wallet_pass set organization_id = $2 where pass_type_identifier = $1 and organization_id <> $2")
        .bind(identifier.as_str())
        .bind(owner.organization_id.as_str())
        .execute_however_long(&mut *connection)
        .await?;
    let row = sql("select assets from wallet_pass_type where pass_type_identifier = $1")
        .bind(identifier.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let assets: Images = row.map(|row| row.json("assets")).transpose()?.unwrap_or_default();
    wallet_image::insert_for_pass_type(connection, identifier, &assets).await
}

/// Changes what the passes of a type fall back to; nulls leave it as it is.
async fn set_defaults(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    [assets, localizations]: [Value; 2],
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_pass_type
         set assets = coalesce($2, assets), localizations = coalesce($3, localizations), sequence = $4
         where pass_type_identifier = $1 and sequence < $4")
    .bind(identifier.as_str())
    .bind(assets)
    .bind(localizations)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

/// Applies an event of the brand's images.
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
        Some(job) => wallet_job::insert_for_brand(connection, &job, recorded.position).await,
        None => Ok(()),
    }
}
