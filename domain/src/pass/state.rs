//! What a pass remembers of its events.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::etag::Tagged;
use crate::ids::{AuthenticationToken, Digest, ETag, OrganizationId, PassId, UnixSeconds};
use crate::images::Images;
use crate::localizations::Localizations;
use crate::pass::{
    KeyedIncrement, KeyedReplacement, PassEvent, PassIssued, PassKind, REMEMBERED, TicketStyle,
};
use crate::personalization::{Enrolment, PersonalizationForm};
use crate::served::{self, Parts};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) organization_id: OrganizationId,
    pub(super) id: PassId,
    pub(super) ticket_style: TicketStyle,
    pub(super) poster: bool,
    pub(super) voided: bool,
    /// Void for ever.
    pub(super) retired: bool,
    pub(super) content: Content,
    /// Shared, like the content, so that a state is copied cheaply.
    pub(super) assets: Arc<Images>,
    pub(super) images: Arc<Images>,
    /// Texts of its own in other languages.
    pub(super) localizations: Arc<Localizations>,
    /// The texts that end up in it.
    pub(super) shown_localizations: Arc<Localizations>,
    /// Whether `nfc` is left out of the file; none without `nfc`, or where an event from before this was decided is the last to say so.
    pub(super) nfc_left_out: Option<bool>,
    /// The form of a rewards programme.
    pub(super) form: Option<Arc<PersonalizationForm>>,
    /// The person who has filled it in.
    pub(super) enrolment: Option<Arc<Enrolment>>,
    pub(super) etag: ETag,
    pub(super) updated_at: UnixSeconds,
    /// What the pass was issued with, to know a late retry of the same order from another pass with the same serial.
    pub(super) issued_as: Digest,
    /// The digest of the token that phones show, to know an order that names another.
    pub(super) token: Digest,
    /// The last increments with a key, oldest first, [`REMEMBERED`] at most.
    pub(super) increments: Arc<Vec<KeyedIncrement>>,
    /// The last replacements with a key, likewise.
    pub(super) replacements: Arc<Vec<KeyedReplacement>>,
}

/// Adds to what is remembered, and forgets the oldest beyond [`REMEMBERED`].
fn remember<T: Clone>(remembered: &mut Arc<Vec<T>>, latest: T) {
    let remembered = Arc::make_mut(remembered);
    remembered.push(latest);
    let forgotten = remembered.len().saturating_sub(REMEMBERED);
    remembered.drain(..forgotten);
}

impl State {
    /// The time of the next change: strictly increasing in whole seconds, so that no `If-Modified-Since` can hide a second change in the
    /// same second.
    pub(super) fn next_update(&self, now: UnixSeconds) -> UnixSeconds {
        UnixSeconds(now.0.max(self.updated_at.0.saturating_add(1)))
    }

    /// This state as a tag names it, at another time; a change replaces what it changes.
    pub(super) fn tagged(&self, updated_at: UnixSeconds) -> Tagged<'_> {
        Tagged {
            id: &self.id,
            ticket_style: self.ticket_style,
            poster: self.poster,
            voided: self.voided,
            updated_at,
            content: &self.content,
            images: &self.images,
            localizations: &self.shown_localizations,
            open_form: self.open_form(),
        }
    }

    /// The form, until a person has filled it in.
    pub(super) fn open_form(&self) -> Option<&PersonalizationForm> {
        self.form.as_deref().filter(|_| self.enrolment.is_none())
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            kind: self.kind(),
            own: &self.assets,
            has_nfc: served::has_nfc(&self.content),
            nfc_left_out: self.nfc_left_out,
            has_open_form: self.open_form().is_some(),
        }
    }

    pub(super) fn kind(&self) -> PassKind {
        PassKind { style: self.ticket_style, poster: self.poster }
    }

    /// What is remembered of the increment with this key.
    pub(super) fn increment_with(&self, key: Option<&Digest>) -> Option<&KeyedIncrement> {
        let key = key?;
        self.increments.iter().rev().find(|increment| increment.key == *key)
    }

    /// What is remembered of the replacement with this key.
    pub(super) fn replacement_with(&self, key: &Digest) -> Option<&KeyedReplacement> {
        self.replacements.iter().rev().find(|replacement| replacement.key == *key)
    }

    /// Without a form there is no enrolment.
    fn take_form(&mut self, form: Option<PersonalizationForm>) {
        self.form = form.map(Arc::new);
        if self.form.is_none() {
            self.enrolment = None;
        }
    }

    /// Takes in an event behind the first.
    pub(super) fn take(&mut self, event: PassEvent) {
        match event {
            PassEvent::Issued(issued) => *self = Self::from(*issued),
            PassEvent::Repaired(repaired) => *self = Self::from(*repaired),
            PassEvent::ContentChanged {
                content,
                increment,
                replacement,
                nfc_left_out,
                images,
                etag,
                updated_at,
            } => {
                (self.content, self.nfc_left_out) = (content, nfc_left_out);
                if let Some(images) = images {
                    self.images = Arc::new(images);
                }
                if let Some(increment) = increment {
                    remember(&mut self.increments, increment);
                }
                if let Some(replacement) = replacement {
                    remember(&mut self.replacements, replacement);
                }
                self.become_state(etag, updated_at);
            }
            PassEvent::MetadataChanged { ticket_style, poster, images, etag, updated_at } => {
                (self.ticket_style, self.poster) = (ticket_style, poster);
                self.images = Arc::new(images);
                self.become_state(etag, updated_at);
            }
            PassEvent::AssetsChanged { assets, images, etag, updated_at } => {
                self.assets = Arc::new(assets);
                self.images = Arc::new(images);
                self.become_state(etag, updated_at);
            }
            PassEvent::HiddenAssetsChanged { assets, .. } => {
                self.assets = Arc::new(assets);
            }
            PassEvent::LocalizationsChanged { localizations, shown_localizations, etag, updated_at } => {
                self.localizations = Arc::new(localizations);
                self.shown_localizations = Arc::new(shown_localizations);
                self.become_state(etag, updated_at);
            }
            PassEvent::HiddenLocalizationsChanged { localizations, .. } => {
                self.localizations = Arc::new(localizations);
            }
            PassEvent::NfcChanged { nfc_left_out, images, etag, updated_at } => {
                self.nfc_left_out = Some(nfc_left_out);
                self.images = Arc::new(images);
                self.become_state(etag, updated_at);
            }
            PassEvent::PersonalizationChanged { form, nfc_left_out, images, etag, updated_at } => {
                self.take_form(form);
                self.nfc_left_out = nfc_left_out;
                self.images = Arc::new(images);
                self.become_state(etag, updated_at);
            }
            PassEvent::HiddenPersonalizationChanged { form, .. } => self.take_form(form),
            PassEvent::Personalized { enrolment, images, etag, updated_at } => {
                self.enrolment = Some(Arc::from(enrolment));
                self.images = Arc::new(images);
                self.become_state(etag, updated_at);
            }
            PassEvent::Voided { etag, updated_at } => {
                self.voided = true;
                self.become_state(etag, updated_at);
            }
            PassEvent::Reinstated { etag, updated_at } => {
                self.voided = false;
                self.become_state(etag, updated_at);
            }
            PassEvent::Retired { etag, updated_at } => {
                (self.voided, self.retired) = (true, true);
                self.become_state(etag, updated_at);
            }
        }
    }

    fn become_state(&mut self, etag: ETag, updated_at: UnixSeconds) {
        self.etag = etag;
        self.updated_at = updated_at;
    }
}

impl From<PassIssued> for State {
    fn from(issued: PassIssued) -> Self {
        let PassIssued { ticket_style, poster, content, assets, localizations, .. } = &issued;
        let issued_as = fingerprint(*ticket_style, *poster, content, assets, localizations);
        Self {
            organization_id: issued.organization_id,
            id: PassId {
                pass_type_identifier: issued.pass_type_identifier,
                serial_number: issued.serial_number,
            },
            ticket_style: issued.ticket_style,
            poster: issued.poster,
            voided: false,
            retired: false,
            content: issued.content,
            assets: Arc::new(issued.assets),
            images: Arc::new(issued.images),
            localizations: Arc::new(issued.localizations),
            shown_localizations: Arc::new(issued.shown_localizations),
            nfc_left_out: issued.nfc_left_out,
            form: None,
            enrolment: None,
            etag: issued.etag,
            updated_at: issued.updated_at,
            issued_as,
            token: token_digest(&issued.authentication_token),
            increments: Arc::default(),
            replacements: Arc::default(),
        }
    }
}

pub(super) fn token_digest(token: &AuthenticationToken) -> Digest {
    Digest::of(token.as_str().as_bytes())
}

/// A short name for an order: the digest of its canonical JSON.
pub(super) fn fingerprint(
    style: TicketStyle,
    poster: bool,
    content: &Content,
    assets: &Images,
    localizations: &Localizations,
) -> Digest {
    let text = if localizations.is_empty() {
        // As it was before passes had other languages, so that a late retry of an order from then is known.
        serde_json_canonicalizer::to_string(&(style, poster, content, assets))
    } else {
        serde_json_canonicalizer::to_string(&(style, poster, content, assets, localizations))
    };
    let text = text.expect("strings, finite numbers and booleans have a canonical form");
    Digest::of(text.as_bytes())
}
