//! Images that organisations upload. An organisation may name the digest of an image only when it has uploaded the image itself.

use std::collections::BTreeSet;

use bytes::Bytes;
use honoken_domain::ids::{Digest, OrganizationId, UploadedImageId};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::uploaded_image::{UploadedImage, UploadedImageCommand};
use honoken_event_store::EventLog;
use honoken_pkpass::image::ImageFile;

use crate::auth::integrator::Integrator;
use crate::error::{ApiError, blob_error};
use crate::extractors::request_id::RequestId;
use crate::state::App;

/// Stores an image that an organisation has sent. From then on the organisation may name it.
///
/// The bytes are on disk before the event is, so there is no event without its image. An image without its event was not acknowledged, and
/// is sent again.
///
/// # Errors
/// 422 when it is not an image, 503.
pub async fn store(
    app: &App,
    integrator: &Integrator,
    request_id: &RequestId,
    image: Bytes,
) -> Result<Digest, ApiError> {
    let bytes = image.len() as u64;
    let digest = app.blobs.put(image).await.map_err(|fault| blob_error(fault, ""))?;
    note(app, integrator, request_id, &digest, bytes).await?;
    Ok(digest)
}

/// Stores an image that an organisation has sent for a file, and makes one for each scale of it; the organisation may name all of them. Gives the
/// digest of the one, and the others by their file names.
///
/// # Errors
/// 422 when it is not an image, 503.
pub async fn store_scaled(
    app: &App,
    integrator: &Integrator,
    request_id: &RequestId,
    file: &ImageFile,
    image: Bytes,
) -> Result<(Digest, Images), ApiError> {
    let bytes = image.len() as u64;
    let scaled = app.blobs.put_scaled(file.slot(), image).await.map_err(|fault| blob_error(fault, ""))?;
    note(app, integrator, request_id, &scaled.original, bytes).await?;
    let mut images = Images::new();
    for (name, digest, bytes) in scaled.images {
        note(app, integrator, request_id, &digest, bytes).await?;
        images.insert(ImageFile::new(file.language().cloned(), name).to_string(), digest);
    }
    Ok((scaled.original, images))
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
