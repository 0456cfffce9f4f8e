//! A pass that gets back the parts that it had.

use crate::content::Content;
use crate::images::Images;
use crate::localizations::Localizations;
use crate::pass::parts::{
    Cause, check_content, check_poster, put_content, put_images, put_kind, resolve_images,
    resolve_localizations, show_localizations,
};
use crate::pass::state::State;
use crate::pass::{Circumstances, PassError, PassEvent, PassKind};
use crate::served::{self, Parts};

/// The parts of a pass that a restoration brings back.
#[derive(Debug, Clone, PartialEq)]
pub struct FormerParts {
    /// What it was drawn as.
    pub kind: PassKind,
    /// What was on it.
    pub content: Content,
    /// Images of its own.
    pub assets: Images,
    /// Texts of its own in other languages.
    pub localizations: Localizations,
}

impl From<&State> for FormerParts {
    fn from(state: &State) -> Self {
        Self {
            kind: state.kind(),
            content: state.content.clone(),
            assets: Images::clone(&state.assets),
            localizations: Localizations::clone(&state.localizations),
        }
    }
}

/// The events that bring these parts back. Everything is checked as it will be in the end: on the way there, a former content need not fit the
/// present style.
pub(super) fn restore(
    state: &State,
    former: FormerParts,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    let FormerParts { kind, content, assets, localizations } = former;
    let (is_other_kind, is_other_content) = (kind != state.kind(), content != state.content);
    let (has_other_images, has_other_texts) =
        (assets != *state.assets, localizations != *state.localizations);
    if is_other_kind {
        check_poster(kind)?;
    }
    if is_other_kind || is_other_content {
        check_content(kind, &content, at)?;
    }
    let nfc_left_out = served::leaves_out_nfc(&content, at.allows_nfc);
    let has_nfc = nfc_left_out.is_some();
    let parts = Parts { kind, own: &assets, has_nfc, nfc_left_out, ..state.parts() };
    if is_other_kind || has_other_images {
        resolve_images(&parts, at)?;
    }
    let texts = has_other_texts.then(|| resolve_localizations(&localizations, at)).transpose()?;

    let mut restored = Restored { state: state.clone(), events: Vec::new() };
    if is_other_kind {
        restored.take(|state| {
            let images = Parts { kind, ..state.parts() }.images(&at.default_images, at.allows_nfc);
            put_kind(state, kind, images, at)
        });
    }
    if is_other_content {
        restored.take(|state| put_content(state, content, Cause::default(), at));
    }
    if has_other_images {
        restored.take(|state| {
            let images = Parts { own: &assets, ..state.parts() }.images(&at.default_images, at.allows_nfc);
            put_images(state, assets, images, at)
        });
    }
    if let Some(shown) = texts {
        restored.take(|state| show_localizations(state, localizations, shown, at));
    }
    Ok(restored.events)
}

/// The pass on its way back.
struct Restored {
    state: State,
    events: Vec<PassEvent>,
}

impl Restored {
    fn take(&mut self, decide: impl FnOnce(&State) -> PassEvent) {
        let event = decide(&self.state);
        self.state.take(event.clone());
        self.events.push(event);
    }
}
