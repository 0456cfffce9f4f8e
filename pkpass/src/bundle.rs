//! `.pkpasses`: several passes in one file, which a phone adds together.
//! <https://developer.apple.com/documentation/walletpasses/distributing-and-updating-a-pass>

use crate::{BuildError, archive};

/// The most passes that a phone takes in one bundle.
pub const MAX_BUNDLE_PASSES: usize = 10;

/// The most bytes of passes that a phone takes in one bundle.
pub const MAX_BUNDLE_BYTES: usize = 150_000_000;

/// Packs signed passes, in this order, as `pass1.pkpass`, `pass2.pkpass` and so on. Phones do not look at the names.
///
/// The caller keeps to [`MAX_BUNDLE_PASSES`] and [`MAX_BUNDLE_BYTES`].
///
/// # Errors
/// [`BuildError::Archive`].
pub fn bundle<'a>(passes: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, BuildError> {
    let named: Vec<_> = passes
        .into_iter()
        .enumerate()
        .map(|(index, pass)| (format!("pass{}.pkpass", index + 1), pass))
        .collect();
    archive::archive(named.iter().map(|(name, pass)| (name.as_str(), *pass))).map_err(BuildError::Archive)
}
