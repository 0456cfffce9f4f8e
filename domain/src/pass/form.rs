//! The form of a rewards programme on a pass, and the person who fills it in.

use crate::etag::Tagged;
use crate::pass::state::State;
use crate::pass::{Circumstances, PassError, PassEvent};
use crate::personalization::{Enrolment, PersonalizationForm};
use crate::served::{self, Parts};

/// The pass with another form, or with none: then it has no enrolment either.
pub(super) fn change_form(
    state: &State,
    form: Option<PersonalizationForm>,
    at: &Circumstances,
) -> Vec<PassEvent> {
    if form.as_ref() == state.form.as_deref() {
        return Vec::new();
    }
    let open_form = form.as_ref().filter(|_| state.enrolment.is_none());
    let nfc_left_out = served::leaves_out_nfc(&state.content, at.allows_nfc);
    let parts = Parts { nfc_left_out, has_open_form: open_form.is_some(), ..state.parts() };
    let images = parts.with_form_logo(&state.images, &at.default_images, at.allows_nfc);
    if !served::shows_form(&images) && !served::shows_form(&state.images) {
        let (etag, updated_at) = (state.etag.clone(), state.updated_at);
        return vec![PassEvent::HiddenPersonalizationChanged { form, etag, updated_at }];
    }
    let updated_at = state.next_update(at.now);
    let etag = Tagged { images: &images, open_form, ..state.tagged(updated_at) }.etag();
    vec![PassEvent::PersonalizationChanged { form, nfc_left_out, images, etag, updated_at }]
}

/// The person who has filled in the form.
///
/// The phone may hold an older file in which the form was, so a form that is left out of the current one can be filled in as well.
pub(super) fn enrol(
    state: &State,
    enrolment: Box<Enrolment>,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    match &state.enrolment {
        Some(known) if known.token == enrolment.token => return Ok(Vec::new()),
        Some(_) => return Err(PassError::NoOpenForm),
        None if state.form.is_none() => return Err(PassError::NoOpenForm),
        None => {}
    }
    let parts = Parts { has_open_form: false, ..state.parts() };
    let images = parts.with_form_logo(&state.images, &at.default_images, at.allows_nfc);
    let updated_at = state.next_update(at.now);
    let etag = Tagged { images: &images, open_form: None, ..state.tagged(updated_at) }.etag();
    Ok(vec![PassEvent::Personalized { enrolment, images, etag, updated_at }])
}
