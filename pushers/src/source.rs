//! From the event log to messages, about events that the read model shows, and no others.
//!
//! A phone that is pushed to asks for the pass at once, so a message never comes before its state can be read. An event of a pass that stands still,
//! because one of its events is parked, is not published but reported: the feed remembers the pass until it moves again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cqrs_es::Aggregate;
use honoken_domain::ids::PassId;
use honoken_domain::pass::{HIDDEN_CHANGES, Pass, PassEvent};
use honoken_domain::rfc3339;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Epoch, EventLog, LogError, Position, RecordedEvent};
use honoken_projections::pass_heads::PassHead;
use honoken_projections::{Progress, QueryError, ReadModel};
use tokio::sync::watch;
use uuid::Uuid;

use crate::message::PassContentChanged;

/// The name of the event that is no change.
const ISSUED: &str = "PassIssued";

/// Why there is nothing to publish for now. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The event log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The read model could not be asked.
    #[error(transparent)]
    ReadModel(#[from] QueryError),
}

/// A message to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The message itself.
    pub message: PassContentChanged,
    /// The request that led to the change.
    pub request_id: Option<String>,
    /// Whether the pass still shows this state. If not, a later message says more.
    pub current: bool,
}

impl OutgoingMessage {
    /// The pass that it is about.
    pub fn pass(&self) -> PassId {
        PassId {
            pass_type_identifier: self.message.pass_type_identifier.clone(),
            serial_number: self.message.serial_number.clone(),
        }
    }

    /// Position of its event in the event log.
    pub fn position(&self) -> Position {
        Position(self.message.position)
    }
}

/// The messages about a part of the event log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of the event log.
    pub messages: Vec<OutgoingMessage>,
    /// The position of each message, and that of the event before it: where a reader goes on that is not done with the message.
    pub before: BTreeMap<Position, Position>,
    /// Passes with events that readers do not see yet, and the last of these.
    pub standing_still: BTreeMap<PassId, Position>,
    /// Everything up to here has been looked at.
    pub up_to: Position,
}

/// Reads the event log as far as the projection is. Clones read the same one.
#[derive(Debug)]
pub struct Source<L> {
    log: Arc<L>,
    upcasters: Arc<Upcasters>,
    read_model: ReadModel,
    progress: watch::Receiver<Progress>,
}

impl<L> Clone for Source<L> {
    fn clone(&self) -> Self {
        Self {
            log: self.log.clone(),
            upcasters: self.upcasters.clone(),
            read_model: self.read_model.clone(),
            progress: self.progress.clone(),
        }
    }
}

impl<L: EventLog> Source<L> {
    /// Reads `log` as far as `progress` says that `read_model` shows it.
    pub fn new(
        log: Arc<L>,
        upcasters: Upcasters,
        read_model: ReadModel,
        progress: watch::Receiver<Progress>,
    ) -> Self {
        Self { log, upcasters: Arc::new(upcasters), read_model, progress }
    }

    /// The messages about events behind `position`, as far as readers see them; at most `limit` events are looked at.
    ///
    /// # Errors
    /// When the event log or the read model is unavailable.
    pub async fn read_after(&self, position: Position, limit: u32) -> Result<Page, SourceError> {
        let shown = self.progress.borrow().position;
        self.read_between(position, shown, limit).await
    }

    /// The same, no further than `horizon`.
    ///
    /// # Errors
    /// When the event log or the read model is unavailable.
    pub async fn read_between(
        &self,
        position: Position,
        horizon: Position,
        limit: u32,
    ) -> Result<Page, SourceError> {
        if horizon <= position {
            return Ok(Page { up_to: position, ..Page::default() });
        }
        let mut events = self.events_after(position, limit).await?;
        events.retain(|event| event.position <= horizon);
        let up_to = events.last().map_or(position, |event| event.position);
        let mut before = BTreeMap::new();
        let positions = || events.iter().map(|event| event.position);
        before.extend(positions().zip(std::iter::once(position).chain(positions())));
        events.retain(is_a_change);
        let mut page = Page { up_to, ..Page::default() };
        let heads = self.heads_of(&events).await?;
        for recorded in events {
            // Not the name of a pass, so it is never seen.
            let Ok(id) = PassId::parse(&recorded.event.aggregate_id) else { continue };
            match heads.get(&id).filter(|head| head.update_tag >= recorded.position) {
                Some(head) => {
                    let position = recorded.position;
                    if let Some(message) = self.message(&id, head, recorded) {
                        page.messages.push(message);
                        page.before.extend(before.get(&position).map(|before| (position, *before)));
                    }
                }
                None => {
                    page.standing_still.insert(id, recorded.position);
                }
            }
        }
        Ok(page)
    }

    /// The messages about the present states of passes; passes that readers do not see are left out.
    ///
    /// # Errors
    /// When the event log or the read model is unavailable.
    pub async fn current_states(
        &self,
        passes: impl IntoIterator<Item = &PassId>,
    ) -> Result<Vec<OutgoingMessage>, SourceError> {
        let mut messages = Vec::new();
        for (id, head) in self.read_model.pass_heads(passes).await? {
            let event = match self.log.event_at(head.update_tag).await {
                Err(LogError::Unreadable { event, .. }) => Some(*event),
                outcome => outcome?,
            };
            let event = event.filter(is_a_change);
            messages.extend(event.and_then(|event| self.message(&id, &head, event)));
        }
        messages.sort_by_key(OutgoingMessage::position);
        Ok(messages)
    }

    /// Ends when readers see more than `position`, or when other passes stand still than before; never when the projection has ended, since the feed
    /// is stopped by itself then.
    pub async fn wait_beyond(&mut self, position: Position) {
        let parked = self.progress.borrow().parked.clone();
        let moved =
            self.progress.wait_for(|progress| progress.position > position || progress.parked != parked);
        if moved.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Passes that stand still.
    pub fn parked(&self) -> BTreeSet<PassId> {
        let progress = self.progress.borrow();
        let passes = progress.parked.iter().filter(|(aggregate_type, _)| aggregate_type == Pass::TYPE);
        passes.filter_map(|(_, aggregate_id)| PassId::parse(aggregate_id).ok()).collect()
    }

    /// How far readers see.
    pub fn shown(&self) -> Position {
        self.progress.borrow().position
    }

    /// The newest event that this process knows of.
    pub fn head(&self) -> Position {
        *self.log.head().borrow()
    }

    /// The epoch of the event log that it reads.
    pub fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    /// Whether the event log is as long as `position`.
    ///
    /// # Errors
    /// When it is unavailable.
    pub async fn reaches(&self, position: Position) -> Result<bool, SourceError> {
        Ok(self.log.reaches(position).await?)
    }

    /// An event whose row is not even JSON, or not even text, is parked by the projection. It comes as far as it can be read.
    async fn events_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        match self.log.read_after(position, limit).await {
            Err(LogError::Unreadable { event, .. }) => Ok(vec![*event]),
            outcome => outcome,
        }
    }

    async fn heads_of(&self, events: &[RecordedEvent]) -> Result<BTreeMap<PassId, PassHead>, QueryError> {
        let passes = events.iter().filter_map(|event| PassId::parse(&event.event.aggregate_id).ok());
        self.read_model.pass_heads(&passes.collect::<BTreeSet<_>>()).await
    }

    /// The message of an event that readers see. An event that this release does not decode was skipped by an operator, or applied by a newer
    /// release: then the message has what the row shows, if that is the state of this event.
    fn message(&self, id: &PassId, head: &PassHead, recorded: RecordedEvent) -> Option<OutgoingMessage> {
        let current = head.update_tag == recorded.position;
        let metadata = &recorded.event.metadata;
        let request_id = metadata["requestId"].as_str().map(str::to_owned);
        let urgent = metadata["urgent"] == "true";
        let sequence = recorded.event.sequence;
        let position = recorded.position;
        let event = serde_json::from_value::<PassEvent>(self.upcasters.upcast(recorded.event).payload);
        let (etag, updated_at) = match event {
            Ok(event) => (event.etag().clone(), event.updated_at()),
            Err(_) if current => (head.etag.clone(), head.updated_at),
            Err(_) => return None,
        };
        let epoch = self.log.epoch();
        let message = PassContentChanged {
            event_id: event_id(epoch, Pass::TYPE, &id.to_string(), sequence),
            organisation_id: head.organization_id.clone(),
            pass_type_identifier: id.pass_type_identifier.clone(),
            serial_number: id.serial_number.clone(),
            etag,
            updated_at: rfc3339::seconds(updated_at),
            update_tag: format!("{epoch}-{position}"),
            position: position.0,
            urgent,
        };
        Some(OutgoingMessage { message, request_id, current })
    }
}

/// Whether an event changes what a phone holds. No phone holds a pass that is being issued, and none gets an image or a text that the pass does not show.
fn is_a_change(recorded: &RecordedEvent) -> bool {
    let event = &recorded.event;
    let name = &*event.event_type;
    event.aggregate_type == Pass::TYPE && name != ISSUED && !HIDDEN_CHANGES.contains(&name)
}

/// The id of an event: the same whenever it is published again, and another in an event log that was restored from a backup.
fn event_id(epoch: Epoch, aggregate_type: &str, aggregate_id: &str, sequence: usize) -> Uuid {
    let name = format!("{epoch}:{aggregate_type}:{aggregate_id}:{sequence}");
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}
