//! `wallet_image`: the images that are an organisation's own, so that it may name them by their digests: those that it has uploaded, and those
//! that a pass or a pass type of it was ever given. Logs from before uploads were events have only the latter.
//!
//! Rows are only added, and are the same in whatever order the events come.

use std::collections::BTreeSet;

use honoken_database::statements::{Connection, execute_for_each, sql};
use honoken_domain::ids::{Digest, OrganizationId, PassId, PassTypeIdentifier};
use honoken_domain::images::Images;
use honoken_domain::pass::PassEvent;
use honoken_domain::uploaded_image::UploadedImageEvent;
use honoken_event_store::RecordedEvent;

use crate::rows::columns::{serial_of, type_of};
use crate::tables::apply_error::ApplyError;

/// An upload.
pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let UploadedImageEvent::Uploaded { organization_id, digest, bytes } =
        serde_json::from_value(recorded.event.payload)?;
    sql("insert into wallet_image (organization_id, digest, bytes) values ($1, $2, $3)
         on conflict (organization_id, digest) do update set bytes = excluded.bytes")
    .bind(organization_id.as_str())
    .bind(digest.as_str())
    .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
    .execute(connection)
    .await?;
    Ok(())
}

/// The images that a pass type was given.
pub(crate) async fn add_of_pass_type(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    assets: &Images,
) -> Result<(), ApplyError> {
    let rows = assets.values().map(|digest| [identifier.as_str().into(), digest.as_str().into()]);
    execute_for_each(
        connection,
        "with new (pass_type_identifier, digest) as (values {rows})
         insert into wallet_image (organization_id, digest)
         select pass_type.organization_id, new.digest
         from new
         join wallet_pass_type pass_type on pass_type.pass_type_identifier = new.pass_type_identifier
         where true
         on conflict do nothing",
        rows.collect(),
    )
    .await?;
    Ok(())
}

/// The images that passes were given. Those that a pass merely falls back to are not among them: they are its pass type's, which are the
/// organisation's anyway, or the brand's, which are not.
#[derive(Default)]
pub(crate) struct Given {
    by_order: BTreeSet<(OrganizationId, Digest)>,
    afterwards: BTreeSet<(PassId, Digest)>,
}

impl Given {
    /// Takes note of an event.
    pub(crate) fn note(&mut self, id: &PassId, event: &PassEvent) {
        match event {
            PassEvent::Issued(issued) => {
                let digests = issued.assets.values().cloned();
                self.by_order.extend(digests.map(|digest| (issued.organization_id.clone(), digest)));
            }
            PassEvent::AssetsChanged { assets, .. } => {
                self.afterwards.extend(assets.values().map(|digest| (id.clone(), digest.clone())));
            }
            PassEvent::ContentChanged { .. }
            | PassEvent::MetadataChanged { .. }
            | PassEvent::Voided { .. }
            | PassEvent::Reinstated { .. }
            | PassEvent::Retired { .. } => {}
        }
    }

    /// Adds them; the rows of the passes have been written.
    pub(crate) async fn apply(self, connection: &mut Connection) -> Result<(), ApplyError> {
        let by_order = self.by_order.iter();
        let by_order = by_order.map(|(owner, digest)| [owner.as_str().into(), digest.as_str().into()]);
        execute_for_each(
            connection,
            "insert into wallet_image (organization_id, digest) values {rows} on conflict do nothing",
            by_order.collect(),
        )
        .await?;
        let afterwards = self.afterwards.iter();
        let afterwards = afterwards.map(|(id, digest)| [type_of(id), serial_of(id), digest.as_str().into()]);
        execute_for_each(
            connection,
            "with new (pass_type_identifier, serial_number, digest) as (values {rows})
             insert into wallet_image (organization_id, digest)
             select pass.organization_id, new.digest
             from new
             join wallet_pass pass
               on pass.pass_type_identifier = new.pass_type_identifier and pass.serial_number = new.serial_number
             where true
             on conflict do nothing",
            afterwards.collect(),
        )
        .await?;
        Ok(())
    }
}
