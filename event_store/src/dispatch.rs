//! From a command to committed events: load, decide, append, and once more when another process was faster.
//!
//! cqrs-es supplies the traits ([`Aggregate`], [`EventSink`], [`DomainEvent`]). Its own executor returns no events, and callers need them:
//! Apple's 201 and 200 differ by whether anything happened.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::SerializedEvent;
use cqrs_es::{Aggregate, DomainEvent};
use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use serde::{Serialize, Serializer};
use sqlx::error::BoxDynError;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::error::{AppendError, LogError};
use crate::event::{Append, NewEvent};
use crate::log::EventLog;
use crate::position::Position;
use crate::snapshots::{Snapshots, StoredSnapshot};
use crate::states::{State, States};
use crate::turn::Turn;

/// Events behind the stored state of an aggregate after which a newer state is stored.
const SNAPSHOT_EVERY: u64 = 100;

/// Commands for different aggregates hardly ever share one of these.
const STRIPES: usize = 1024;

/// The actor, the organisation and the request, kept beside every event. The event that caused a command will join them when events cause
/// commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// `api-key:…`, `device:…`, `operator:…`, `system:…`; never a secret.
    pub actor: String,
    /// The organisation in whose name it happens, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The id that the caller sees in `X-Request-Id`.
    pub request_id: String,
    /// Whether phones are to be woken at once, however recently they were woken. Metadata is made of strings, so it reads `"true"`; when it is
    /// not urgent the key is absent.
    #[serde(skip_serializing_if = "std::ops::Not::not", serialize_with = "as_text")]
    pub urgent: bool,
    /// Unix milliseconds; a column of its own in the event log.
    #[serde(skip)]
    pub recorded_at_ms: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_text<S: Serializer>(flag: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(flag)
}

/// The outcome of a command.
#[derive(Debug)]
pub struct Committed<A: Aggregate> {
    /// The aggregate's id; with its type it names the stream.
    pub aggregate_id: String,
    /// The aggregate as it is now.
    pub aggregate: Arc<A>,
    /// The events that this command appended; empty when it changed nothing.
    pub events: Vec<A::Event>,
    /// Position of the aggregate's last event, from this command or an earlier one; 0 when it has none.
    pub position: Position,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError<E: std::error::Error> {
    /// The aggregate says no.
    #[error(transparent)]
    Refused(E),
    /// Other processes kept changing the aggregate up to the deadline; the caller may try again.
    #[error(
        "other processes changed the aggregate during each attempt, and no time is left for another attempt"
    )]
    Conflict,
    /// The event log is unavailable; nothing was written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The event log was lost in the middle of a commit and cannot be asked for its fate. A repetition is safe: the command is decided on the
    /// state of then.
    #[error("the events may have been appended or not")]
    OutcomeUnknown(#[source] BoxDynError),
    /// A stored event does not decode.
    #[error("the event with sequence {sequence} does not decode")]
    Undecodable {
        /// The aggregate's id.
        aggregate_id: String,
        /// Its number within the aggregate.
        sequence: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl<E: std::error::Error> DispatchError<E> {
    /// The id of the aggregate, if an event of it cannot be read: then it answers no command, however often it is asked.
    pub fn damaged(&self) -> Option<&str> {
        match self {
            Self::Undecodable { aggregate_id, .. } => Some(aggregate_id),
            Self::Log(LogError::Unreadable { event, .. }) => Some(&event.event.aggregate_id),
            Self::Refused(_) | Self::Conflict | Self::Log(_) | Self::OutcomeUnknown(_) => None,
        }
    }
}

/// Carries commands to aggregates.
#[derive(Debug)]
pub struct Dispatcher<L> {
    pub(crate) log: Arc<L>,
    pub(crate) upcasters: Upcasters,
    pub(crate) states: States,
    /// Commands for one aggregate wait for each other here, in the order in which they came, instead of racing to a conflict. Conflicts are
    /// with other processes alone.
    stripes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl<L: EventLog + Snapshots> Dispatcher<L> {
    /// A dispatcher that writes to this event log.
    pub fn new(log: Arc<L>, upcasters: Upcasters) -> Self {
        let stripes = (0..STRIPES).map(|_| Mutex::new(())).collect();
        Self { log, upcasters, states: States::new(), stripes, hasher: RandomState::new() }
    }

    /// Finds or loads an aggregate, lets it decide, and appends its events. When another process was faster, the command is decided anew, until
    /// the deadline. Where processes meet at an aggregate they take turns ([`EventLog::turn`]).
    ///
    /// # Errors
    /// [`DispatchError`]. A refusal or a conflict has appended nothing.
    pub async fn dispatch<A>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
        deadline: Instant,
    ) -> Result<Committed<A>, DispatchError<A::Error>>
    where
        A: Snapshot,
        A::Command: Clone,
    {
        let admits = |_: &[A::Event]| Ok::<(), Infallible>(());
        let Ok(committed) =
            self.dispatch_if(aggregate_id, command, services, metadata, deadline, admits).await?;
        Ok(committed)
    }

    /// Like [`dispatch`](Self::dispatch), for a limit on the events themselves: `admits` sees the events before they are appended, and once more
    /// if other processes were faster. Events that it does not admit are those of the newest state.
    ///
    /// # Errors
    /// [`DispatchError`]. The inner error is that of `admits`, and nothing was appended.
    pub async fn dispatch_if<A, R>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
        deadline: Instant,
        mut admits: impl FnMut(&[A::Event]) -> Result<(), R>,
    ) -> Result<Result<Committed<A>, R>, DispatchError<A::Error>>
    where
        A: Snapshot,
        A::Command: Clone,
    {
        let key = (A::TYPE, aggregate_id.to_owned());
        let _turn = self.stripe_of(&key).await;
        let (mut state, mut is_current) = match self.states.get::<A>(&key).await {
            Some(state) => (state, false),
            None => (self.load(aggregate_id).await?, true),
        };
        let mut turn = None;
        if std::mem::take(&mut state.contended) {
            turn = self.log.turn(A::TYPE, aggregate_id).await;
            state.contended = self.catch_up(aggregate_id, &mut state).await?;
            is_current = true;
        }
        let mut conflicts = 0;
        loop {
            let mut aggregate = A::clone(&state.aggregate);
            let sink = EventSink::default();
            let outcome = aggregate.handle(command.clone(), services, &sink).await;
            let events = sink.collect().await;
            if outcome.is_err() || events.is_empty() {
                // Nothing is appended, which would have shown whether the state is old.
                if !is_current && self.catch_up(aggregate_id, &mut state).await? {
                    is_current = true;
                    continue;
                }
                let position = self.position_of(aggregate_id, &mut state).await?;
                let aggregate = state.aggregate.clone();
                self.states.put(key, state).await;
                end(turn).await;
                outcome.map_err(DispatchError::Refused)?;
                let aggregate_id = aggregate_id.to_owned();
                return Ok(Ok(Committed { aggregate_id, aggregate, events, position }));
            }
            if let Err(reason) = admits(&events) {
                if !is_current && self.catch_up(aggregate_id, &mut state).await? {
                    is_current = true;
                    continue;
                }
                self.states.put(key, state).await;
                end(turn).await;
                return Ok(Err(reason));
            }
            let append = append_of::<A>(aggregate_id, state.sequence, &events, metadata);
            let bytes: usize = append.events.iter().map(|event| event.payload.len()).sum();
            match self.log.append(append).await {
                Ok(position) => {
                    state.aggregate = Arc::new(aggregate);
                    state.sequence += events.len() as u64;
                    state.position = Some(position);
                    state.bytes += bytes as u64;
                    self.store_now_and_then(aggregate_id, &mut state, position);
                    let aggregate = state.aggregate.clone();
                    self.states.put(key, state).await;
                    end(turn).await;
                    let aggregate_id = aggregate_id.to_owned();
                    return Ok(Ok(Committed { aggregate_id, aggregate, events, position }));
                }
                Err(AppendError::Conflict) => {
                    conflicts += 1;
                    let pause = back_off(conflicts);
                    if Instant::now() + pause >= deadline {
                        return Err(DispatchError::Conflict);
                    }
                    if turn.is_none() {
                        turn = self.log.turn(A::TYPE, aggregate_id).await;
                    }
                    // The first conflict of a process makes it take turns: until then other processes meet it although it has the turn alone.
                    if turn.is_none() || conflicts > 1 {
                        tokio::time::sleep(pause).await;
                    }
                    state.contended = true;
                    if !self.catch_up(aggregate_id, &mut state).await? {
                        // Not behind the event log but ahead of it: it was set back while this process ran.
                        state = self.load(aggregate_id).await?;
                    }
                    is_current = true;
                }
                Err(AppendError::Log(fault)) => return Err(fault.into()),
                Err(AppendError::Unknown(fault)) => return Err(DispatchError::OutcomeUnknown(fault)),
            }
        }
    }

    /// Waits until no other command for this aggregate is carried out here.
    pub(crate) async fn stripe_of(&self, key: &(&'static str, String)) -> MutexGuard<'_, ()> {
        let stripe = self.hasher.hash_one(key) % STRIPES as u64;
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of STRIPES")]
        let stripe = &self.stripes[stripe as usize];
        stripe.lock().await
    }

    /// The state of an aggregate: the stored one, if it is of the shape that this release understands, and the events behind it.
    pub(crate) async fn load<A: Snapshot>(
        &self,
        aggregate_id: &str,
    ) -> Result<State<A>, DispatchError<A::Error>> {
        let stored = self.log.load_snapshot(A::TYPE, aggregate_id).await?;
        let mut state = stored.and_then(understood::<A>).unwrap_or_default();
        self.catch_up(aggregate_id, &mut state).await?;
        Ok(state)
    }

    /// Applies the events that other processes have appended since. Whether there were any.
    async fn catch_up<A: Snapshot>(
        &self,
        aggregate_id: &str,
        state: &mut State<A>,
    ) -> Result<bool, DispatchError<A::Error>> {
        let events = match self.log.load::<A>(aggregate_id, state.sequence).await {
            Err(fault @ LogError::Unreadable { .. }) => {
                let behind = self.behind_damage::<A>(aggregate_id, state.sequence).await?;
                behind.ok_or(fault)?
            }
            loaded => from_last_whole::<A>(loaded?),
        };
        let Some(last) = events.last() else { return Ok(false) };
        let sequence = last.sequence as u64;
        let aggregate = Arc::make_mut(&mut state.aggregate);
        for event in events {
            let sequence = event.sequence;
            let event = self.upcasters.upcast(event);
            state.bytes += size_of_json(&event.payload);
            let event = serde_json::from_value(event.payload).map_err(|source| {
                let aggregate_id = aggregate_id.to_owned();
                DispatchError::Undecodable { aggregate_id, sequence, source }
            })?;
            aggregate.apply(event);
        }
        state.sequence = sequence;
        state.position = None;
        Ok(true)
    }

    /// Where the last event of a state is; 0 when there is none.
    async fn position_of<A: Snapshot>(
        &self,
        aggregate_id: &str,
        state: &mut State<A>,
    ) -> Result<Position, DispatchError<A::Error>> {
        if state.position.is_none() && state.sequence > 0 {
            state.position = self.log.position_of::<A>(aggregate_id, state.sequence).await?;
        }
        Ok(state.position.unwrap_or_default())
    }

    /// Stores a state that has many events behind the stored one.
    fn store_now_and_then<A: Snapshot>(&self, aggregate_id: &str, state: &mut State<A>, position: Position) {
        let sequence = state.sequence;
        if sequence - state.stored_at < SNAPSHOT_EVERY {
            return;
        }
        let json = serde_json::to_string(&*state.aggregate)
            .expect("a state is made of strings, numbers and JSON objects");
        (state.stored_at, state.bytes) = (sequence, json.len() as u64);
        let snapshot = StoredSnapshot { sequence, position, shape: A::SHAPE, state: json };
        self.log.store_snapshot(A::TYPE, aggregate_id.to_owned(), snapshot);
    }
}

/// Lets others have their turn.
async fn end(turn: Option<Turn>) {
    if let Some(turn) = turn {
        turn.ends().await;
    }
}

/// The last event that states the whole aggregate and those behind it; all of them where none does.
fn from_last_whole<A: Snapshot>(mut events: Vec<SerializedEvent>) -> Vec<SerializedEvent> {
    let last = A::WHOLE.and_then(|whole| events.iter().rposition(|event| event.event_type == whole));
    events.split_off(last.unwrap_or_default())
}

/// A stored state, unless it is of another shape, or of the right one and yet not readable: then the events say it all.
pub(crate) fn understood<A: Snapshot>(stored: StoredSnapshot) -> Option<State<A>> {
    let StoredSnapshot { sequence, position, shape, state } = stored;
    let aggregate: A = (shape == A::SHAPE).then(|| serde_json::from_str(&state).ok()).flatten()?;
    Some(State {
        aggregate: Arc::new(aggregate),
        sequence,
        position: Some(position),
        stored_at: sequence,
        contended: false,
        bytes: state.len() as u64,
    })
}

/// About as many bytes as the text of a value has.
fn size_of_json(value: &serde_json::Value) -> u64 {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() as u64 + 2,
        Value::Array(items) => items.iter().map(size_of_json).sum::<u64>() + 2,
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| key.len() as u64 + 4 + size_of_json(value)).sum::<u64>() + 2
        }
    }
}

/// Events of an aggregate, to be appended behind this sequence.
pub(crate) fn append_of<A: Aggregate>(
    aggregate_id: &str,
    expected_sequence: u64,
    events: &[A::Event],
    metadata: &Metadata,
) -> Append {
    Append {
        aggregate_type: A::TYPE,
        aggregate_id: aggregate_id.to_owned(),
        expected_sequence,
        events: events.iter().map(new_event).collect(),
        metadata: serde_json::to_string(metadata).expect("metadata is made of strings"),
        recorded_at_ms: metadata.recorded_at_ms,
    }
}

fn new_event<E: DomainEvent>(event: &E) -> NewEvent {
    NewEvent {
        event_type: event.event_type(),
        event_version: event.event_version(),
        payload: serde_json::to_string(event).expect("an event is made of strings, numbers and JSON objects"),
    }
}

/// A random wait below 4, 8, 16 and then 32 milliseconds, so that two that collided do not collide again. It grows no further: each attempt is
/// a read and a place in a batch, which many a second may cost, and a process that waits longer finds the right moment later.
fn back_off(attempt: u32) -> Duration {
    let ceiling_us = 2_000_u64 << attempt.min(4);
    #[expect(clippy::disallowed_methods, reason = "decides nothing that is stored")]
    Duration::from_micros(rand::random_range(0..ceiling_us))
}
