//! What can have happened to an organisation. The JSON of these types is a promise: `fixtures/events/`.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, OrganizationId, UnixSeconds};
use crate::organization::Scopes;

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
        /// Whether it is for trying: nothing is pushed to Apple for it. Not there for one that is not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        test: bool,
    },
    /// The holder of a key may act for it.
    #[serde(rename = "ApiKeyAdded", rename_all = "camelCase")]
    ApiKeyAdded {
        /// SHA-256 of the key.
        key_digest: Digest,
        /// What the key is for.
        label: String,
        /// What its holder may do. Not there for a key that was made without scopes, or before there were any.
        #[serde(default, skip_serializing_if = "Scopes::are_default")]
        scopes: Scopes,
        /// The moment from which on it is refused. Not there for a key that does not end by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<UnixSeconds>,
    },
    /// A key ends at another moment than it was made with.
    #[serde(rename = "ApiKeyExpiryChanged", rename_all = "camelCase")]
    ApiKeyExpiryChanged {
        /// SHA-256 of the key.
        key_digest: Digest,
        /// The moment from which on it is refused.
        expires_at: UnixSeconds,
    },
    /// Operators call it something else from here on.
    #[serde(rename = "OrganizationRenamed", rename_all = "camelCase")]
    Renamed {
        /// Its name for operators.
        name: String,
    },
    /// Its API keys are refused from here on, and nothing is pushed for it.
    #[serde(rename = "OrganizationDisabled")]
    Disabled {},
    /// It may act again.
    #[serde(rename = "OrganizationEnabled")]
    Enabled {},
    /// Its images have a limit from here on, another one, or none.
    #[serde(rename = "OrganizationImagesLimited", rename_all = "camelCase")]
    ImagesLimited {
        /// The most bytes that the images have in all which it has uploaded; absent for no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// The holder of a key may do something else from here on.
    #[serde(rename = "ApiKeyScopesChanged", rename_all = "camelCase")]
    ApiKeyScopesChanged {
        /// SHA-256 of the key.
        key_digest: Digest,
        /// What its holder may do.
        #[serde(default, skip_serializing_if = "Scopes::are_default")]
        scopes: Scopes,
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
            Self::Renamed { .. } => "OrganizationRenamed",
            Self::Disabled {} => "OrganizationDisabled",
            Self::Enabled {} => "OrganizationEnabled",
            Self::ImagesLimited { .. } => "OrganizationImagesLimited",
            Self::ApiKeyAdded { .. } => "ApiKeyAdded",
            Self::ApiKeyExpiryChanged { .. } => "ApiKeyExpiryChanged",
            Self::ApiKeyScopesChanged { .. } => "ApiKeyScopesChanged",
            Self::ApiKeyRevoked { .. } => "ApiKeyRevoked",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
