//! What can have happened to a pass. The JSON of these types is a promise: `fixtures/events/` must decode for ever.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::ids::{AuthenticationToken, ETag, OrganizationId, PassTypeIdentifier, SerialNumber, UnixSeconds};
use crate::images::Images;
use crate::localizations::Localizations;
use crate::pass::{KeyedIncrement, KeyedReplacement, PassRepaired, TicketStyle};
use crate::personalization::{Enrolment, PersonalizationForm};

const HIDDEN_ASSETS_CHANGED: &str = "PassHiddenAssetsChanged";
const HIDDEN_LOCALIZATIONS_CHANGED: &str = "PassHiddenLocalizationsChanged";
const HIDDEN_PERSONALIZATION_CHANGED: &str = "PassHiddenPersonalizationChanged";

/// The name of the event that states the whole pass anew.
pub const REPAIRED: &str = "PassRepaired";

/// The names of the events behind the first that lead to no new state.
pub const HIDDEN_CHANGES: [&str; 3] =
    [HIDDEN_ASSETS_CHANGED, HIDDEN_LOCALIZATIONS_CHANGED, HIDDEN_PERSONALIZATION_CHANGED];

/// A fact about a pass. Every change carries the tag and the time it leads to, so that readers copy and never compute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PassEvent {
    /// The pass exists from here on.
    #[serde(rename = "PassIssued")]
    Issued(Box<PassIssued>),
    /// Its content is another.
    #[serde(rename = "PassContentChanged", rename_all = "camelCase")]
    ContentChanged {
        /// The whole new content.
        content: Content,
        /// The increment that led to it, when it came with a key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        increment: Option<KeyedIncrement>,
        /// The order that led to it, when it was one that may come twice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replacement: Option<KeyedReplacement>,
        /// Whether `nfc` is left out of the file. Absent without `nfc`, and in events from before this was decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nfc_left_out: Option<bool>,
        /// The images that end up in it, where the content brings the logo of a form or takes it away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        images: Option<Images>,
        /// Tag of the new state.
        etag: ETag,
        /// Time of the new state.
        updated_at: UnixSeconds,
    },
    /// It is drawn as something else.
    #[serde(rename = "PassMetadataChanged", rename_all = "camelCase")]
    MetadataChanged {
        /// What it is drawn as.
        ticket_style: TicketStyle,
        /// Whether it asks for the poster layout.
        poster: bool,
        /// The images that end up in it: another style shows others.
        images: Images,
        /// Tag of the new state.
        etag: ETag,
        /// Time of the new state.
        updated_at: UnixSeconds,
    },
    /// Its images changed.
    #[serde(rename = "PassAssetsChanged", rename_all = "camelCase")]
    AssetsChanged {
        /// Images of its own, all of them.
        assets: Images,
        /// The images that end up in it.
        images: Images,
        /// Tag of the new state.
        etag: ETag,
        /// Time of the new state.
        updated_at: UnixSeconds,
    },
    /// Images of its own changed of which it shows none: what a phone gets is the same.
    #[serde(rename = "PassHiddenAssetsChanged", rename_all = "camelCase")]
    HiddenAssetsChanged {
        /// Images of its own, all of them.
        assets: Images,
        /// Tag of the state, which is the one before.
        etag: ETag,
        /// Time of that state.
        updated_at: UnixSeconds,
    },
    /// Its texts in other languages changed.
    #[serde(rename = "PassLocalizationsChanged", rename_all = "camelCase")]
    LocalizationsChanged {
        /// Texts of its own, all of them.
        localizations: Localizations,
        /// The texts that end up in it.
        shown_localizations: Localizations,
        /// Tag of the new state.
        etag: ETag,
        /// Time of the new state.
        updated_at: UnixSeconds,
    },
    /// Texts of its own changed, and those that end up in it did not: what a phone gets is the same.
    #[serde(rename = "PassHiddenLocalizationsChanged", rename_all = "camelCase")]
    HiddenLocalizationsChanged {
        /// Texts of its own, all of them.
        localizations: Localizations,
        /// Tag of the state, which is the one before.
        etag: ETag,
        /// Time of that state.
        updated_at: UnixSeconds,
    },
    /// `nfc` is in its file from here on, or left out of it, because another certificate signs.
    #[serde(rename = "PassNfcChanged", rename_all = "camelCase")]
    NfcChanged {
        /// Whether `nfc` is left out of the file.
        nfc_left_out: bool,
        /// The images that end up in it.
        images: Images,
        /// Tag of the new state.
        etag: ETag,
        /// Time of the new state.
        updated_at: UnixSeconds,
    },
    /// It has another form of a rewards programme, or none any more, and phones see that. Without a form the enrolment is gone as well.
    #[serde(rename = "PassPersonalizationChanged", rename_all = "camelCase")]
    PersonalizationChanged {
        /// The form; null for none.
        form: Option<PersonalizationForm>,
        /// Whether `nfc` is left out of the file; absent without `nfc`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nfc_left_out: Option<bool>,
        /// The images that end up in it.
        images: Images,
        /// Tag of the new state.
        etag: ETag,
        /// Time of the new state.
        updated_at: UnixSeconds,
    },
    /// The same, while the form is not in the file: what a phone gets is the same.
    #[serde(rename = "PassHiddenPersonalizationChanged", rename_all = "camelCase")]
    HiddenPersonalizationChanged {
        /// The form; null for none.
        form: Option<PersonalizationForm>,
        /// Tag of the state, which is the one before.
        etag: ETag,
        /// Time of that state.
        updated_at: UnixSeconds,
    },
    /// A person has filled in the form, which is not in the file any more.
    #[serde(rename = "PassPersonalized", rename_all = "camelCase")]
    Personalized {
        /// The person's data, sealed, and the answer that the phone got.
        enrolment: Box<Enrolment>,
        /// The images that end up in it.
        images: Images,
        /// Tag of the new state.
        etag: ETag,
        /// Time of the new state.
        updated_at: UnixSeconds,
    },
    /// Everything about it, stated anew because an earlier event cannot be read. It is a whole state: whoever reads it needs nothing before it.
    #[serde(rename = "PassRepaired")]
    Repaired(Box<PassRepaired>),
    /// It is no longer valid.
    #[serde(rename = "PassVoided", rename_all = "camelCase")]
    Voided {
        /// Tag of the new state.
        etag: ETag,
        /// Time of the new state.
        updated_at: UnixSeconds,
    },
    /// It is valid again.
    #[serde(rename = "PassReinstated", rename_all = "camelCase")]
    Reinstated {
        /// Tag of the new state.
        etag: ETag,
        /// Time of the new state.
        updated_at: UnixSeconds,
    },
    /// It is no longer valid, and nothing about it changes any more.
    #[serde(rename = "PassRetired", rename_all = "camelCase")]
    Retired {
        /// Tag of the last state, which is void.
        etag: ETag,
        /// Time of that state.
        updated_at: UnixSeconds,
    },
}

/// The payload of [`PassEvent::Issued`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassIssued {
    /// Who issued it.
    pub organization_id: OrganizationId,
    /// Its type.
    pub pass_type_identifier: PassTypeIdentifier,
    /// Its serial number within the type.
    pub serial_number: SerialNumber,
    /// What it is drawn as.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout.
    pub poster: bool,
    /// What is on it.
    pub content: Content,
    /// Images of its own.
    pub assets: Images,
    /// The images that end up in it.
    pub images: Images,
    /// Texts of its own in other languages.
    #[serde(default, skip_serializing_if = "Localizations::is_empty")]
    pub localizations: Localizations,
    /// The texts that end up in it.
    #[serde(default, skip_serializing_if = "Localizations::is_empty")]
    pub shown_localizations: Localizations,
    /// Whether `nfc` is left out of the file. Absent without `nfc`, and in events from before this was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nfc_left_out: Option<bool>,
    /// What a phone shows to act on it; never changed afterwards.
    pub authentication_token: AuthenticationToken,
    /// Tag of the first state.
    pub etag: ETag,
    /// Time of the first state.
    pub updated_at: UnixSeconds,
}

impl PassEvent {
    /// Tag of the state that this event leads to.
    pub fn etag(&self) -> &ETag {
        match self {
            Self::Issued(issued) => &issued.etag,
            Self::Repaired(repaired) => &repaired.etag,
            Self::ContentChanged { etag, .. }
            | Self::MetadataChanged { etag, .. }
            | Self::AssetsChanged { etag, .. }
            | Self::HiddenAssetsChanged { etag, .. }
            | Self::LocalizationsChanged { etag, .. }
            | Self::HiddenLocalizationsChanged { etag, .. }
            | Self::NfcChanged { etag, .. }
            | Self::PersonalizationChanged { etag, .. }
            | Self::HiddenPersonalizationChanged { etag, .. }
            | Self::Personalized { etag, .. }
            | Self::Voided { etag, .. }
            | Self::Reinstated { etag, .. }
            | Self::Retired { etag, .. } => etag,
        }
    }

    /// Whether phones get something else than before.
    pub fn is_seen(&self) -> bool {
        let is_hidden = matches!(
            self,
            Self::HiddenAssetsChanged { .. }
                | Self::HiddenLocalizationsChanged { .. }
                | Self::HiddenPersonalizationChanged { .. }
        );
        !is_hidden
    }

    /// Time of that state.
    pub fn updated_at(&self) -> UnixSeconds {
        match self {
            Self::Issued(issued) => issued.updated_at,
            Self::Repaired(repaired) => repaired.updated_at,
            Self::ContentChanged { updated_at, .. }
            | Self::MetadataChanged { updated_at, .. }
            | Self::AssetsChanged { updated_at, .. }
            | Self::HiddenAssetsChanged { updated_at, .. }
            | Self::LocalizationsChanged { updated_at, .. }
            | Self::HiddenLocalizationsChanged { updated_at, .. }
            | Self::NfcChanged { updated_at, .. }
            | Self::PersonalizationChanged { updated_at, .. }
            | Self::HiddenPersonalizationChanged { updated_at, .. }
            | Self::Personalized { updated_at, .. }
            | Self::Voided { updated_at, .. }
            | Self::Reinstated { updated_at, .. }
            | Self::Retired { updated_at, .. } => *updated_at,
        }
    }
}

impl DomainEvent for PassEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Issued(_) => "PassIssued",
            Self::ContentChanged { .. } => "PassContentChanged",
            Self::MetadataChanged { .. } => "PassMetadataChanged",
            Self::AssetsChanged { .. } => "PassAssetsChanged",
            Self::HiddenAssetsChanged { .. } => HIDDEN_ASSETS_CHANGED,
            Self::LocalizationsChanged { .. } => "PassLocalizationsChanged",
            Self::HiddenLocalizationsChanged { .. } => HIDDEN_LOCALIZATIONS_CHANGED,
            Self::NfcChanged { .. } => "PassNfcChanged",
            Self::PersonalizationChanged { .. } => "PassPersonalizationChanged",
            Self::HiddenPersonalizationChanged { .. } => HIDDEN_PERSONALIZATION_CHANGED,
            Self::Personalized { .. } => "PassPersonalized",
            Self::Repaired(_) => REPAIRED,
            Self::Voided { .. } => "PassVoided",
            Self::Reinstated { .. } => "PassReinstated",
            Self::Retired { .. } => "PassRetired",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
