//! Work on many passes that outlives a request: started, advanced step by step, finished. What a step does is its worker's to know; here is
//! how far it is, so that whoever takes the work over, after a crash or from another process, goes on from there.

mod aggregate;
mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

pub use aggregate::Job;
pub use command::JobCommand;
pub use error::JobError;
pub use event::{JobEvent, JobFailure};

use serde::{Deserialize, Serialize};

use crate::ids::{OrganizationId, PassTypeIdentifier};

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
    /// Brings the brand's images to all passes. An operator's job.
    BrandAssets,
}

/// Failures that a job keeps in words; of more it keeps the number.
pub const KEPT_FAILURES: usize = 20;
