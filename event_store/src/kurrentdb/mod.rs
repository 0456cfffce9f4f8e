//! The event log on a KurrentDB or EventStoreDB server, for any number of processes; the read model and the ledger stay on SQLite or Postgres.
//!
//! Each aggregate is a stream `PREFIX_TYPE-ID`, whose revisions are its sequences less one. The position of an event is where the server has committed
//! it: strictly increasing, and not gapless. Everything else about the log is in streams whose names begin `PREFIX-` (`about.rs`).
//!
//! `address.rs` reads the URL, `connection.rs` keeps a connection, `stored_form.rs` has the form of events, `appending.rs` and `reading.rs` are what
//! they say, `following.rs` hears of other processes and notices a log that was set back, `target.rs` fills a log from another one.

mod about;
mod address;
mod appending;
mod connection;
mod following;
mod reading;
mod stored_form;
mod target;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use eventstore::{AppendToStreamOptions, EventData, StreamMetadataBuilder, StreamState};
use honoken_telemetry::error_chain;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::epoch::Epoch;
use crate::error::{AppendError, LogError};
use crate::event::{Append, RecordedEvent};
use crate::log::EventLog;
use crate::marks::{Mark, Origin};
use crate::position::Position;
use crate::secrets::SecretEvent;
use crate::snapshots::{Snapshots, StoredSnapshot};
use crate::transfer::{BATCH_BYTES, Identity, StoredEvent};
pub use address::Address;
use connection::{Connection, Fault};
use following::Knowledge;
pub(crate) use target::KurrentTarget;

/// How long a start waits for a server.
const START: Duration = Duration::from_secs(15);

/// Snapshots that are stored at a time; more are left out.
const SNAPSHOTS: usize = 8;

/// The name of the event that is a stored state.
const SNAPSHOT: &str = "Snapshot";

/// Events that are read at once from the whole log, at most.
const ROWS: usize = 2_000;

/// Events of a stream that are asked for at once.
const WHOLE_STREAM: usize = usize::MAX;

/// The event log on a KurrentDB server.
#[derive(Debug)]
pub struct KurrentLog {
    connection: Arc<Connection>,
    knowledge: Arc<Knowledge>,
    epoch: Epoch,
    /// Cancelled when the event log was set back under this process.
    set_back: CancellationToken,
    following: AbortOnDropHandle<()>,
    /// Appends and snapshots that are on their way.
    under_way: TaskTracker,
    snapshots: Arc<Semaphore>,
}

/// A stored state, as its event has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotData {
    sequence: u64,
    position: u64,
    shape: u32,
    state: String,
}

/// Does something that a start needs, in bounded time.
async fn at_start<T>(work: impl Future<Output = Result<T, LogError>>) -> Result<T, LogError> {
    match tokio::time::timeout(START, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::while_it_is("opened")(Fault::Silent)),
    }
}

fn connect(address: &Address) -> Result<Connection, LogError> {
    Connection::new(address.clone()).map_err(Fault::while_it_is("opened"))
}

/// Gives an event log that no process uses another epoch, so that earlier tags of phones are foreign.
///
/// # Errors
/// [`LogError`] when the server is unavailable.
pub async fn change_epoch(address: &Address, epoch: Epoch) -> Result<Epoch, LogError> {
    let connection = connect(address)?;
    at_start(async {
        about::change_epoch(&connection, epoch).await.map_err(Fault::while_it_is("written"))?;
        Ok(epoch)
    })
    .await
}

/// What is known about the beginning of an event log, which need not be there.
///
/// # Errors
/// [`LogError`] when the server is unavailable.
pub async fn origin(address: &Address) -> Result<Origin, LogError> {
    let connection = connect(address)?;
    at_start(async {
        let read = Fault::while_it_is("read");
        let about = about::read(&connection).await.map_err(&read)?;
        Ok(Origin {
            is_of_dev: about.has(Mark::Dev),
            is_served: about.has(Mark::Serve),
            has_events: reading::last(&connection).await.map_err(&read)?.is_some(),
            organizations: about::listed(&connection, "Organization").await.map_err(&read)?,
        })
    })
    .await
}

/// The events with sealed secrets, each aggregate's in order.
///
/// # Errors
/// [`LogError`] when the server is unavailable.
pub async fn secret_events(address: &Address) -> Result<Vec<SecretEvent>, LogError> {
    let connection = connect(address)?;
    let read = Fault::while_it_is("read");
    let mut found = Vec::new();
    for aggregate_type in ["ApnsKey", "Certificate"] {
        for aggregate_id in about::listed(&connection, aggregate_type).await.map_err(&read)? {
            let stream = address.stream(aggregate_type, &aggregate_id);
            let events = reading::stream(&connection, &stream, 0, WHOLE_STREAM).await.map_err(&read)?;
            let named = events.into_iter().filter_map(|event| {
                // One that is damaged is told where it is applied.
                let payload = String::from_utf8(event.data.to_vec()).ok()?;
                let (aggregate_type, aggregate_id) = (aggregate_type.to_owned(), aggregate_id.clone());
                Some(SecretEvent { aggregate_type, aggregate_id, event_type: event.event_type, payload })
            });
            found.extend(named);
        }
    }
    Ok(found)
}

/// Leaves a mark in an event log.
///
/// # Errors
/// [`LogError`] when the server is unavailable, or the log is being filled.
pub async fn put_mark(address: &Address, mark: Mark) -> Result<(), LogError> {
    let connection = connect(address)?;
    at_start(async {
        let about = about::read(&connection).await.map_err(Fault::while_it_is("read"))?;
        if about.is_filling() {
            return Err(LogError::Filling);
        }
        about::put_mark(&connection, &about, mark).await.map_err(Fault::while_it_is("written"))
    })
    .await
}

impl KurrentLog {
    /// Opens the event log. It gets `new_epoch` when it is new, or when it is set back while it is open.
    ///
    /// # Errors
    /// [`LogError`] when the server is unavailable, within half a minute.
    pub async fn open(address: &Address, new_epoch: Epoch) -> Result<Self, LogError> {
        let connection = Arc::new(connect(address)?);
        let opened = async {
            let (about, epoch) = about::ensure_epoch(&connection, new_epoch).await?;
            if about.is_filling() {
                return Err(LogError::Filling);
            }
            let last = reading::last(&connection).await.map_err(Fault::while_it_is("opened"))?;
            Ok((epoch, last))
        };
        let (epoch, last) = at_start(opened).await?;
        let knowledge = Arc::new(Knowledge::new(last.as_ref()));
        let set_back = CancellationToken::new();
        let epochs = (epoch, epoch.another(new_epoch));
        let following = following::follow(connection.clone(), knowledge.clone(), epochs, set_back.clone());
        let following = AbortOnDropHandle::new(tokio::spawn(following));
        let (under_way, snapshots) = (TaskTracker::new(), Arc::new(Semaphore::new(SNAPSHOTS)));
        Ok(Self { connection, knowledge, epoch, set_back, following, under_way, snapshots })
    }

    /// Ends when the event log was set back, and has to be opened anew.
    pub async fn ended(&self) {
        self.set_back.cancelled().await;
    }

    /// Whether the server refused the last append, and has not answered anything since.
    pub fn refuses_writes(&self) -> bool {
        self.knowledge.refuses_writes()
    }

    /// What it says of itself.
    pub(crate) async fn identity(&self) -> Result<Identity, LogError> {
        let about = about::read(&self.connection).await.map_err(Fault::while_it_is("read"))?;
        let marks = about.marks.iter().filter_map(|mark| Mark::of_a_process(mark)).collect();
        Ok(Identity { epoch: self.epoch, marks, is_gapless: false })
    }

    /// Some events behind a position, as they are stored.
    pub(crate) async fn stored_after(&self, position: Position) -> Result<Vec<StoredEvent>, LogError> {
        target::stored_after(&self.connection, position).await
    }

    /// Streams that lack events. It reads the whole log, and keeps 24 bytes for each stream.
    pub(crate) async fn streams_with_gaps(&self, limit: u32) -> Result<Vec<String>, LogError> {
        let hashers = (RandomState::new(), RandomState::new());
        let mut sequences: HashMap<(u64, u64), u64> = HashMap::new();
        let (mut position, mut gaps) = (Position(0), Vec::new());
        loop {
            let events = reading::after(&self.connection, position, ROWS, BATCH_BYTES);
            let events = events.await.map_err(Fault::while_it_is("read"))?;
            let Some(last) = events.last() else { return Ok(gaps) };
            position = stored_form::position_of(last);
            for event in &events {
                let stream = event.stream_id();
                let next =
                    sequences.entry((hashers.0.hash_one(stream), hashers.1.hash_one(stream))).or_default();
                if event.revision != *next && gaps.len() < limit as usize {
                    let (aggregate_type, aggregate_id) = self.connection.address.aggregate(stream);
                    gaps.push(format!("{aggregate_type} {aggregate_id}"));
                }
                *next = event.revision.saturating_add(1);
            }
        }
    }

    /// Waits for the appends and snapshots that are on their way.
    pub async fn close(self) {
        drop(self.following);
        self.under_way.close();
        self.under_way.wait().await;
    }

    async fn stream_after<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
        limit: usize,
        doing: &'static str,
    ) -> Result<Vec<Result<RecordedEvent, LogError>>, LogError> {
        let address = &self.connection.address;
        let stream = address.stream(A::TYPE, aggregate_id);
        let events = reading::stream(&self.connection, &stream, after_sequence, limit).await;
        let events = events.map_err(Fault::while_it_is(doing))?;
        Ok(events.iter().map(|event| stored_form::recorded(address, event)).collect())
    }
}

impl EventLog for KurrentLog {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        // In a task of its own: a caller that goes away keeps its append.
        let (connection, knowledge) = (self.connection.clone(), self.knowledge.clone());
        let appended = self.under_way.spawn(async move {
            let appended = appending::append(&connection, &append).await;
            match &appended {
                Ok(last) => {
                    knowledge.has(last.clone());
                    knowledge.took_an_append(true);
                }
                Err(AppendError::Conflict) => {}
                Err(fault) => {
                    if !appending::is_about_values(fault) {
                        knowledge.took_an_append(false);
                    }
                    tracing::error!(error = error_chain(fault), "could not append to the event log");
                }
            }
            appended.map(|last| last.position)
        });
        appended.await.unwrap_or_else(|fault| Err(AppendError::Unknown(fault.into())))
    }

    async fn load<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<SerializedEvent>, LogError> {
        let events = self.stream_after::<A>(aggregate_id, after_sequence, WHOLE_STREAM, "loaded").await?;
        events.into_iter().map(|event| Ok(event?.event)).collect()
    }

    async fn history<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let events = self.stream_after::<A>(aggregate_id, after_sequence, limit as usize, "read").await?;
        let known = |event| match event {
            Err(LogError::Unreadable { event, .. }) => Ok(*event),
            recorded => recorded,
        };
        events.into_iter().map(known).collect()
    }

    async fn position_of<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Option<Position>, LogError> {
        let stream = self.connection.address.stream(A::TYPE, aggregate_id);
        let revision = sequence.saturating_sub(1);
        let found = reading::stream(&self.connection, &stream, revision, 1).await;
        let found = found.map_err(Fault::while_it_is("loaded"))?;
        Ok(found.first().filter(|event| event.revision == revision).map(stored_form::position_of))
    }

    async fn read_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        if self.knowledge.is_at_the_end(position) {
            return Ok(Vec::new());
        }
        let events = reading::after(&self.connection, position, limit as usize, usize::MAX).await;
        let events = events.map_err(Fault::while_it_is("read"))?;
        let mut readable = Vec::with_capacity(events.len());
        for event in &events {
            match stored_form::recorded(&self.connection.address, event) {
                Ok(event) => readable.push(event),
                Err(_) if !readable.is_empty() => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(readable)
    }

    async fn event_at(&self, position: Position) -> Result<Option<RecordedEvent>, LogError> {
        let event =
            reading::event_at(&self.connection, position).await.map_err(Fault::while_it_is("read"))?;
        event.map(|event| stored_form::recorded(&self.connection.address, &event)).transpose()
    }

    async fn reaches(&self, position: Position) -> Result<bool, LogError> {
        let last = reading::last(&self.connection).await.map_err(Fault::while_it_is("read"))?;
        Ok(position <= last.map_or(Position(0), |last| stored_form::position_of(&last)))
    }

    async fn has_more_than(&self, events: u32, position: Position) -> Result<bool, LogError> {
        if self.knowledge.is_at_the_end(position) {
            return Ok(false);
        }
        let found = reading::after(&self.connection, position, events as usize + 1, usize::MAX).await;
        Ok(found.map_err(Fault::while_it_is("read"))?.len() > events as usize)
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.knowledge.head()
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Snapshots for KurrentLog {
    async fn load_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
    ) -> Result<Option<StoredSnapshot>, LogError> {
        let stream = self.connection.address.snapshots(aggregate_type, aggregate_id);
        let last = reading::last_of(&self.connection, &stream).await.map_err(Fault::while_it_is("loaded"))?;
        // One that cannot be read is as good as none.
        let data = last.and_then(|event| event.as_json::<SnapshotData>().ok());
        Ok(data.map(|data| StoredSnapshot {
            sequence: data.sequence,
            position: Position(data.position),
            shape: data.shape,
            state: data.state,
        }))
    }

    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot) {
        let Ok(permit) = self.snapshots.clone().try_acquire_owned() else { return };
        let connection = self.connection.clone();
        self.under_way.spawn(async move {
            let stream = connection.address.snapshots(aggregate_type, &aggregate_id);
            if let Err(fault) = store(&connection, &stream, snapshot).await {
                tracing::debug!(error = error_chain(&fault), "a snapshot was not stored");
            }
            drop(permit);
        });
    }
}

/// Stores a state as the one event of its stream, unless there is a newer one.
async fn store(connection: &Connection, stream: &str, snapshot: StoredSnapshot) -> Result<(), Fault> {
    let StoredSnapshot { sequence, position, shape, state } = snapshot;
    let last = reading::last_of(connection, stream).await?;
    let known = last.as_ref().and_then(|event| event.as_json::<SnapshotData>().ok());
    if known.is_some_and(|known| known.shape == shape && known.sequence >= sequence) {
        return Ok(());
    }
    let data = SnapshotData { sequence, position: position.0, shape, state };
    let event = EventData::json(SNAPSHOT, &data).map_err(|fault| Fault::Settings(fault.to_string()))?;
    let expected = last.map_or(StreamState::NoStream, |event| StreamState::StreamRevision(event.revision));
    let options = AppendToStreamOptions::default().stream_state(expected).requires_leader(true);
    let (options, event) = (&options, &event);
    let asked = connection
        .ask(|client| Box::pin(async move { client.append_to_stream(stream, options, event.clone()).await }));
    if asked.await?.next_expected_version == 0 {
        // The server forgets earlier ones from then on.
        let metadata = StreamMetadataBuilder::new().max_count(1).build();
        let options = AppendToStreamOptions::default().requires_leader(true);
        let (options, metadata) = (&options, &metadata);
        let asked = connection.ask(|client| {
            Box::pin(async move { client.set_stream_metadata(stream, options, metadata).await })
        });
        asked.await?;
    }
    Ok(())
}
