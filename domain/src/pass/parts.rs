//! Changes of the parts of a pass: what is checked, and the event that a change leads to.

use crate::content::Content;
use crate::etag::Tagged;
use crate::images::{self, Images};
use crate::localizations::{self, Localizations};
use crate::pass::state::State;
use crate::pass::{Circumstances, KeyedIncrement, KeyedReplacement, PassError, PassEvent, PassKind};
use crate::served::{self, Parts};

pub(super) fn check_poster(PassKind { style, poster }: PassKind) -> Result<(), PassError> {
    if poster && !style.has_poster() { Err(PassError::NoPoster { style: style.as_str() }) } else { Ok(()) }
}

/// The images that end up in a pass, if none is missing that it cannot do without.
pub(super) fn resolve_images(parts: &Parts<'_>, at: &Circumstances) -> Result<Images, PassError> {
    let images = parts.images(&at.default_images, at.allows_nfc);
    match images::missing_slots(parts.kind, &images) {
        Some(one_of) => Err(PassError::MissingImage { one_of }),
        None => Ok(images),
    }
}

/// The texts that end up in a pass, if those of its own are not too many.
pub(super) fn resolve_localizations(
    own: &Localizations,
    at: &Circumstances,
) -> Result<Localizations, PassError> {
    localizations::check_size(own).map_err(PassError::LocalizationsTooLarge)?;
    Ok(localizations::resolve(own, &at.default_localizations))
}

pub(super) fn check_content(kind: PassKind, content: &Content, at: &Circumstances) -> Result<(), PassError> {
    let faults = (at.rules)(kind, content);
    if faults.is_empty() { Ok(()) } else { Err(PassError::UnacceptableContent { faults }) }
}

/// What a pass remembers of the command that changed its content.
#[derive(Default)]
pub(super) struct Cause {
    pub(super) increment: Option<KeyedIncrement>,
    pub(super) replacement: Option<KeyedReplacement>,
}

pub(super) fn change_content(
    state: &State,
    content: Content,
    cause: Cause,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    if content == state.content {
        return Ok(Vec::new());
    }
    check_content(state.kind(), &content, at)?;
    Ok(vec![put_content(state, content, cause, at)])
}

/// The pass with a content that was checked.
pub(super) fn put_content(
    state: &State,
    content: Content,
    Cause { increment, replacement }: Cause,
    at: &Circumstances,
) -> PassEvent {
    let updated_at = state.next_update(at.now);
    let nfc_left_out = served::leaves_out_nfc(&content, at.allows_nfc);
    let images = state.form.as_ref().and_then(|_| {
        let parts = Parts { has_nfc: nfc_left_out.is_some(), nfc_left_out, ..state.parts() };
        let images = parts.with_form_logo(&state.images, &at.default_images, at.allows_nfc);
        (images != *state.images).then_some(images)
    });
    let shown = images.as_ref().unwrap_or(&state.images);
    let etag = Tagged { content: &content, images: shown, ..state.tagged(updated_at) }.etag();
    PassEvent::ContentChanged { content, increment, replacement, nfc_left_out, images, etag, updated_at }
}

pub(super) fn change_metadata(
    state: &State,
    kind: PassKind,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    if kind == state.kind() {
        return Ok(Vec::new());
    }
    check_poster(kind)?;
    check_content(kind, &state.content, at)?;
    let images = resolve_images(&Parts { kind, ..state.parts() }, at)?;
    Ok(vec![put_kind(state, kind, images, at)])
}

/// The pass drawn as something that was checked, with these images.
pub(super) fn put_kind(state: &State, kind: PassKind, images: Images, at: &Circumstances) -> PassEvent {
    let PassKind { style: ticket_style, poster } = kind;
    let updated_at = state.next_update(at.now);
    let etag = Tagged { ticket_style, poster, images: &images, ..state.tagged(updated_at) }.etag();
    PassEvent::MetadataChanged { ticket_style, poster, images, etag, updated_at }
}

pub(super) fn change_assets(
    state: &State,
    assets: Images,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    if assets == *state.assets { Ok(Vec::new()) } else { show_images(state, assets, at) }
}

pub(super) fn change_nfc(state: &State, nfc_left_out: bool, at: &Circumstances) -> Vec<PassEvent> {
    let parts = Parts { nfc_left_out: Some(nfc_left_out), ..state.parts() };
    // A pass that would be left without an image that it needs keeps those that it has.
    let images = resolve_images(&parts, at)
        .unwrap_or_else(|_| parts.with_form_logo(&state.images, &at.default_images, at.allows_nfc));
    let updated_at = state.next_update(at.now);
    let etag = Tagged { images: &images, ..state.tagged(updated_at) }.etag();
    vec![PassEvent::NfcChanged { nfc_left_out, images, etag, updated_at }]
}

pub(super) fn show_images(
    state: &State,
    assets: Images,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    let images = resolve_images(&Parts { own: &assets, ..state.parts() }, at)?;
    Ok(vec![put_images(state, assets, images, at)])
}

/// The pass with images of its own that were checked, and those that end up in it with them.
pub(super) fn put_images(state: &State, assets: Images, images: Images, at: &Circumstances) -> PassEvent {
    if images == *state.images {
        let (etag, updated_at) = (state.etag.clone(), state.updated_at);
        return PassEvent::HiddenAssetsChanged { assets, etag, updated_at };
    }
    let updated_at = state.next_update(at.now);
    let etag = Tagged { images: &images, ..state.tagged(updated_at) }.etag();
    PassEvent::AssetsChanged { assets, images, etag, updated_at }
}

pub(super) fn change_localizations(
    state: &State,
    own: Localizations,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    if own == *state.localizations {
        return Ok(Vec::new());
    }
    let shown = resolve_localizations(&own, at)?;
    Ok(vec![show_localizations(state, own, shown, at)])
}

pub(super) fn show_localizations(
    state: &State,
    localizations: Localizations,
    shown_localizations: Localizations,
    at: &Circumstances,
) -> PassEvent {
    if shown_localizations == *state.shown_localizations {
        let (etag, updated_at) = (state.etag.clone(), state.updated_at);
        return PassEvent::HiddenLocalizationsChanged { localizations, etag, updated_at };
    }
    let updated_at = state.next_update(at.now);
    let etag = Tagged { localizations: &shown_localizations, ..state.tagged(updated_at) }.etag();
    PassEvent::LocalizationsChanged { localizations, shown_localizations, etag, updated_at }
}
