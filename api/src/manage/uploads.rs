//! Images that organisations and operators upload. An organisation may name the digest of an image only when it has uploaded the image itself.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use honoken_domain::ids::{Digest, OrganizationId, UploadedImageId};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::job::{Job, JobCommand, JobWork};
use honoken_domain::uploaded_image::{UploadedImage, UploadedImageCommand};
use honoken_event_store::EventLog;
use honoken_pkpass::image::ImageFile;
use honoken_service::blobs::Checked;
use honoken_service::ids;

use crate::auth::integrator::Integrator;
use crate::causes::blob_error;
use crate::error::{ApiError, Fault};
use crate::extractors::request_id::RequestId;
use crate::state::App;

/// The sender of an image.
#[derive(Debug, Clone, Copy)]
pub enum Owner<'a> {
    /// An organisation, which may name the image from then on, and has so much room.
    Organization(&'a Integrator),
    /// An operator, for all organisations.
    Operator,
}

/// Stores an image.
///
/// The bytes are on disk before the event is, so there is no event without its image. An image without its event was not acknowledged, and
/// is sent again.
///
/// # Errors
/// 422 when it is not an image, or the organisation has no room for it, 503.
pub async fn store(
    app: &App,
    owner: Owner<'_>,
    request_id: &RequestId,
    image: Bytes,
) -> Result<Digest, ApiError> {
    let image = app.blobs.check(image).await.map_err(|fault| blob_error(fault, ""))?;
    check_room(app, owner, &[&image]).await?;
    keep(app, owner, request_id, image).await
}

/// Stores an image that was sent for a file, and makes one for each scale of it. Gives the digest of the one, and the others by their file names.
/// All of them are stored, or none.
///
/// # Errors
/// 422 when it is not an image, or the organisation has no room for all of them, 503.
pub async fn store_scaled(
    app: &App,
    owner: Owner<'_>,
    request_id: &RequestId,
    file: &ImageFile,
    image: Bytes,
) -> Result<(Digest, Images), ApiError> {
    let checked = app.blobs.check_scaled(file.slot(), image).await;
    let (original, made) = checked.map_err(|fault| blob_error(fault, ""))?;
    let all: Vec<&Checked> = made.iter().map(|(_, image)| image).chain([&original]).collect();
    check_room(app, owner, &all).await?;
    let original = keep(app, owner, request_id, original).await?;
    let mut images = Images::new();
    for (name, image) in made {
        let digest = keep(app, owner, request_id, image).await?;
        images.insert(ImageFile::new(file.language().cloned(), name).to_string(), digest);
    }
    Ok((original, images))
}

/// Stores an image for which there is room, and notes whose it is.
async fn keep(
    app: &App,
    owner: Owner<'_>,
    request_id: &RequestId,
    image: Checked,
) -> Result<Digest, ApiError> {
    let bytes = image.length();
    let digest = restore(app, request_id, image).await?;
    if let Owner::Organization(integrator) = owner {
        note(app, integrator, request_id, &digest, bytes).await?;
    }
    Ok(digest)
}

/// Refuses images for which an organisation has no room. Uploads at the same moment may exceed the limit together, by their own size at the most.
async fn check_room(app: &App, owner: Owner<'_>, images: &[&Checked]) -> Result<(), ApiError> {
    let Owner::Organization(integrator) = owner else { return Ok(()) };
    let sizes: BTreeMap<Digest, u64> =
        images.iter().map(|image| (image.digest().clone(), image.length())).collect();
    let room =
        app.read_model.image_room(&integrator.organization_id, &sizes.keys().cloned().collect()).await?;
    let Some(room) = room else { return Ok(()) };
    let bytes: u64 = sizes.values().sum();
    if room.used.saturating_add(bytes) <= room.most {
        return Ok(());
    }
    let these = if images.len() == 1 { "the image needs" } else { "the image and those at every scale need" };
    let free = room.most.saturating_sub(room.used);
    let detail = format!(
        "{these} {bytes} bytes, and your organisation has {free} left: its images have {} of the {} bytes that they may have. Send a smaller one, or ask the \
         operator of this service for more room, or to remove images that nothing shows",
        room.used, room.most
    );
    Err(ApiError::QuotaExceeded(Fault::new("quota_exceeded", "", detail)))
}

/// Stores an image. If passes may show it, the store had lost it: a job states them anew. It is announced before the image is stored, so that no
/// crash comes between the two.
///
/// # Errors
/// 503.
async fn restore(app: &App, request_id: &RequestId, image: Checked) -> Result<Digest, ApiError> {
    if !image.is_stored() && app.read_model.is_image_known(image.digest()).await? {
        let job = ids::job_id(&*app.ids, app.clock.unix_ms());
        let now = app.clock.unix_seconds();
        let work = JobWork::RestoredImage { digest: image.digest().clone(), restored_at: now };
        let total = app.read_model.count_passes(None).await?;
        let metadata = app.metadata("system:images".to_owned(), None, &request_id.0);
        let start = JobCommand::Start { work, total, at: now };
        app.dispatcher.dispatch::<Job>(job.as_str(), start, &(), &metadata).await?;
        tracing::info!(job.id = %job, "the image {} is stored again: the passes that show it are stated anew", image.digest());
    }
    app.blobs.store(image).await.map_err(|fault| blob_error(fault, ""))
}

/// Notes that an organisation has uploaded an image, so that it may name the digest.
async fn note(
    app: &App,
    integrator: &Integrator,
    request_id: &RequestId,
    digest: &Digest,
    bytes: u64,
) -> Result<(), ApiError> {
    let organization_id = integrator.organization_id.clone();
    let metadata = app.metadata(integrator.actor.clone(), Some(organization_id.as_str()), &request_id.0);
    let id = UploadedImageId { organization_id, digest: digest.clone() };
    let upload = UploadedImageCommand::Upload { id: id.clone(), bytes };
    app.dispatcher.dispatch::<UploadedImage>(&id.to_string(), upload, &(), &metadata).await?;
    Ok(())
}

/// The digests among these that an organisation may not name for a pass with these fallback images. It does not check whether the image
/// exists, so a digest of another organisation's image costs the same as an unknown one.
///
/// # Errors
/// 503.
pub async fn forbidden_digests(
    app: &App,
    organization_id: &OrganizationId,
    fallback: &DefaultImages,
    assets: &Images,
) -> Result<BTreeSet<Digest>, ApiError> {
    let mut unknown: BTreeSet<Digest> = assets.values().cloned().collect();
    for digest in fallback.pass_type.values().chain(fallback.brand.values()) {
        unknown.remove(digest);
    }
    if unknown.is_empty() {
        return Ok(unknown);
    }
    for digest in app.read_model.own_images(organization_id, &unknown).await? {
        unknown.remove(&digest);
    }
    // The read model can be a moment behind, and then lacks an image that was uploaded just now; the event log has it.
    let mut refused = BTreeSet::new();
    for digest in unknown {
        let id = UploadedImageId { organization_id: organization_id.clone(), digest };
        if app.log.position_of::<UploadedImage>(&id.to_string(), 1).await?.is_none() {
            refused.insert(id.digest);
        }
    }
    Ok(refused)
}
