//! What can have happened to an organisation. The JSON of these types is a promise: `fixtures/events/`.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, OrganizationId};

/// A fact about an organisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OrganizationEvent {
    /// It exists from here on.
    #[serde(rename = "OrganizationCreated", rename_all = "camelCase")]
    Created {
        /// Its name in this service.
        organization_id: OrganizationId,
        /// Its name for people.
        name: String,
    },
    /// The holder of a key may act for it.
    #[serde(rename = "ApiKeyAdded", rename_all = "camelCase")]
    ApiKeyAdded {
        /// SHA-256 of the key.
        key_digest: Digest,
        /// What the key is for.
        label: String,
    },
    /// The holder of a key may act for it no more.
    #[serde(rename = "ApiKeyRevoked", rename_all = "camelCase")]
    ApiKeyRevoked {
        /// SHA-256 of the key.
        key_digest: Digest,
    },
}

impl DomainEvent for OrganizationEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Created { .. } => "OrganizationCreated",
            Self::ApiKeyAdded { .. } => "ApiKeyAdded",
            Self::ApiKeyRevoked { .. } => "ApiKeyRevoked",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
