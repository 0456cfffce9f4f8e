//! What an operator asks of an organisation.

use strum::IntoStaticStr;

use crate::ids::{Digest, OrganizationId};
use crate::organization::Scopes;

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum OrganizationCommand {
    /// Bring the organisation into being.
    Create {
        /// Its name in this service.
        organization_id: OrganizationId,
        /// Its name for people; the `organizationName` of passes that name no other. It cannot be changed: the tags of those passes do not
        /// name it.
        name: String,
    },
    /// Let the holder of a key act for it, within these scopes; a known key gets them in place of those that it had.
    AddApiKey {
        /// SHA-256 of the key. The key itself is never stored.
        key_digest: Digest,
        /// What the key is for, in an operator's words.
        label: String,
        /// What its holder may do.
        scopes: Scopes,
    },
    /// Let the holder of a key act for it no more, for ever.
    RevokeApiKey {
        /// SHA-256 of the key.
        key_digest: Digest,
    },
}
