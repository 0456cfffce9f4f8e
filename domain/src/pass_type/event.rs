//! What can have happened to a pass type. The JSON of these types is a promise: `fixtures/events/`.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::{CertRef, JobId, OrganizationId, PassTypeIdentifier, TeamIdentifier};
use crate::images::Images;
use crate::localizations::Localizations;

/// A fact about a pass type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PassTypeEvent {
    /// It exists from here on.
    #[serde(rename = "PassTypeCreated", rename_all = "camelCase")]
    Created {
        /// The identifier.
        pass_type_identifier: PassTypeIdentifier,
        /// Whose it is.
        organization_id: OrganizationId,
        /// The developer team whose certificate signs its passes.
        team_identifier: TeamIdentifier,
        /// The certificate that signs its passes; absent where it has the name of the pass type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cert_ref: Option<CertRef>,
    },
    /// Another organisation owns it, or another certificate signs its passes.
    #[serde(rename = "PassTypeAssigned", rename_all = "camelCase")]
    Assigned {
        /// Whose it is, with its passes, their histories and their tokens.
        organization_id: OrganizationId,
        /// The developer team whose certificate signs its passes.
        team_identifier: TeamIdentifier,
        /// The certificate that signs its passes.
        cert_ref: CertRef,
        /// The job that brings the passes with `nfc` up to date, where one certificate allows `nfc` and the other does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
    },
    /// The images that its passes fall back to changed.
    #[serde(rename = "PassTypeAssetsChanged", rename_all = "camelCase")]
    AssetsChanged {
        /// All of them.
        assets: Images,
        /// The job that brings them to the passes that exist already: named here, so that there is no change without its job.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
    },
    /// The texts in other languages that its passes fall back to changed.
    #[serde(rename = "PassTypeLocalizationsChanged", rename_all = "camelCase")]
    LocalizationsChanged {
        /// All of them.
        localizations: Localizations,
        /// As above.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
    },
}

impl DomainEvent for PassTypeEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Created { .. } => "PassTypeCreated",
            Self::Assigned { .. } => "PassTypeAssigned",
            Self::AssetsChanged { .. } => "PassTypeAssetsChanged",
            Self::LocalizationsChanged { .. } => "PassTypeLocalizationsChanged",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
