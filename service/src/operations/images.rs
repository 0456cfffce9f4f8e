//! The images that something refers to, those that are known at all, and the room that removed ones give back.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use honoken_domain::brand_assets::{BRAND_ID, BrandAssets, BrandAssetsEvent};
use honoken_domain::ids::{Digest, OrganizationId, UploadedImageId};
use honoken_domain::uploaded_image::{UploadedImage, UploadedImageCommand};
use honoken_event_store::{EventLog, Log, LogError};
use honoken_projections::{QueryError, ReadModel};
use honoken_telemetry::error_chain;

use super::context::Context;
use crate::image_store::{ImageStore, StoreFault};

/// Rows that are read at a time.
const PAGE: u32 = 1000;

/// Images that are looked after at a time.
const AT_A_TIME: usize = 16;

/// The images that a pass has or shows, a pass type has, or the brand has. Voided and retired passes are served, so theirs count.
///
/// # Errors
/// When the read model cannot be asked.
pub async fn referred_to(read_model: &ReadModel) -> Result<BTreeSet<Digest>, QueryError> {
    let mut found = BTreeSet::new();
    let mut after = None;
    loop {
        let page = read_model.shown_parts(None, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        for parts in &page {
            found.extend(parts.assets.values().chain(parts.images.values()).cloned());
        }
    }
    let mut after = String::new();
    loop {
        let page = read_model.pass_types(&after, PAGE).await?;
        let Some(last) = page.last() else { break };
        last.pass_type_identifier.as_str().clone_into(&mut after);
        for owned in &page {
            if let Some(row) = read_model.pass_type(&owned.pass_type_identifier).await? {
                found.extend(row.default_images.pass_type.values().cloned());
            }
        }
    }
    found.extend(read_model.brand_assets().await?.unwrap_or_default().into_values());
    Ok(found)
}

/// All images that are known: those that something refers to, and those that an organisation may name.
///
/// # Errors
/// When the read model cannot be asked.
pub async fn known(read_model: &ReadModel) -> Result<BTreeSet<Digest>, QueryError> {
    let mut found = referred_to(read_model).await?;
    let mut after = None;
    loop {
        let page = read_model.images_of_organizations(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.clone());
        found.extend(page.into_iter().map(|(_, digest)| digest));
    }
}

/// The images that the brand ever had. What cannot be read of its events is left out.
///
/// # Errors
/// When the event log cannot be read.
pub async fn ever_of_the_brand(log: &Log) -> Result<BTreeSet<Digest>, LogError> {
    let mut found = BTreeSet::new();
    for event in log.load::<BrandAssets>(BRAND_ID, 0).await? {
        if let Ok(BrandAssetsEvent::Changed { assets, .. }) = serde_json::from_value(event.payload) {
            found.extend(assets.into_values());
        }
    }
    Ok(found)
}

/// Why no room was given back.
#[derive(Debug, thiserror::Error)]
pub enum RoomFault {
    /// The read model cannot be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The store of the images cannot be used.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// Gives organisations the room of images back that the store has no more, unless something refers to them: such a one is missing, and not removed.
/// `there` are images of which it is known that the store has them. Gives how many images count no more.
///
/// # Errors
/// [`RoomFault`]. A single image whose events cannot be read is logged, and counts on.
pub async fn give_room_back(
    context: &Context<'_>,
    store: &ImageStore,
    referred_to: &BTreeSet<Digest>,
    there: &BTreeSet<Digest>,
) -> Result<u64, RoomFault> {
    let mut given = 0;
    let mut after = None;
    loop {
        let page = context.read_model.counted_images(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(given) };
        after = Some(last.clone());
        let absent =
            page.into_iter().filter(|(_, digest)| !referred_to.contains(digest) && !there.contains(digest));
        let mut asked = Box::pin(
            stream::iter(absent).map(|image| release(context, store, image)).buffer_unordered(AT_A_TIME),
        );
        while let Some(is_given) = asked.next().await {
            given += u64::from(is_given?);
        }
    }
}

async fn release(
    context: &Context<'_>,
    store: &ImageStore,
    (organization_id, digest): (OrganizationId, Digest),
) -> Result<bool, StoreFault> {
    // It may have been uploaded again meanwhile.
    if store.has(&digest).await? {
        return Ok(false);
    }
    let id = UploadedImageId { organization_id, digest };
    let remove = UploadedImageCommand::Remove { id: id.clone() };
    match context.dispatcher.dispatch::<UploadedImage>(&id.to_string(), remove, &(), context.metadata).await {
        Ok(committed) => Ok(!committed.events.is_empty()),
        Err(fault) => {
            let cause = error_chain(&fault);
            tracing::error!(
                error = cause,
                "the removed image {} counts in the room of {} still",
                id.digest,
                id.organization_id
            );
            Ok(false)
        }
    }
}
