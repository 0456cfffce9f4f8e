//! The rules of a pass (`decide`) and its memory (`apply`).

use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::etag::Tagged;
use crate::ids::{Digest, ETag, OrganizationId, PassId, UnixSeconds};
use crate::images::{self, Images};
use crate::pass::{Circumstances, IssuePass, PassCommand, PassError, PassEvent, PassIssued, TicketStyle};

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
    content: Content,
    /// Shared, like the content, so that a state is copied cheaply.
    assets: Arc<Images>,
    images: Arc<Images>,
    etag: ETag,
    updated_at: UnixSeconds,
    /// What the pass was issued with, to know a late retry of the same order from another pass with the same serial.
    issued_as: Digest,
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
        }
    }

    fn is_now(&mut self, etag: ETag, updated_at: UnixSeconds) {
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
            (Some(state), _) if !at.precondition.holds_for(Some(&state.etag)) => {
                Err(PassError::PreconditionFailed { current: Some(state.etag.clone()) })
            }
            (Some(state), command) => change(state, command, at),
        }
    }
}

fn issue(order: IssuePass, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    let images = images::resolve(order.ticket_style, &order.assets, &at.default_images);
    if let Some(slot) = images::missing_slot(order.ticket_style, order.poster, &images) {
        return Err(PassError::MissingImage { slot });
    }
    let etag = Tagged {
        id: &order.id,
        ticket_style: order.ticket_style,
        poster: order.poster,
        voided: false,
        updated_at: at.now,
        content: &order.content,
        images: &images,
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
        authentication_token: order.authentication_token,
        etag,
        updated_at: at.now,
    }))])
}

fn repeat(state: &State, order: &IssuePass) -> Result<Vec<PassEvent>, PassError> {
    let same =
        state.issued_as == fingerprint(order.ticket_style, order.poster, &order.content, &order.assets);
    if same { Ok(Vec::new()) } else { Err(PassError::AlreadyIssued) }
}

fn change(state: &State, command: PassCommand, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    match command {
        PassCommand::Issue(order) => repeat(state, &order),
        PassCommand::ReplaceContent { content } => Ok(replace_content(state, content, at)),
        PassCommand::PutAsset { file, digest } => {
            let mut assets = Images::clone(&state.assets);
            assets.insert(file, digest);
            change_assets(state, assets, at)
        }
        PassCommand::RemoveAsset { file } => {
            let mut assets = Images::clone(&state.assets);
            assets.remove(&file);
            change_assets(state, assets, at)
        }
        PassCommand::ResolveImages => resolve_images(state, at),
        PassCommand::Void => Ok(set_voided(state, true, at)),
        PassCommand::Reinstate => Ok(set_voided(state, false, at)),
    }
}

fn replace_content(state: &State, content: Content, at: &Circumstances) -> Vec<PassEvent> {
    if content == state.content {
        return Vec::new();
    }
    let updated_at = state.next_update(at.now);
    let etag = Tagged { content: &content, ..state.tagged(updated_at) }.etag();
    vec![PassEvent::ContentChanged { content, etag, updated_at }]
}

fn change_assets(state: &State, assets: Images, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    if assets == *state.assets { Ok(Vec::new()) } else { show_images(state, assets, at) }
}

/// An image of its own that hides every change of the others leaves the pass as it is.
fn resolve_images(state: &State, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    let images = images::resolve(state.ticket_style, &state.assets, &at.default_images);
    if images == *state.images {
        return Ok(Vec::new());
    }
    show_images(state, Images::clone(&state.assets), at)
}

fn show_images(state: &State, assets: Images, at: &Circumstances) -> Result<Vec<PassEvent>, PassError> {
    let images = images::resolve(state.ticket_style, &assets, &at.default_images);
    if let Some(slot) = images::missing_slot(state.ticket_style, state.poster, &images) {
        return Err(PassError::MissingImage { slot });
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

/// A short name for an order: the digest of its canonical JSON.
fn fingerprint(style: TicketStyle, poster: bool, content: &Content, assets: &Images) -> Digest {
    let text = serde_json_canonicalizer::to_string(&(style, poster, content, assets))
        .expect("strings, finite numbers and booleans have a canonical form");
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
            (PassEvent::ContentChanged { content, etag, updated_at }, Some(state)) => {
                state.content = content;
                state.is_now(etag, updated_at);
            }
            (PassEvent::AssetsChanged { assets, images, etag, updated_at }, Some(state)) => {
                state.assets = Arc::new(assets);
                state.images = Arc::new(images);
                state.is_now(etag, updated_at);
            }
            (PassEvent::Voided { etag, updated_at }, Some(state)) => {
                state.voided = true;
                state.is_now(etag, updated_at);
            }
            (PassEvent::Reinstated { etag, updated_at }, Some(state)) => {
                state.voided = false;
                state.is_now(etag, updated_at);
            }
            // `decide` lets nothing but an issue be the first event of a stream, so there is no state to change here.
            (
                PassEvent::ContentChanged { .. }
                | PassEvent::AssetsChanged { .. }
                | PassEvent::Voided { .. }
                | PassEvent::Reinstated { .. },
                None,
            ) => {}
        }
    }
}

impl From<PassIssued> for State {
    fn from(issued: PassIssued) -> Self {
        let issued_as = fingerprint(issued.ticket_style, issued.poster, &issued.content, &issued.assets);
        Self {
            organization_id: issued.organization_id,
            id: PassId {
                pass_type_identifier: issued.pass_type_identifier,
                serial_number: issued.serial_number,
            },
            ticket_style: issued.ticket_style,
            poster: issued.poster,
            voided: false,
            content: issued.content,
            assets: Arc::new(issued.assets),
            images: Arc::new(issued.images),
            etag: issued.etag,
            updated_at: issued.updated_at,
            issued_as,
        }
    }
}
