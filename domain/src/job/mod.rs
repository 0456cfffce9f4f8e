//! Work on many passes or secrets that outlives a request: started, advanced step by step, finished. Its worker knows what a step does; here is
//! how far it is, so that the next worker, after a crash or in another process, goes on from there.

mod aggregate;
mod command;
mod cursor;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::Job;
pub use command::JobCommand;
pub use cursor::JobCursor;
pub use error::JobError;
pub use event::{JobEvent, JobFailure};

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, OrganizationId, PassTypeIdentifier, UnixSeconds};

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum JobWork {
    /// Brings the images of a pass type to its passes.
    PassTypeAssets {
        /// Whose job it is.
        organization_id: OrganizationId,
        /// The pass type.
        pass_type_identifier: PassTypeIdentifier,
    },
    /// Brings the texts of a pass type in other languages to its passes.
    PassTypeLocalizations {
        /// Whose job it is.
        organization_id: OrganizationId,
        /// The pass type.
        pass_type_identifier: PassTypeIdentifier,
    },
    /// States the passes of a type with `nfc` anew: another certificate says whether their files may have it.
    PassTypeNfc {
        /// Whose job it is.
        organization_id: OrganizationId,
        /// The pass type.
        pass_type_identifier: PassTypeIdentifier,
    },
    /// Brings the brand's images to all passes. An operator's job.
    BrandAssets,
    /// States the passes anew that show an image which the store had lost, and has again. An operator's job.
    RestoredImage {
        /// The image.
        digest: Digest,
        /// When it was uploaded again. Later states were made with the image.
        restored_at: UnixSeconds,
    },
    /// Seals every secret in use under one encryption key. An operator's job.
    Reseal {
        /// The number of that key.
        key: u32,
        /// Revoked certificates and APNs keys that stay under other keys, in words, as of the start: nothing needs them.
        left_out: Vec<String>,
    },
}

/// The kind of a job that brings images of a pass type to its passes.
pub const PASS_TYPE_ASSETS: &str = "passTypeAssets";

/// The kind of a job that brings texts of a pass type in other languages to its passes.
pub const PASS_TYPE_LOCALIZATIONS: &str = "passTypeLocalizations";

/// The kind of a job that states the passes of a type with `nfc` anew.
pub const PASS_TYPE_NFC: &str = "passTypeNfc";

/// The kind of a job that brings images of the brand to all passes.
pub const BRAND_ASSETS: &str = "brandAssets";

/// The kind of a job that states passes anew whose image the store has again.
pub const RESTORED_IMAGE: &str = "restoredImage";

/// The kind of a job that seals secrets under another encryption key.
pub const RESEAL: &str = "reseal";

impl JobWork {
    /// The name of its kind, as callers and tables know it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PassTypeAssets { .. } => PASS_TYPE_ASSETS,
            Self::PassTypeLocalizations { .. } => PASS_TYPE_LOCALIZATIONS,
            Self::PassTypeNfc { .. } => PASS_TYPE_NFC,
            Self::BrandAssets => BRAND_ASSETS,
            Self::RestoredImage { .. } => RESTORED_IMAGE,
            Self::Reseal { .. } => RESEAL,
        }
    }

    /// Whose job it is, and the pass type; none for a job of an operator, about all passes.
    pub fn pass_type(&self) -> Option<(&OrganizationId, &PassTypeIdentifier)> {
        match self {
            Self::PassTypeAssets { organization_id, pass_type_identifier }
            | Self::PassTypeLocalizations { organization_id, pass_type_identifier }
            | Self::PassTypeNfc { organization_id, pass_type_identifier } => {
                Some((organization_id, pass_type_identifier))
            }
            Self::BrandAssets | Self::RestoredImage { .. } | Self::Reseal { .. } => None,
        }
    }
}

/// Failures that a job keeps in words; of more it keeps the number.
pub const KEPT_FAILURES: usize = 20;
