//! States of a pass that are stated anew: because its file was incomplete, or because one of its events cannot be read any more.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::ids::{Digest, ETag, OrganizationId, PassId, PassTypeIdentifier, SerialNumber, UnixSeconds};
use crate::images::Images;
use crate::localizations::Localizations;
use crate::pass::state::State;
use crate::pass::{Circumstances, KeyedIncrement, KeyedReplacement, PassEvent, TicketStyle};
use crate::personalization::{Enrolment, PersonalizationForm};

/// The payload of [`PassEvent::Repaired`]: everything that a pass remembers, so that no earlier event is needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassRepaired {
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
    /// Whether it is no longer valid.
    pub voided: bool,
    /// Whether it is void for ever.
    pub retired: bool,
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
    /// Whether `nfc` is left out of the file; absent without `nfc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nfc_left_out: Option<bool>,
    /// The form of a rewards programme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<PersonalizationForm>,
    /// The person who has filled it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<Enrolment>,
    /// The digest of the order that issued it.
    pub issued_as: Digest,
    /// The digest of the token that phones show, which never changes.
    pub token: Digest,
    /// The increments with a key that it remembers, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub increments: Vec<KeyedIncrement>,
    /// The replacements with a key that it remembers, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replacements: Vec<KeyedReplacement>,
    /// Tag of the state.
    pub etag: ETag,
    /// Time of the state.
    pub updated_at: UnixSeconds,
}

impl From<PassRepaired> for State {
    fn from(repaired: PassRepaired) -> Self {
        Self {
            organization_id: repaired.organization_id,
            id: PassId {
                pass_type_identifier: repaired.pass_type_identifier,
                serial_number: repaired.serial_number,
            },
            ticket_style: repaired.ticket_style,
            poster: repaired.poster,
            voided: repaired.voided,
            retired: repaired.retired,
            content: repaired.content,
            assets: Arc::new(repaired.assets),
            images: Arc::new(repaired.images),
            localizations: Arc::new(repaired.localizations),
            shown_localizations: Arc::new(repaired.shown_localizations),
            nfc_left_out: repaired.nfc_left_out,
            form: repaired.form.map(Arc::new),
            enrolment: repaired.enrolment.map(Arc::new),
            etag: repaired.etag,
            updated_at: repaired.updated_at,
            issued_as: repaired.issued_as,
            token: repaired.token,
            increments: Arc::new(repaired.increments),
            replacements: Arc::new(repaired.replacements),
        }
    }
}

/// The whole state in one event, at a later time: what a phone holds may be of an event that was lost.
pub(super) fn repair(state: &State, at: &Circumstances) -> PassEvent {
    let updated_at = state.next_update(at.now);
    let etag = state.tagged(updated_at).etag();
    let state = state.clone();
    PassEvent::Repaired(Box::new(PassRepaired {
        organization_id: state.organization_id,
        pass_type_identifier: state.id.pass_type_identifier,
        serial_number: state.id.serial_number,
        ticket_style: state.ticket_style,
        poster: state.poster,
        voided: state.voided,
        retired: state.retired,
        content: state.content,
        assets: Arc::unwrap_or_clone(state.assets),
        images: Arc::unwrap_or_clone(state.images),
        localizations: Arc::unwrap_or_clone(state.localizations),
        shown_localizations: Arc::unwrap_or_clone(state.shown_localizations),
        nfc_left_out: state.nfc_left_out,
        form: state.form.map(Arc::unwrap_or_clone),
        enrolment: state.enrolment.map(Arc::unwrap_or_clone),
        issued_as: state.issued_as,
        token: state.token,
        increments: Arc::unwrap_or_clone(state.increments),
        replacements: Arc::unwrap_or_clone(state.replacements),
        etag,
        updated_at,
    }))
}

/// The same images in a state that is newer than `as_of`.
pub(super) fn state_anew(
    state: &State,
    image: &Digest,
    as_of: UnixSeconds,
    at: &Circumstances,
) -> Vec<PassEvent> {
    if state.updated_at > as_of || !state.images.values().any(|shown| shown == image) {
        return Vec::new();
    }
    let updated_at = state.next_update(at.now.max(UnixSeconds(as_of.0.saturating_add(1))));
    let (assets, images) = (Images::clone(&state.assets), Images::clone(&state.images));
    let etag = state.tagged(updated_at).etag();
    vec![PassEvent::AssetsChanged { assets, images, etag, updated_at }]
}
