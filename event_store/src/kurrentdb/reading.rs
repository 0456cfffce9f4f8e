//! Reading streams, and the whole log in order.

use eventstore::{
    Client, Position as Commit, ReadAllOptions, ReadStreamOptions, RecordedEvent, StreamPosition,
    SubscriptionFilter,
};

use super::connection::{Connection, Fault};
use super::stored_form::position_of;
use crate::position::Position;

/// The beginning of the names of streams, as the server compares them.
fn of_aggregates(connection: &Connection) -> SubscriptionFilter {
    SubscriptionFilter::on_stream_name().add_prefix(connection.address.events())
}

/// The place of an event of ours: it is committed where it is written.
fn at(position: Position) -> StreamPosition<Commit> {
    match position {
        Position(0) => StreamPosition::Start,
        Position(commit) => StreamPosition::Position(Commit { commit, prepare: commit }),
    }
}

/// Events of a stream behind a sequence, in order; none where there is no stream.
pub(super) async fn stream(
    connection: &Connection,
    stream: &str,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<RecordedEvent>, Fault> {
    let options = ReadStreamOptions::default()
        .forwards()
        .position(StreamPosition::Position(after_sequence))
        .max_count(limit)
        .requires_leader(true);
    let options = &options;
    let asked = connection.ask(|client| Box::pin(collect_stream(client, stream, options)));
    match asked.await {
        Err(fault) if fault.is_not_found() => Ok(Vec::new()),
        answer => answer,
    }
}

/// All events that a reading of a stream gives.
async fn collect_stream(
    client: Client,
    stream: &str,
    options: &ReadStreamOptions,
) -> eventstore::Result<Vec<RecordedEvent>> {
    let mut reading = client.read_stream(stream, options).await?;
    let mut events = Vec::new();
    while let Some(event) = reading.next().await? {
        events.extend(event.event);
    }
    Ok(events)
}

/// The last event of a stream, if there is one.
pub(super) async fn last_of(connection: &Connection, stream: &str) -> Result<Option<RecordedEvent>, Fault> {
    let options =
        ReadStreamOptions::default().position(StreamPosition::End).max_count(1).requires_leader(true);
    let options = &options;
    let asked = connection.ask(|client| Box::pin(collect_stream(client, stream, options)));
    match asked.await {
        Err(fault) if fault.is_not_found() => Ok(None),
        answer => answer.map(|mut events| events.pop()),
    }
}

/// Events behind a position, which is 0 or that of an event: so many at most, and no more than have about so many bytes of data. Fewer are all there are.
pub(super) async fn after(
    connection: &Connection,
    position: Position,
    limit: usize,
    bytes: usize,
) -> Result<Vec<RecordedEvent>, Fault> {
    let mut page = Page { after: position, room: limit, bytes, events: Vec::new() };
    let mut from = at(position);
    loop {
        let options = ReadAllOptions::default()
            .forwards()
            .position(from)
            .filter(of_aggregates(connection))
            .max_count(page.asked_for())
            .requires_leader(true);
        let (options, of_page) = (&options, &page);
        let read = connection.ask(|client| Box::pin(of_page.read(client, connection, options)));
        let Read { events, bytes, last, is_all } = read.await?;
        page.room -= events.len();
        page.bytes = page.bytes.saturating_sub(bytes);
        page.events.extend(events);
        // A server that does not filter has given others.
        let Some(last) = last.filter(|_| !is_all && page.room > 0 && page.bytes > 0) else {
            return Ok(page.events);
        };
        (from, page.after) = (StreamPosition::Position(last), Position(last.commit));
    }
}

/// Events that are being read.
struct Page {
    /// The position behind which they are.
    after: Position,
    /// How many there may be yet.
    room: usize,
    /// How many bytes of data they may have yet.
    bytes: usize,
    events: Vec<RecordedEvent>,
}

/// What was read at once.
struct Read {
    events: Vec<RecordedEvent>,
    bytes: usize,
    /// The place of the last event of any log.
    last: Option<Commit>,
    is_all: bool,
}

impl Page {
    /// How many events the server is asked for: the one at the position comes first.
    fn asked_for(&self) -> usize {
        self.room.saturating_add(usize::from(self.after.0 > 0))
    }

    async fn read(
        &self,
        client: Client,
        connection: &Connection,
        options: &ReadAllOptions,
    ) -> eventstore::Result<Read> {
        let mut reading = client.read_all(options).await?;
        let mut read = Read { events: Vec::new(), bytes: 0, last: None, is_all: true };
        let mut seen = 0;
        while let Some(event) = reading.next().await? {
            let Some(event) = event.event else { continue };
            seen += 1;
            read.last = Some(event.position);
            if position_of(&event) > self.after && connection.address.is_of_aggregates(event.stream_id()) {
                read.bytes += event.data.len() + event.custom_metadata.len();
                read.events.push(event);
            }
            if read.bytes >= self.bytes || read.events.len() >= self.room || seen >= self.asked_for() {
                read.is_all = false;
                break;
            }
        }
        Ok(read)
    }
}

/// The event at a position, which is that of an event.
pub(super) async fn event_at(
    connection: &Connection,
    position: Position,
) -> Result<Option<RecordedEvent>, Fault> {
    let options = ReadAllOptions::default()
        .forwards()
        .position(at(position))
        .filter(of_aggregates(connection))
        .max_count(1)
        .requires_leader(true);
    let found = first(connection, &options).await?;
    Ok(found.filter(|event| position_of(event) == position))
}

/// The last event of the log, if it has one.
pub(super) async fn last(connection: &Connection) -> Result<Option<RecordedEvent>, Fault> {
    let options = ReadAllOptions::default()
        .position(StreamPosition::End)
        .filter(of_aggregates(connection))
        .requires_leader(true);
    let one = options.clone().max_count(1);
    let last = first(connection, &one).await?;
    let is_ours = |event: &RecordedEvent| connection.address.is_of_aggregates(event.stream_id());
    if last.as_ref().is_none_or(is_ours) {
        return Ok(last);
    }
    // A server that does not filter is read until there is one.
    let options = &options;
    let asked = connection.ask(|client| {
        Box::pin(async move {
            let mut reading = client.read_all(options).await?;
            while let Some(event) = reading.next().await? {
                if let Some(event) = event.event.filter(is_ours) {
                    return Ok(Some(event));
                }
            }
            Ok(None)
        })
    });
    asked.await
}

/// The place of the last event on the server, of whatever stream.
pub(super) async fn end_of_server(connection: &Connection) -> Result<Position, Fault> {
    let options = ReadAllOptions::default().position(StreamPosition::End).max_count(1).requires_leader(true);
    Ok(first(connection, &options).await?.map_or(Position(0), |event| position_of(&event)))
}

async fn first(connection: &Connection, options: &ReadAllOptions) -> Result<Option<RecordedEvent>, Fault> {
    let read = connection.ask(|client| Box::pin(async move { client.read_all(options).await?.next().await }));
    Ok(read.await?.and_then(|event| event.event))
}
