//! What the official client for Rust finds at the server that tests use: the stand-in, or the real one that `HONOKEN_TEST_KURRENTDB` names.

mod appending;
mod batches;
mod deleting;
mod faults;
mod many;
mod reading;
mod securing;
mod subscribing;

use std::time::Duration;

use eventstore::{
    AppendToStreamOptions, Client, EventData, Position, ReadStreamOptions, RecordedEvent, StreamState,
    WriteResult,
};
use honoken_test_kurrentdb::Kurrent;
use uuid::Uuid;

/// How long a test waits for anything that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client of its own. It rests before it connects, by default for half a second.
fn client(kurrent: &Kurrent) -> Client {
    let mut address = kurrent.connection_string();
    address.push_str(if address.contains('?') { "&discoveryInterval=10" } else { "?discoveryInterval=10" });
    Client::new(address.parse().expect("the client reads it")).expect("the client starts")
}

/// An event whose number tells it from others.
fn note(number: u32) -> EventData {
    EventData::json("Noted", &serde_json::json!({ "number": number })).expect("it can be written as JSON")
}

fn notes(numbers: impl IntoIterator<Item = u32>) -> Vec<EventData> {
    numbers.into_iter().map(note).collect()
}

fn number(event: &RecordedEvent) -> u64 {
    let data: serde_json::Value = event.as_json().expect("it was written as JSON");
    data["number"].as_u64().expect("it has a number")
}

fn expecting(state: StreamState) -> AppendToStreamOptions {
    AppendToStreamOptions::default().stream_state(state)
}

async fn append(client: &Client, stream: &str, numbers: impl IntoIterator<Item = u32>) -> WriteResult {
    let options = expecting(StreamState::Any);
    client.append_to_stream(stream, &options, notes(numbers)).await.expect("it is stored")
}

/// The numbers of a stream, first to last.
async fn numbers(client: &Client, stream: &str) -> eventstore::Result<Vec<u64>> {
    let mut read = client.read_stream(stream, &ReadStreamOptions::default().max_count(1_000_000)).await?;
    let mut found = Vec::new();
    while let Some(event) = read.next().await? {
        found.push(number(event.get_original_event()));
    }
    Ok(found)
}

/// Within the time that a test waits.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

fn at(position: u64) -> Position {
    Position { commit: position, prepare: position }
}

fn fresh_id() -> Uuid {
    let text = Kurrent::fresh_prefix();
    let hashed = text.bytes().fold(0_u128, |sum, byte| sum.wrapping_mul(257).wrapping_add(byte.into()));
    Uuid::from_u128(hashed | 1)
}
