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
pub(super) async fn collect_stream(
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

/// Events behind a position, which is 0 or that of an event: so many at most, and no more than have about so many bytes of data.
pub(super) async fn after(
    connection: &Connection,
    position: Position,
    limit: usize,
    bytes: usize,
) -> Result<Vec<RecordedEvent>, Fault> {
    // The event at the position comes first.
    let asked_for = limit.saturating_add(usize::from(position.0 > 0));
    let options = ReadAllOptions::default()
        .forwards()
        .position(at(position))
        .filter(of_aggregates(connection))
        .max_count(asked_for)
        .requires_leader(true);
    let options = &options;
    connection.ask(|client| Box::pin(collect(client, options, position, bytes))).await
}

async fn collect(
    client: Client,
    options: &ReadAllOptions,
    after: Position,
    most_bytes: usize,
) -> eventstore::Result<Vec<RecordedEvent>> {
    let mut reading = client.read_all(options).await?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while bytes < most_bytes
        && let Some(event) = reading.next().await?
    {
        let Some(event) = event.event.filter(|event| position_of(event) > after) else { continue };
        bytes += event.data.len() + event.custom_metadata.len();
        events.push(event);
    }
    Ok(events)
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
        .max_count(1)
        .requires_leader(true);
    first(connection, &options).await
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
