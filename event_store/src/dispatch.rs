//! From a command to committed events: load, decide, append, and again when somebody else was faster.
//!
//! cqrs-es supplies the traits ([`Aggregate`], [`EventSink`], [`DomainEvent`]). Its own executor returns no events, and callers need them:
//! Apple's 201 and 200 differ by whether anything happened.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::log::{Append, AppendError, EventLog, LogError, NewEvent, Position, RecordedEvent};
use crate::snapshots::{Snapshots, StoredSnapshot};

/// How often a command is decided anew before the caller is told to come back.
const ATTEMPTS: u32 = 8;

/// Events behind the stored state of an aggregate after which a newer state is stored.
const SNAPSHOT_EVERY: u64 = 100;

/// Commands for different aggregates hardly ever share one of these.
const STRIPES: usize = 1024;

/// Who asked, for whom, in which request: kept beside every event. Which event caused a command will join it when events cause commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// `api-key:…`, `device:…`, `system:…`; never a secret.
    pub actor: String,
    /// The organisation in whose name it happens, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The id that the caller sees in `X-Request-Id`.
    pub request_id: String,
    /// Unix milliseconds; a column of its own in the log.
    #[serde(skip)]
    pub recorded_at_ms: i64,
}

/// The outcome of a command.
#[derive(Debug)]
pub struct Committed<A: Aggregate> {
    /// The aggregate's id; with its type it names the stream.
    pub aggregate_id: String,
    /// The aggregate as it is now.
    pub aggregate: A,
    /// What this command added to the log; empty when it changed nothing.
    pub events: Vec<A::Event>,
    /// Position of the aggregate's last event, whoever wrote it; 0 when it has none.
    pub position: Position,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError<E: std::error::Error> {
    /// The aggregate says no.
    #[error(transparent)]
    Refused(E),
    /// Others kept changing the aggregate; the caller may try again.
    #[error("the aggregate was changed by others {ATTEMPTS} times in a row")]
    Conflict,
    /// The log is away.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A stored event does not decode.
    #[error("the event at position {position} does not decode")]
    Undecodable {
        /// Where.
        position: Position,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Carries commands to aggregates.
#[derive(Debug)]
pub struct Dispatcher<L> {
    log: Arc<L>,
    upcasters: Upcasters,
    /// Commands for one aggregate wait for each other here instead of racing to a conflict; other processes are met by `ATTEMPTS`.
    stripes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl<L: EventLog + Snapshots> Dispatcher<L> {
    /// A dispatcher that writes to this log.
    pub fn new(log: Arc<L>, upcasters: Upcasters) -> Self {
        let stripes = (0..STRIPES).map(|_| Mutex::new(())).collect();
        Self { log, upcasters, stripes, hasher: RandomState::new() }
    }

    /// Loads an aggregate, lets it decide, and appends what it decided.
    ///
    /// # Errors
    /// [`DispatchError`]. A refusal or a conflict has appended nothing; when the log failed, the outcome is known when it is back.
    pub async fn dispatch<A>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
    ) -> Result<Committed<A>, DispatchError<A::Error>>
    where
        A: Snapshot,
        A::Command: Clone,
    {
        let stripe = self.hasher.hash_one((A::TYPE, aggregate_id)) % STRIPES as u64;
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of STRIPES")]
        let _turn = self.stripes[stripe as usize].lock().await;
        for attempt in 0..ATTEMPTS {
            match self.attempt::<A>(aggregate_id, command.clone(), services, metadata).await? {
                Some(committed) => return Ok(committed),
                None => tokio::time::sleep(back_off(attempt)).await,
            }
        }
        Err(DispatchError::Conflict)
    }

    /// One turn; `None` when the stream grew between load and append.
    async fn attempt<A: Snapshot>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
    ) -> Result<Option<Committed<A>>, DispatchError<A::Error>> {
        let Loaded { mut aggregate, sequence, position, stored_at } = self.load::<A>(aggregate_id).await?;
        let sink = EventSink::default();
        aggregate.handle(command, services, &sink).await.map_err(DispatchError::Refused)?;
        let events = sink.collect().await;
        let aggregate_id = aggregate_id.to_owned();
        if events.is_empty() {
            return Ok(Some(Committed { aggregate_id, aggregate, events, position }));
        }
        let append = Append {
            aggregate_type: A::TYPE,
            aggregate_id: aggregate_id.clone(),
            expected_sequence: sequence,
            events: events.iter().map(new_event).collect(),
            metadata: serde_json::to_string(metadata).expect("metadata is made of strings"),
            recorded_at_ms: metadata.recorded_at_ms,
        };
        match self.log.append(append).await {
            Ok(position) => {
                let sequence = sequence + events.len() as u64;
                if sequence - stored_at >= SNAPSHOT_EVERY {
                    self.store::<A>(&aggregate, &aggregate_id, sequence, position);
                }
                Ok(Some(Committed { aggregate_id, aggregate, events, position }))
            }
            Err(AppendError::Conflict) => Ok(None),
            Err(AppendError::Log(fault)) => Err(fault.into()),
        }
    }

    /// The state of an aggregate: the stored one, if it is of the shape that this release understands, and the events behind it.
    async fn load<A: Snapshot>(&self, aggregate_id: &str) -> Result<Loaded<A>, DispatchError<A::Error>> {
        let stored = self.log.load_snapshot(A::TYPE, aggregate_id).await?;
        let mut loaded = stored.and_then(understood::<A>).unwrap_or_default();
        for RecordedEvent { position, event, .. } in
            self.log.load(A::TYPE, aggregate_id, loaded.sequence).await?
        {
            loaded.sequence = event.sequence as u64;
            loaded.position = position;
            let event = self.upcasters.upcast(event);
            let event = serde_json::from_value(event.payload)
                .map_err(|source| DispatchError::Undecodable { position, source })?;
            loaded.aggregate.apply(event);
        }
        Ok(loaded)
    }

    fn store<A: Snapshot>(&self, aggregate: &A, aggregate_id: &str, sequence: u64, position: Position) {
        let state =
            serde_json::to_string(aggregate).expect("a state is made of strings, numbers and JSON objects");
        let snapshot = StoredSnapshot { sequence, position, shape: A::SHAPE, state };
        self.log.store_snapshot(A::TYPE, aggregate_id.to_owned(), snapshot);
    }
}

#[derive(Default)]
struct Loaded<A> {
    aggregate: A,
    sequence: u64,
    position: Position,
    /// Sequence of the stored state that this began with, 0 for none.
    stored_at: u64,
}

/// A stored state, unless it is of another shape, or of the right one and yet not readable: then the events say it all.
fn understood<A: Snapshot>(stored: StoredSnapshot) -> Option<Loaded<A>> {
    let StoredSnapshot { sequence, position, shape, state } = stored;
    let aggregate = (shape == A::SHAPE).then(|| serde_json::from_str(&state).ok()).flatten()?;
    Some(Loaded { aggregate, sequence, position, stored_at: sequence })
}

fn new_event<E: DomainEvent>(event: &E) -> NewEvent {
    NewEvent {
        event_type: event.event_type(),
        event_version: event.event_version(),
        payload: serde_json::to_string(event).expect("an event is made of strings, numbers and JSON objects"),
    }
}

/// A random wait below 2, 4, 8 … milliseconds, so that two that collided do not collide again.
fn back_off(attempt: u32) -> Duration {
    let ceiling_us = 2_000_u64 << attempt.min(6);
    #[expect(clippy::disallowed_methods, reason = "decides nothing that is stored")]
    Duration::from_micros(rand::random_range(0..ceiling_us))
}
