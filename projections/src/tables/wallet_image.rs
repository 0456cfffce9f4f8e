//! `wallet_image`: the images that are an organisation's own, so that it may name them by their digests: the images that it has uploaded, and
//! those that were ever given to one of its passes or pass types. Event logs from before uploads were events have only the latter.
//!
//! Rows are only added, and are the same in whatever order the events of different aggregates come. `bytes` is set while the image counts in the
//! room of its organisation.

use std::collections::BTreeSet;

use honoken_database::statements::{Connection, execute_for_each, sql};
use honoken_domain::ids::{Digest, OrganizationId, PassId, PassTypeIdentifier};
use honoken_domain::images::Images;
use honoken_domain::pass::PassEvent;
use honoken_domain::uploaded_image::UploadedImageEvent;
use honoken_event_store::RecordedEvent;

use crate::rows::columns::{pass_type_value, serial_number_value};
use crate::tables::apply_error::ApplyError;

/// Applies an upload, or the removal of one.
pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let (organization_id, digest, bytes) = match serde_json::from_value(recorded.event.payload)? {
        UploadedImageEvent::Uploaded { organization_id, digest, bytes } => {
            (organization_id, digest, Some(i64::try_from(bytes).unwrap_or(i64::MAX)))
        }
        UploadedImageEvent::Removed { organization_id, digest } => (organization_id, digest, None),
    };
    sql("insert into wallet_image (organization_id, digest, bytes) values ($1, $2, $3)
         on conflict (organization_id, digest) do update set bytes = excluded.bytes")
    .bind(organization_id.as_str())
    .bind(digest.as_str())
    .bind(bytes)
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds the images that were given to a pass type.
pub(crate) async fn insert_for_pass_type(
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

/// The images that the events of a batch give to passes. Images to which a pass merely falls back are not among them: they are its pass type's,
/// which are the organisation's own anyway, or the brand's, which are not.
#[derive(Default)]
pub(crate) struct GivenImages {
    of_issued_passes: BTreeSet<(OrganizationId, Digest)>,
    of_changed_passes: BTreeSet<(PassId, Digest)>,
}

impl GivenImages {
    /// Adds the images of an event.
    pub(crate) fn add_event(&mut self, id: &PassId, event: &PassEvent) {
        match event {
            PassEvent::Issued(issued) => {
                let digests = issued.assets.values().cloned();
                self.of_issued_passes.extend(digests.map(|digest| (issued.organization_id.clone(), digest)));
            }
            PassEvent::Repaired(repaired) => {
                let digests = repaired.assets.values().cloned();
                self.of_issued_passes
                    .extend(digests.map(|digest| (repaired.organization_id.clone(), digest)));
            }
            PassEvent::AssetsChanged { assets, .. } | PassEvent::HiddenAssetsChanged { assets, .. } => {
                self.of_changed_passes.extend(assets.values().map(|digest| (id.clone(), digest.clone())));
            }
            PassEvent::ContentChanged { .. }
            | PassEvent::MetadataChanged { .. }
            | PassEvent::LocalizationsChanged { .. }
            | PassEvent::HiddenLocalizationsChanged { .. }
            | PassEvent::NfcChanged { .. }
            | PassEvent::PersonalizationChanged { .. }
            | PassEvent::HiddenPersonalizationChanged { .. }
            | PassEvent::Personalized { .. }
            | PassEvent::Voided { .. }
            | PassEvent::Reinstated { .. }
            | PassEvent::Retired { .. } => {}
        }
    }

    /// Writes them into the table. The rows of the passes must have been written.
    pub(crate) async fn insert(self, connection: &mut Connection) -> Result<(), ApplyError> {
        let of_issued_passes = self.of_issued_passes.iter();
        let of_issued_passes =
            of_issued_passes.map(|(owner, digest)| [owner.as_str().into(), digest.as_str().into()]);
        execute_for_each(
            connection,
            "insert into wallet_image (organization_id, digest) values {rows} on conflict do nothing",
            of_issued_passes.collect(),
        )
        .await?;
        let of_changed_passes = self.of_changed_passes.iter();
        let of_changed_passes = of_changed_passes
            .map(|(id, digest)| [pass_type_value(id), serial_number_value(id), digest.as_str().into()]);
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
            of_changed_passes.collect(),
        )
        .await?;
        Ok(())
    }
}
