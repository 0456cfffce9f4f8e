//! The facts about an event log beside its events: its epoch, the marks of commands, and the names of aggregates that have to be found without
//! reading the whole log. Each is an event in a stream of its own, whose name does not begin like those of aggregates.

use eventstore::{AppendToStreamOptions, Error, EventData, RecordedEvent, StreamState};
use serde_json::{Value, json};

use super::connection::{Connection, Fault};
use super::reading;
use crate::epoch::Epoch;
use crate::error::LogError;
use crate::marks::Mark;

const EPOCH: &str = "EpochChanged";
const MARK: &str = "MarkLeft";
const NO_MARK: &str = "MarkRemoved";
const LISTED: &str = "AggregateListed";

/// The types of aggregates whose names are listed: they are few, and are needed before a read model is there.
const LISTED_TYPES: [&str; 3] = ["ApnsKey", "Certificate", "Organization"];

/// The facts about a log.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct About {
    pub(super) epoch: Option<Epoch>,
    /// As they are stored.
    pub(super) marks: Vec<String>,
    /// How many events say so.
    revisions: u64,
}

impl About {
    pub(super) fn is_filling(&self) -> bool {
        self.has(Mark::Filling)
    }

    pub(super) fn has(&self, mark: Mark) -> bool {
        self.marks.iter().any(|stored| stored == mark.as_str())
    }

    fn apply(&mut self, event: &RecordedEvent) {
        let data: Value = event.as_json().unwrap_or_default();
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        match event.event_type.as_str() {
            EPOCH => self.epoch = Epoch::parse(&text("epoch")).ok().or(self.epoch),
            MARK if !self.marks.contains(&text("mark")) => self.marks.push(text("mark")),
            NO_MARK => self.marks.retain(|mark| *mark != text("mark")),
            // Of a later release.
            _ => {}
        }
        self.revisions = event.revision + 1;
    }
}

/// What is known; nothing where there is no log.
pub(super) async fn read(connection: &Connection) -> Result<About, Fault> {
    let mut about = About::default();
    for event in all(connection, connection.address.about()).await? {
        about.apply(&event);
    }
    Ok(about)
}

/// Ensures that there is an epoch.
pub(super) async fn ensure_epoch(connection: &Connection, new: Epoch) -> Result<(About, Epoch), LogError> {
    loop {
        let about = read(connection).await.map_err(Fault::while_it_is("opened"))?;
        if let Some(epoch) = about.epoch {
            return Ok((about, epoch));
        }
        // Where another process was faster, its epoch holds.
        change_epoch_of(connection, &about, new).await.map_err(Fault::while_it_is("opened"))?;
    }
}

/// Gives the log another epoch, unless something has been written about it since it was read.
pub(super) async fn change_epoch_of(
    connection: &Connection,
    about: &About,
    epoch: Epoch,
) -> Result<bool, Fault> {
    let state = match about.revisions {
        0 => StreamState::NoStream,
        some => StreamState::StreamRevision(some - 1),
    };
    append(connection, connection.address.about(), state, EPOCH, &json!({ "epoch": epoch.to_string() })).await
}

/// Gives the log another epoch.
pub(super) async fn change_epoch(connection: &Connection, epoch: Epoch) -> Result<(), Fault> {
    let data = json!({ "epoch": epoch.to_string() });
    append(connection, connection.address.about(), StreamState::Any, EPOCH, &data).await.map(drop)
}

/// Leaves a mark where it is missing.
pub(super) async fn put_mark(connection: &Connection, about: &About, mark: Mark) -> Result<(), Fault> {
    if about.has(mark) {
        return Ok(());
    }
    let data = json!({ "mark": mark.as_str() });
    append(connection, connection.address.about(), StreamState::Any, MARK, &data).await.map(drop)
}

/// Takes a mark away.
pub(super) async fn remove_mark(connection: &Connection, mark: Mark) -> Result<(), Fault> {
    let data = json!({ "mark": mark.as_str() });
    append(connection, connection.address.about(), StreamState::Any, NO_MARK, &data).await.map(drop)
}

/// Lists an aggregate whose first event is about to be appended, if its kind is listed. One that is listed and then has no event is as good as not
/// listed.
pub(super) async fn list(
    connection: &Connection,
    aggregate_type: &str,
    aggregate_id: &str,
) -> Result<(), Fault> {
    if !LISTED_TYPES.contains(&aggregate_type) {
        return Ok(());
    }
    let data = json!({ "aggregateType": aggregate_type, "aggregateId": aggregate_id });
    append(connection, connection.address.listed(), StreamState::Any, LISTED, &data).await.map(drop)
}

/// The listed aggregates of a type, each once, in order.
pub(super) async fn listed(connection: &Connection, aggregate_type: &str) -> Result<Vec<String>, Fault> {
    let events = all(connection, connection.address.listed()).await?;
    let named = events.iter().filter_map(|event| {
        let data: Value = event.as_json().ok()?;
        (data["aggregateType"] == aggregate_type).then(|| data["aggregateId"].as_str().map(str::to_owned))?
    });
    let mut ids: Vec<String> = named.collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Every event of a stream, which has few.
async fn all(connection: &Connection, stream: String) -> Result<Vec<RecordedEvent>, Fault> {
    reading::stream(connection, &stream, 0, usize::MAX).await
}

/// Appends an event; `false` when the stream has grown. It may be appended twice after a failure of the connection, which changes nothing: it says
/// how something is from now on.
async fn append(
    connection: &Connection,
    stream: String,
    state: StreamState,
    event_type: &'static str,
    data: &Value,
) -> Result<bool, Fault> {
    let options = AppendToStreamOptions::default().stream_state(state).requires_leader(true);
    let event = EventData::json(event_type, data).map_err(|fault| Fault::Settings(fault.to_string()))?;
    let (stream, options, event) = (stream.as_str(), &options, &event);
    let appended = connection
        .ask(|client| Box::pin(async move { client.append_to_stream(stream, options, event.clone()).await }));
    match appended.await {
        Ok(_) => Ok(true),
        Err(Fault::Client(Error::WrongExpectedVersion { .. })) => Ok(false),
        Err(fault) => Err(fault),
    }
}
