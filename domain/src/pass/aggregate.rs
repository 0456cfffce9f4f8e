//! The rules of a pass (`decide`) and its memory (`apply`).

use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::content::Content;
use crate::etag::Tagged;
use crate::ids::{AuthenticationToken, Digest, ETag, OrganizationId, PassId, UnixSeconds};
use crate::images::{self, Images};
use crate::localizations::{self, Localizations};
use crate::pass::{
    Circumstances, ContentPatch, Increment, IssuePass, KeyedContent, KeyedIncrement, KeyedReplacement,
    OrderedToken, PassCommand, PassError, PassEvent, PassIssued, PassKind, REMEMBERED, TicketStyle,
};

/// A pass as its events tell it. The default is a serial number that nobody has used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    issued: Option<State>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    organization_id: OrganizationId,
    id: PassId,
    ticket_style: TicketStyle,
    poster: bool,
    voided: bool,
    /// Void for ever.
    retired: bool,
    content: Content,
    /// Shared, like the content, so that a state is copied cheaply.
    assets: Arc<Images>,
    images: Arc<Images>,
    /// Texts of its own in other languages.
    localizations: Arc<Localizations>,
    /// The texts that end up in it.
    shown_localizations: Arc<Localizations>,
    etag: ETag,
    updated_at: UnixSeconds,
    /// What the pass was issued with, to know a late retry of the same order from another pass with the same serial.
    issued_as: Digest,
    /// The digest of the token that phones show, to know an order that names another.
    token: Digest,
    /// The last increments with a key, oldest first, [`REMEMBERED`] at most.
    increments: Arc<Vec<KeyedIncrement>>,
    /// The last replacements with a key, likewise.
    replacements: Arc<Vec<KeyedReplacement>>,
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
    fn next_update(&self, now: UnixSeconds) -> UnixSeconds {
        UnixSeconds(now.0.max(self.updated_at.0.saturating_add(1)))
    }

    /// This state as a tag names it, at another time; a change replaces what it changes.
    fn tagged(&self, updated_at: UnixSeconds) -> Tagged<'_> {
        Tagged {
            id: &self.id,
            ticket_style: self.ticket_style,
            poster: self.poster,
            voided: self.voided,
            updated_at,
            content: &self.content,
            images: &self.images,
            localizations: &self.shown_localizations,
        }
    }

    fn kind(&self) -> PassKind {
        PassKind { style: self.ticket_style, poster: self.poster }
    }

    /// What is remembered of the increment with this key.
    fn increment_with(&self, key: Option<&Digest>) -> Option<&KeyedIncrement> {
        let key = key?;
        self.increments.iter().rev().find(|increment| increment.key == *key)
    }

    /// What is remembered of the replacement with this key.
    fn replacement_with(&self, key: &Digest) -> Option<&KeyedReplacement> {
        self.replacements.iter().rev().find(|replacement| replacement.key == *key)
    }

    fn become_state(&mut self, etag: ETag, updated_at: UnixSeconds) {
        self.etag = etag;
        self.updated_at = updated_at;
    }
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

    /// The images of its own, shown or not; none before the pass is issued.
    pub fn own_images(&self) -> Option<&Images> {
        self.issued.as_ref().map(|state| &*state.assets)
    }

    /// The texts in other languages that end up in it; none before the pass is issued.
    pub fn shown_localizations(&self) -> Option<&Localizations> {
        self.issued.as_ref().map(|state| &*state.shown_localizations)
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
    let kind = PassKind { style: order.ticket_style, poster: order.poster };
    check_poster(kind)?;
    let images = resolve_images(kind, &order.assets, at)?;
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
    }
    .etag();
    Ok(vec![PassEvent::Issued(Box::new(PassIssued {
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
        authentication_token: order.authentication_token.into_token(),
        etag,
        updated_at: at.now,
    }))])
}

fn check_poster(PassKind { style, poster }: PassKind) -> Result<(), PassError> {
    if poster && !style.has_poster() { Err(PassError::NoPoster { style: style.as_str() }) } else { Ok(()) }
}

/// The images that end up in a pass, if none is missing that it cannot do without.
fn resolve_images(kind: PassKind, own: &Images, at: &Circumstances) -> Result<Images, PassError> {
    let images = images::resolve(kind, own, &at.default_images);
    match images::missing_slots(kind, &images) {
        Some(one_of) => Err(PassError::MissingImage { one_of }),
        None => Ok(images),
    }
}

/// The texts that end up in a pass, if those of its own are not too many.
fn resolve_localizations(own: &Localizations, at: &Circumstances) -> Result<Localizations, PassError> {
    localizations::check_size(own).map_err(PassError::LocalizationsTooLarge)?;
    Ok(localizations::resolve(own, &at.default_localizations))
}

fn check_content(kind: PassKind, content: &Content, at: &Circumstances) -> Result<(), PassError> {
    let faults = (at.rules)(kind, content);
    if faults.is_empty() { Ok(()) } else { Err(PassError::UnacceptableContent { faults }) }
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
        PassCommand::Void => Ok(set_voided(state, true, at)),
        PassCommand::Reinstate => Ok(set_voided(state, false, at)),
    }
}

/// What a pass remembers of the command that changed its content.
#[derive(Default)]
struct Cause {
    increment: Option<KeyedIncrement>,
    replacement: Option<KeyedReplacement>,
}

fn change_content(
    state: &State,
    content: Content,
    Cause { increment, replacement }: Cause,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    if content == state.content {
        return Ok(Vec::new());
    }
    check_content(state.kind(), &content, at)?;
    let updated_at = state.next_update(at.now);
    let etag = Tagged { content: &content, ..state.tagged(updated_at) }.etag();
    Ok(vec![PassEvent::ContentChanged { content, increment, replacement, etag, updated_at }])
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

fn change_metadata(state: &State, kind: PassKind, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    if kind == state.kind() {
        return Ok(Vec::new());
    }
    check_poster(kind)?;
    check_content(kind, &state.content, at)?;
    let images = resolve_images(kind, &state.assets, at)?;
    let PassKind { style: ticket_style, poster } = kind;
    let updated_at = state.next_update(at.now);
    let etag = Tagged { ticket_style, poster, images: &images, ..state.tagged(updated_at) }.etag();
    Ok(vec![PassEvent::MetadataChanged { ticket_style, poster, images, etag, updated_at }])
}

fn change_assets(state: &State, assets: Images, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    if assets == *state.assets { Ok(Vec::new()) } else { show_images(state, assets, at) }
}

/// Its own that hide every change of the others leave the pass as it is.
fn refresh(state: &State, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    let images = images::resolve(state.kind(), &state.assets, &at.default_images);
    let localizations = localizations::resolve(&state.localizations, &at.default_localizations);
    let (mut state, mut events) = (state.clone(), Vec::new());
    if images != *state.images {
        events = show_images(&state, Images::clone(&state.assets), at)?;
        state.images = Arc::new(images);
        if let Some(event) = events.last() {
            state.become_state(event.etag().clone(), event.updated_at());
        }
    }
    if localizations != *state.shown_localizations {
        let own = Localizations::clone(&state.localizations);
        events.append(&mut show_localizations(&state, own, localizations, at));
    }
    Ok(events)
}

fn change_localizations(
    state: &State,
    own: Localizations,
    at: &Circumstances,
) -> Result<Vec<PassEvent>, PassError> {
    if own == *state.localizations {
        return Ok(Vec::new());
    }
    let shown = resolve_localizations(&own, at)?;
    Ok(show_localizations(state, own, shown, at))
}

fn show_localizations(
    state: &State,
    localizations: Localizations,
    shown_localizations: Localizations,
    at: &Circumstances,
) -> Vec<PassEvent> {
    if shown_localizations == *state.shown_localizations {
        let (etag, updated_at) = (state.etag.clone(), state.updated_at);
        return vec![PassEvent::HiddenLocalizationsChanged { localizations, etag, updated_at }];
    }
    let updated_at = state.next_update(at.now);
    let etag = Tagged { localizations: &shown_localizations, ..state.tagged(updated_at) }.etag();
    vec![PassEvent::LocalizationsChanged { localizations, shown_localizations, etag, updated_at }]
}

fn show_images(state: &State, assets: Images, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    let images = resolve_images(state.kind(), &assets, at)?;
    if images == *state.images {
        let (etag, updated_at) = (state.etag.clone(), state.updated_at);
        return Ok(vec![PassEvent::HiddenAssetsChanged { assets, etag, updated_at }]);
    }
    let updated_at = state.next_update(at.now);
    let etag = Tagged { images: &images, ..state.tagged(updated_at) }.etag();
    Ok(vec![PassEvent::AssetsChanged { assets, images, etag, updated_at }])
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

fn token_digest(token: &AuthenticationToken) -> Digest {
    Digest::of(token.as_str().as_bytes())
}

/// A short name for an order: the digest of its canonical JSON.
fn fingerprint(
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
            (
                PassEvent::ContentChanged { content, increment, replacement, etag, updated_at },
                Some(state),
            ) => {
                state.content = content;
                if let Some(increment) = increment {
                    remember(&mut state.increments, increment);
                }
                if let Some(replacement) = replacement {
                    remember(&mut state.replacements, replacement);
                }
                state.become_state(etag, updated_at);
            }
            (PassEvent::MetadataChanged { ticket_style, poster, images, etag, updated_at }, Some(state)) => {
                (state.ticket_style, state.poster) = (ticket_style, poster);
                state.images = Arc::new(images);
                state.become_state(etag, updated_at);
            }
            (PassEvent::AssetsChanged { assets, images, etag, updated_at }, Some(state)) => {
                state.assets = Arc::new(assets);
                state.images = Arc::new(images);
                state.become_state(etag, updated_at);
            }
            (PassEvent::HiddenAssetsChanged { assets, .. }, Some(state)) => {
                state.assets = Arc::new(assets);
            }
            (
                PassEvent::LocalizationsChanged { localizations, shown_localizations, etag, updated_at },
                Some(state),
            ) => {
                state.localizations = Arc::new(localizations);
                state.shown_localizations = Arc::new(shown_localizations);
                state.become_state(etag, updated_at);
            }
            (PassEvent::HiddenLocalizationsChanged { localizations, .. }, Some(state)) => {
                state.localizations = Arc::new(localizations);
            }
            (PassEvent::Voided { etag, updated_at }, Some(state)) => {
                state.voided = true;
                state.become_state(etag, updated_at);
            }
            (PassEvent::Reinstated { etag, updated_at }, Some(state)) => {
                state.voided = false;
                state.become_state(etag, updated_at);
            }
            (PassEvent::Retired { etag, updated_at }, Some(state)) => {
                (state.voided, state.retired) = (true, true);
                state.become_state(etag, updated_at);
            }
            // `decide` lets nothing but an issue be the first event of a stream, so there is no state to change here.
            (
                PassEvent::ContentChanged { .. }
                | PassEvent::MetadataChanged { .. }
                | PassEvent::AssetsChanged { .. }
                | PassEvent::HiddenAssetsChanged { .. }
                | PassEvent::LocalizationsChanged { .. }
                | PassEvent::HiddenLocalizationsChanged { .. }
                | PassEvent::Voided { .. }
                | PassEvent::Reinstated { .. }
                | PassEvent::Retired { .. },
                None,
            ) => {}
        }
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
            etag: issued.etag,
            updated_at: issued.updated_at,
            issued_as,
            token: token_digest(&issued.authentication_token),
            increments: Arc::default(),
            replacements: Arc::default(),
        }
    }
}
