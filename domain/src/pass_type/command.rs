//! What an operator asks of a pass type.

use crate::ids::{Digest, OrganizationId, PassTypeIdentifier, TeamIdentifier};

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq)]
pub enum PassTypeCommand {
    /// Give the pass type to an organisation.
    Create {
        /// The identifier, as registered with Apple.
        pass_type_identifier: PassTypeIdentifier,
        /// Whose it is.
        organization_id: OrganizationId,
        /// The developer team whose certificate signs its passes.
        team_identifier: TeamIdentifier,
    },
    /// Give the passes of this type an image to fall back to.
    PutAsset {
        /// File name, `logo@2x.png`.
        file: String,
        /// Digest of bytes that are stored already.
        digest: Digest,
    },
}
