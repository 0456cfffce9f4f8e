//! An image that passes fall back to, sent for a pass type or for all.

use axum::extract::Request;
use bytes::Bytes;
use honoken_domain::images::Images;
use honoken_pkpass::image::{ImageFile, MAX_IMAGE_BYTES, read_png};
use honoken_pkpass::{Finding, lint_size};

use crate::answers::job::Remarks;
use crate::causes::blob_error;
use crate::error::ApiError;
use crate::extractors::json_body;
use crate::extractors::path::Segments;
use crate::extractors::query::Parameters;
use crate::extractors::request_id::RequestId;
use crate::manage::assets::image_file;
use crate::manage::scale::{self, SCALE};
use crate::manage::uploads::{self, Owner};
use crate::state::App;

/// The address of an image that is sent.
#[derive(Debug)]
pub struct DefaultImage {
    file: ImageFile,
    is_scaled: bool,
}

/// An image that was stored.
#[derive(Debug)]
pub struct Stored {
    /// The files, with their digests.
    pub images: Images,
    /// Whether these are all scales, made of the one that was sent.
    pub is_scaled: bool,
    /// What a phone shows otherwise than it was sent.
    pub warnings: Vec<Finding>,
}

impl From<Stored> for Remarks {
    fn from(stored: Stored) -> Self {
        Self { assets: stored.is_scaled.then_some(stored.images), warnings: stored.warnings }
    }
}

impl DefaultImage {
    /// Reads the address.
    ///
    /// # Errors
    /// 422 when the file or a parameter is unknown.
    pub fn of(segments: &Segments, request: &Request) -> Result<Self, ApiError> {
        let file = image_file(segments)?;
        let is_scaled = scale::is_auto(&mut Parameters::of(request.uri(), &[SCALE])?)?;
        if is_scaled {
            scale::check(&file)?;
        }
        Ok(Self { file, is_scaled })
    }

    /// Reads the image and stores it for its sender.
    ///
    /// # Errors
    /// 413, 422 when it is not acceptable, 503.
    pub async fn store(
        self,
        app: &App,
        owner: Owner<'_>,
        request_id: &RequestId,
        request: Request,
    ) -> Result<Stored, ApiError> {
        let bytes = json_body::read_file(request, MAX_IMAGE_BYTES).await?;
        let warnings = self.warnings(&bytes)?;
        let images = if self.is_scaled {
            uploads::store_scaled(app, owner, request_id, &self.file, bytes).await?.1
        } else {
            let digest = uploads::store(app, owner, request_id, bytes).await?;
            Images::from([(self.file.to_string(), digest)])
        };
        Ok(Stored { images, is_scaled: self.is_scaled, warnings })
    }

    /// An image that is drawn at every scale has the right sizes.
    fn warnings(&self, bytes: &Bytes) -> Result<Vec<Finding>, ApiError> {
        let header = read_png(bytes).map_err(|fault| blob_error(fault.into(), ""))?;
        Ok(lint_size(&self.file, header).into_iter().filter(|_| !self.is_scaled).collect())
    }
}
