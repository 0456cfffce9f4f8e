//! The query parameter that asks for an image at every scale.

use honoken_pkpass::image::{ImageFile, ImageName, Scale};

use crate::error::ApiError;
use crate::extractors::query::{Parameters, fault};

/// The parameter.
pub const SCALE: &str = "scale";

/// Whether every scale is to be made of the one image that is sent.
///
/// # Errors
/// 422 for another value than `auto`.
pub fn is_auto(parameters: &mut Parameters) -> Result<bool, ApiError> {
    match parameters.take(SCALE).as_deref() {
        None => Ok(false),
        Some("auto") => Ok(true),
        Some(_) => Err(fault("`scale` must be `auto`, or not be there")),
    }
}

/// Checks the file for which every scale is made.
///
/// # Errors
/// 422 when the file name has a scale of its own.
pub fn check(file: &ImageFile) -> Result<(), ApiError> {
    if file.name().scale() == Scale::One {
        return Ok(());
    }
    let base = ImageFile::new(file.language().cloned(), ImageName::new(file.slot(), Scale::One));
    Err(fault(format!("`scale=auto` makes every scale: name the file `{base}`, without one")))
}
