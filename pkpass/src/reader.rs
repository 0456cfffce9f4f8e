//! Takes a `.pkpass` apart and says whether a phone would accept it.
//!
//! What a phone shows is valid; what it refuses is a problem, or a finding that is an error; what it ignores or shows otherwise, and what no
//! source settles, is a warning. When the kind of mistake is clear, that is the only problem: an archive that is an HTML page has no icon
//! either, and nobody needs to be told.
//!
//! The archive is taken for hostile: sizes are bounded while unpacking, paths that leave the archive are refused, and
//! nothing panics. The authentication token is never repeated, only its presence and length.
//!
//! It cannot know whether the certificate was revoked, and how Wallet judges a pass beyond the documented rules.

mod asn1_time;
mod ber;
mod bundle;
mod chain;
mod container;
mod display;
mod image_names;
mod images;
mod inspect;
mod inspected;
mod json;
mod layout;
mod localization;
mod manifest;
mod notes;
mod pass;
mod paths;
mod personalization;
mod report;
mod signature;
mod signed_data;
mod strings;
mod text;
mod trust;
mod unpack;

pub use bundle::{BundleInspection, BundledPass, MAX_BUNDLE_BYTES, MAX_BUNDLE_PASSES};
pub use inspect::{inspect, inspect_files, inspect_trusting, inspect_with_root};
pub use inspected::{Inspected, inspect_file};
pub use pass::{check_service_keys, content_of};
pub use report::{
    CertificateReport, FileReport, Inspection, ManifestState, PassSummary, Problem, RootVerdict,
    SignatureReport,
};
pub use trust::{Trust, TrustError};
/// The texts of a `pass.strings` file, as the reader reads them.
#[cfg(test)]
pub(crate) fn read_strings(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    strings::parse(&text::decode(bytes).ok()?.text).ok()
}

pub use unpack::{MAX_FILES, MAX_UNPACKED_BYTES};
