//! What an operator asks of an organisation.

use strum::IntoStaticStr;

use crate::ids::{Digest, OrganizationId, UnixSeconds};
use crate::organization::Scopes;

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum OrganizationCommand {
    /// Bring the organisation into being.
    Create {
        /// Its name in this service.
        organization_id: OrganizationId,
        /// Its name for people; the `organizationName` of passes that name no other. Those keep it when the organisation is renamed: their tags
        /// do not name it.
        name: String,
        /// Whether it is for trying: nothing is pushed to Apple for it, and its answers say so. That stays as it is.
        test: bool,
    },
    /// Call it something else from here on, let it act no more or again, or limit its images.
    Change(OrganizationChange),
    /// Let the holder of a key act for it, within these scopes; a known key gets them in place of those that it had.
    AddApiKey {
        /// SHA-256 of the key. The key itself is never stored.
        key_digest: Digest,
        /// What the key is for, in an operator's words.
        label: String,
        /// What its holder may do.
        scopes: Scopes,
        /// The moment from which on it is refused; none for a key that does not end by itself. A known key keeps its own.
        expires_at: Option<UnixSeconds>,
    },
    /// Give the holder of a key another one, with the same label and scopes; the old one ends after an overlap.
    RotateApiKey {
        /// SHA-256 of the old key.
        key_digest: Digest,
        /// SHA-256 of the new key.
        new_digest: Digest,
        /// The moment from which on the new key is refused.
        new_expires_at: Option<UnixSeconds>,
        /// Now: a key that has ended is not rotated.
        now: UnixSeconds,
        /// The moment from which on the old key is refused, unless it ends before.
        ends_at: UnixSeconds,
    },
    /// Let the holder of a key act for it no more, for ever.
    RevokeApiKey {
        /// SHA-256 of the key.
        key_digest: Digest,
    },
}

/// What an operator changes about an organisation; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationChange {
    /// Its name for operators.
    pub name: Option<String>,
    /// Whether its API keys are refused and nothing is pushed for it.
    pub disabled: Option<bool>,
    /// The most bytes that the images have in all which it has uploaded; `Some(None)` for no such limit.
    pub image_bytes: Option<Option<u64>>,
}
