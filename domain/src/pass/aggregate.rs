//! The rules of a pass (`decide`) and its memory (`apply`).

use std::iter;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::content::Content;
use crate::etag::Tagged;
use crate::ids::{Digest, ETag, UnixSeconds};
use crate::images::{self, Images};
use crate::localizations::{self, Localizations};
use crate::pass::anew::{repair, state_anew};
use crate::pass::form::{change_form, enrol};
use crate::pass::parts::{
    Cause, change_assets, change_content, change_localizations, change_metadata, change_nfc, check_poster,
    resolve_images, resolve_localizations, show_images, show_localizations,
};
use crate::pass::restore::{FormerParts, restore};
use crate::pass::state::{State, fingerprint, token_digest};
use crate::pass::{
    Circumstances, ContentPatch, Increment, IssuePass, KeyedContent, OrderedToken, PassCommand, PassError,
    PassEvent, PassIssued, PassKind,
};
use crate::personalization::{Enrolment, PersonalizationForm};
use crate::served::{self, Parts};

/// A pass as its events tell it. The default is a serial number that nobody has used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    issued: Option<State>,
}

impl Pass {
    /// The tag of the current state; none before the pass is issued.
    pub fn etag(&self) -> Option<&ETag> {
        self.issued.as_ref().map(|state| &state.etag)
    }

    /// The time of the current state; none before the pass is issued.
    pub fn updated_at(&self) -> Option<UnixSeconds> {
        self.issued.as_ref().map(|state| state.updated_at)
    }

    /// What is on it, and its kind; none before the pass is issued.
    pub fn shown(&self) -> Option<(PassKind, &Content)> {
        self.issued.as_ref().map(|state| (state.kind(), &state.content))
    }

    /// Whether it is void, and whether for ever; none before the pass is issued.
    pub fn is_voided_and_retired(&self) -> Option<(bool, bool)> {
        self.issued.as_ref().map(|state| (state.voided, state.retired))
    }

    /// The images that end up in it; none before the pass is issued.
    pub fn shown_images(&self) -> Option<&Images> {
        self.issued.as_ref().map(|state| &*state.images)
    }

    /// The images of its own, shown or not; none before the pass is issued.
    pub fn own_images(&self) -> Option<&Images> {
        self.issued.as_ref().map(|state| &*state.assets)
    }

    /// The parts that a restoration of this state would bring back; none before the pass is issued.
    pub fn restorable(&self) -> Option<FormerParts> {
        self.issued.as_ref().map(FormerParts::from)
    }

    /// The texts in other languages that end up in it; none before the pass is issued.
    pub fn shown_localizations(&self) -> Option<&Localizations> {
        self.issued.as_ref().map(|state| &*state.shown_localizations)
    }

    /// Whether its content has `nfc` that is left out of its file.
    pub fn leaves_out_nfc(&self) -> bool {
        self.issued.as_ref().is_some_and(|state| state.nfc_left_out == Some(true))
    }

    /// Its form, until a person has filled it in, and whether it is in its file.
    pub fn open_form(&self) -> Option<(&PersonalizationForm, bool)> {
        let state = self.issued.as_ref()?;
        Some((state.open_form()?, served::shows_form(&state.images)))
    }

    /// The person who has filled its form in.
    pub fn enrolment(&self) -> Option<&Enrolment> {
        self.issued.as_ref()?.enrolment.as_deref()
    }

    /// What a number was after this increment: what is remembered of it, else what the number is now.
    pub fn value_after(&self, increment: &Increment) -> Option<Number> {
        let state = self.issued.as_ref()?;
        match state.increment_with(increment.key.as_ref()) {
            Some(known) => Some(known.value.clone()),
            None => state.content.number_at(&increment.pointer).cloned(),
        }
    }

    /// Whether the order with this key was carried out and is remembered.
    pub fn has_carried_out(&self, key: &Digest) -> bool {
        self.issued.as_ref().is_some_and(|state| state.replacement_with(key).is_some())
    }

    /// Decides a command: the events it leads to, none if it changes nothing.
    ///
    /// # Errors
    /// [`PassError`] says why not.
    pub fn decide(&self, command: PassCommand, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
        match (&self.issued, command) {
            (None, PassCommand::Issue(_)) if !at.precondition.holds_for(None) => {
                Err(PassError::PreconditionFailed { current: None })
            }
            (None, PassCommand::Issue(order)) => issue(*order, at),
            (None, _) => Err(PassError::Unknown),
            (Some(state), _) if state.organization_id != at.organization_id => Err(PassError::Unknown),
            // Before the precondition: what a retry repeats has changed the state that the caller knew.
            (Some(state), PassCommand::Increment(increment))
                if state.increment_with(increment.key.as_ref()).is_some() =>
            {
                repeat_increment(state, &increment)
            }
            (Some(state), PassCommand::ReplaceContentOnce(order))
                if state.replacement_with(&order.key).is_some() =>
            {
                repeat_replacement(state, &order)
            }
            (Some(state), _) if !at.precondition.holds_for(Some(&state.etag)) => {
                Err(PassError::PreconditionFailed { current: Some(state.etag.clone()) })
            }
            (Some(state), command) => change(state, command, at),
        }
    }
}

fn issue(order: IssuePass, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    let voided = order.voided;
    let issued = issue_valid(order, at)?;
    let mut pass = Pass::default();
    pass.apply(issued.clone());
    let voided = pass.issued.filter(|_| voided).map(|state| set_voided(&state, true, at)).unwrap_or_default();
    Ok(iter::once(issued).chain(voided).collect())
}

fn issue_valid(order: IssuePass, at: &Circumstances) -> Result<PassEvent, PassError> {
    let kind = PassKind { style: order.ticket_style, poster: order.poster };
    check_poster(kind)?;
    let nfc_left_out = served::leaves_out_nfc(&order.content, at.allows_nfc);
    let parts = Parts {
        kind,
        own: &order.assets,
        has_nfc: nfc_left_out.is_some(),
        nfc_left_out,
        has_open_form: false,
    };
    let images = resolve_images(&parts, at)?;
    let shown_localizations = resolve_localizations(&order.localizations, at)?;
    let etag = Tagged {
        id: &order.id,
        ticket_style: order.ticket_style,
        poster: order.poster,
        voided: false,
        updated_at: at.now,
        content: &order.content,
        images: &images,
        localizations: &shown_localizations,
        open_form: None,
    }
    .etag();
    Ok(PassEvent::Issued(Box::new(PassIssued {
        organization_id: at.organization_id.clone(),
        pass_type_identifier: order.id.pass_type_identifier,
        serial_number: order.id.serial_number,
        ticket_style: order.ticket_style,
        poster: order.poster,
        content: order.content,
        assets: order.assets,
        images,
        localizations: order.localizations,
        shown_localizations,
        nfc_left_out,
        authentication_token: order.authentication_token.into_token(),
        etag,
        updated_at: at.now,
    })))
}

fn repeat(state: &State, order: &IssuePass) -> Result<Vec<PassEvent>, PassError> {
    let IssuePass { ticket_style, poster, content, assets, localizations, .. } = order;
    let same = state.issued_as == fingerprint(*ticket_style, *poster, content, assets, localizations);
    match &order.authentication_token {
        _ if !same => Err(PassError::AlreadyIssued),
        // Phones that show it would be turned away, so the order has not been carried out.
        OrderedToken::Known(token) if token_digest(token) != state.token => Err(PassError::OtherToken),
        OrderedToken::Known(_) | OrderedToken::Fresh(_) => Ok(Vec::new()),
    }
}

fn repeat_increment(state: &State, increment: &Increment) -> Result<Vec<PassEvent>, PassError> {
    let known = state.increment_with(increment.key.as_ref());
    let same = known.is_some_and(|known| known.request == increment.request());
    if same { Ok(Vec::new()) } else { Err(PassError::KeyReused) }
}

fn repeat_replacement(state: &State, order: &KeyedContent) -> Result<Vec<PassEvent>, PassError> {
    let same = state.replacement_with(&order.key).is_some_and(|known| *known == order.remembered());
    if same { Ok(Vec::new()) } else { Err(PassError::OrderReused) }
}

fn change(state: &State, command: PassCommand, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    match command {
        PassCommand::Issue(order) => repeat(state, &order),
        PassCommand::Retire => Ok(retire(state, at)),
        PassCommand::Repair => Ok(vec![repair(state, at)]),
        // A retired pass keeps no person's data either.
        PassCommand::RemovePersonalization => Ok(change_form(state, None, at)),
        _ if state.retired => Err(PassError::Retired),
        PassCommand::ReplaceContent { content } => change_content(state, content, Cause::default(), at),
        PassCommand::ReplaceContentOnce(order) => {
            let cause = Cause { replacement: Some(order.remembered()), ..Cause::default() };
            change_content(state, order.content, cause, at)
        }
        PassCommand::PatchContent { patch } => patch_content(state, &patch, at),
        PassCommand::Increment(increment) => carry_out_increment(state, &increment, at),
        PassCommand::ChangeMetadata { ticket_style, poster } => {
            let kind = PassKind {
                style: ticket_style.unwrap_or(state.ticket_style),
                poster: poster.unwrap_or(state.poster),
            };
            change_metadata(state, kind, at)
        }
        PassCommand::PutAsset { file, digest } => {
            let mut assets = Images::clone(&state.assets);
            assets.insert(file, digest);
            change_assets(state, assets, at)
        }
        PassCommand::PutScales { assets } => {
            let replaced = images::in_place_of_slots(&state.assets, assets);
            change_assets(state, replaced, at)
        }
        PassCommand::RemoveAsset { file } => {
            let mut assets = Images::clone(&state.assets);
            assets.remove(&file);
            change_assets(state, assets, at)
        }
        PassCommand::PutLocalization { language, localization } => {
            let mut localizations = Localizations::clone(&state.localizations);
            localizations.insert(language, localization);
            change_localizations(state, localizations, at)
        }
        PassCommand::RemoveLocalization { language } => {
            let mut localizations = Localizations::clone(&state.localizations);
            localizations.remove(&language);
            change_localizations(state, localizations, at)
        }
        PassCommand::ResolveDefaults => refresh(state, at),
        PassCommand::AdmitDevice => Ok(Vec::new()),
        PassCommand::StateAnew { image, as_of } => Ok(state_anew(state, &image, as_of, at)),
        PassCommand::Restore(former) => restore(state, *former, at),
        PassCommand::SetPersonalization(form) => Ok(change_form(state, Some(form), at)),
        PassCommand::Personalize(enrolment) => enrol(state, enrolment, at),
        PassCommand::Void => Ok(set_voided(state, true, at)),
        PassCommand::Reinstate => Ok(set_voided(state, false, at)),
    }
}

fn patch_content(
    state: &State,
    patch: &ContentPatch,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    change_content(state, patch.apply(&state.content)?, Cause::default(), at)
}

fn carry_out_increment(
    state: &State,
    increment: &Increment,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    let (content, value) = increment.apply(&state.content)?;
    let cause = Cause { increment: increment.remembered(value), ..Cause::default() };
    change_content(state, content, cause, at)
}

/// Its own that hide every change of the others leave the pass as it is, and so does a certificate that allows no more and no less than the one
/// before. A pass that would be left without an image that it needs gets the texts alone.
fn refresh(state: &State, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    let (mut events, fault) = match refresh_images(state, at) {
        Ok(events) => (events, None),
        Err(fault) => (Vec::new(), Some(fault)),
    };
    let mut refreshed = state.clone();
    for event in &events {
        refreshed.take(event.clone());
    }
    let localizations = localizations::resolve(&state.localizations, &at.default_localizations);
    if localizations != *refreshed.shown_localizations {
        let own = Localizations::clone(&refreshed.localizations);
        events.push(show_localizations(&refreshed, own, localizations, at));
    }
    match fault {
        Some(fault) if events.is_empty() => Err(fault),
        _ => Ok(events),
    }
}

/// The same for the images and `nfc`.
fn refresh_images(state: &State, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    let nfc_left_out = served::leaves_out_nfc(&state.content, at.allows_nfc);
    if let Some(nfc_left_out) =
        nfc_left_out.filter(|left_out| *left_out != (state.nfc_left_out == Some(true)))
    {
        return Ok(change_nfc(state, nfc_left_out, at));
    }
    let images = state.parts().images(&at.default_images, at.allows_nfc);
    if images == *state.images {
        return Ok(Vec::new());
    }
    show_images(state, Images::clone(&state.assets), at)
}

fn set_voided(state: &State, voided: bool, at: &Circumstances) -> Vec<PassEvent> {
    if voided == state.voided {
        return Vec::new();
    }
    let updated_at = state.next_update(at.now);
    let etag = Tagged { voided, ..state.tagged(updated_at) }.etag();
    vec![if voided {
        PassEvent::Voided { etag, updated_at }
    } else {
        PassEvent::Reinstated { etag, updated_at }
    }]
}

fn retire(state: &State, at: &Circumstances) -> Vec<PassEvent> {
    if state.retired {
        return Vec::new();
    }
    let updated_at = state.next_update(at.now);
    let etag = Tagged { voided: true, ..state.tagged(updated_at) }.etag();
    vec![PassEvent::Retired { etag, updated_at }]
}

impl Aggregate for Pass {
    const TYPE: &'static str = "Pass";
    type Command = PassCommand;
    type Event = PassEvent;
    type Error = PassError;
    type Services = Circumstances;

    async fn handle(
        &mut self,
        command: PassCommand,
        at: &Circumstances,
        sink: &EventSink<Self>,
    ) -> Result<(), PassError> {
        for event in self.decide(command, at)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: PassEvent) {
        match (event, &mut self.issued) {
            (PassEvent::Issued(issued), _) => self.issued = Some(State::from(*issued)),
            (PassEvent::Repaired(repaired), _) => self.issued = Some(State::from(*repaired)),
            (event, Some(state)) => state.take(event),
            // `decide` lets nothing but an issue be the first event of a stream, so there is no state to change here.
            (_, None) => {}
        }
    }
}
