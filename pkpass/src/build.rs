//! From a [`PassSource`] to a `.pkpass`.

use std::collections::BTreeMap;
use std::sync::Arc;

use openssl::error::ErrorStack;
use sha1::{Digest, Sha1};
use thiserror::Error;
use zip::result::ZipError;

use crate::canonical::canonical;
use crate::image::{Image, ImageFile, ImageSlot};
use crate::manifest::{MANIFEST, PASS, PassFile, SIGNATURE, manifest};
use crate::personalization::PERSONALIZATION;
use crate::{IdentityError, PassSource, SigningIdentity, archive, pass_json, signature, strings_file};

/// Grows whenever the same source would give other files. Part of the key of every cache of built passes.
pub const BUILDER_VERSION: u32 = 2;

/// Why a pass could not be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The certificate is for another pass type or team: no phone would accept the pass.
    #[error("the certificate cannot sign this pass")]
    Identity(#[source] IdentityError),
    /// There is no icon at any scale: no phone would open the pass.
    #[error("a pass needs an icon.png, at any scale")]
    NoIcon,
    /// OpenSSL did not sign.
    #[error("the manifest could not be signed")]
    Signature(#[source] ErrorStack),
    /// The archive was not written.
    #[error("the archive could not be written")]
    Archive(#[source] ZipError),
}

/// Builds and signs a pass: the bytes of a `.pkpass`.
///
/// Images of slots that this pass does not have are left out. Whether the certificate is valid *now* is asked with
/// [`SigningIdentity::check`] before. It signs, so it blocks for about half a millisecond of one core.
///
/// <https://developer.apple.com/documentation/walletpasses/building-a-pass>
///
/// # Errors
/// [`BuildError`]; none of them goes away by trying again.
pub fn build(
    source: &PassSource<'_>,
    images: &BTreeMap<ImageFile, Arc<Image>>,
    identity: &SigningIdentity,
) -> Result<Vec<u8>, BuildError> {
    identity
        .check_names(source.pass_type_identifier, source.team_identifier)
        .map_err(BuildError::Identity)?;
    if !images.keys().any(ImageFile::is_icon) {
        return Err(BuildError::NoIcon);
    }
    with_files(source, images, |files, manifest| {
        let signature = signature::sign(manifest, identity).map_err(BuildError::Signature)?;
        pack(files, manifest, Some(&signature)).map_err(BuildError::Archive)
    })
}

/// Builds the files of a pass without a signature, to be looked at: an archive that no phone takes.
///
/// # Errors
/// When the archive could not be written.
pub fn build_unsigned(
    source: &PassSource<'_>,
    images: &BTreeMap<ImageFile, Arc<Image>>,
) -> Result<Vec<u8>, BuildError> {
    with_files(source, images, |files, manifest| pack(files, manifest, None).map_err(BuildError::Archive))
}

/// Puts the files of a pass and their manifest together.
fn with_files<T>(
    source: &PassSource<'_>,
    images: &BTreeMap<ImageFile, Arc<Image>>,
    finish: impl FnOnce(&[PassFile<'_>], &[u8]) -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    let slots: Vec<ImageSlot> =
        images.keys().map(ImageFile::slot).filter(|slot| source.kind.shows(*slot)).collect();
    let pass = pass_json(source, &slots);
    let has_form_logo = images.keys().any(|file| file.slot() == ImageSlot::PersonalizationLogo);
    let form = source.personalization.filter(|_| has_form_logo);
    let texts = source.localizations.iter().map(|(language, localization)| {
        (strings_file::path(language), strings_file::strings_file(localization))
    });
    let written: Vec<(String, Vec<u8>)> = std::iter::once((PASS.to_owned(), pass))
        .chain(form.map(|form| (PERSONALIZATION.to_owned(), canonical(form))))
        .chain(texts)
        .collect();
    let files = pass_files(source, &written, form.is_some(), images);
    let manifest = manifest(&files);
    finish(&files, &manifest)
}

/// pass.json first, then the form, then the texts by language, then the images in the order of their names. The logo of the form is there only
/// beside it.
fn pass_files<'a>(
    source: &PassSource<'_>,
    written: &'a [(String, Vec<u8>)],
    has_form: bool,
    images: &'a BTreeMap<ImageFile, Arc<Image>>,
) -> Vec<PassFile<'a>> {
    let written = written.iter().map(|(path, bytes)| PassFile {
        path: path.clone(),
        bytes,
        sha1: Sha1::digest(bytes).into(),
    });
    let is_in_file = |slot| source.kind.shows(slot) || (has_form && slot == ImageSlot::PersonalizationLogo);
    let images = images.iter().filter(|(file, _)| is_in_file(file.slot())).map(|(file, image)| PassFile {
        path: file.to_string(),
        bytes: image.bytes(),
        sha1: *image.sha1(),
    });
    written.chain(images).collect()
}

/// The files in their fixed order: the manifest and its signature first, so that a reader meets them early.
pub(crate) fn pack(
    files: &[PassFile<'_>],
    manifest: &[u8],
    signature: Option<&[u8]>,
) -> Result<Vec<u8>, ZipError> {
    let named = files.iter().map(|file| (file.path.as_str(), file.bytes));
    let signature = signature.map(|signature| (SIGNATURE, signature));
    archive::archive(std::iter::once((MANIFEST, manifest)).chain(signature).chain(named))
}
