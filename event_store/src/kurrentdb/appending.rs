//! How an append gets to the server.
//!
//! Each goes by itself, since a server appends to one stream at a time, and many go at once, which the server brings to disk together. One that was
//! not answered is repeated with the same ids of events: the server answers a repetition as it answered, or would have answered, the first.

use std::time::Duration;

use eventstore::{AppendToStreamOptions, Error, EventData, StreamState, WriteResult};
use sqlx::error::BoxDynError;
use tokio::time::{Instant, timeout};

use super::about;
use super::connection::{Connection, Fault, Meaning, wait};
use super::following::Seen;
use super::reading;
use super::stored_form::{events_of, position_of};
use crate::error::{AppendError, LogError};
use crate::event::Append;
use crate::position::Position;

/// How long an append is repeated that was not answered.
const ASKING: Duration = Duration::from_secs(10);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Attempts to append through a connection that cannot be made.
const ATTEMPTS: u32 = 2;

/// Appends, and answers the last event.
pub(super) async fn append(connection: &Connection, append: &Append) -> Result<Seen, AppendError> {
    let stream = connection.address.stream(append.aggregate_type, &append.aggregate_id);
    let refused = LogError::unavailable("written");
    let (events, id) = events_of(append).map_err(&refused)?;
    if append.expected_sequence == 0 {
        // Before its first event, so that none is ever missing in the list.
        let listed = about::list(connection, append.aggregate_type, &append.aggregate_id).await;
        listed.map_err(Fault::while_it_is("written"))?;
    }
    let written = append_events(connection, &stream, append.expected_sequence, events).await?;
    let revision = written.next_expected_version;
    let position = match written.position.commit {
        // The protocol lets the place be missing.
        0 => {
            let last = reading::stream(connection, &stream, revision, 1).await;
            let last = last.map_err(|fault| AppendError::Unknown(fault.into()))?;
            last.first().map_or(Position(0), position_of)
        }
        commit => Position(commit),
    };
    Ok(Seen { stream, revision, position, id })
}

/// Appends events behind a sequence of a stream.
pub(super) async fn append_events(
    connection: &Connection,
    stream: &str,
    expected_sequence: u64,
    events: Vec<EventData>,
) -> Result<WriteResult, AppendError> {
    let state = match expected_sequence {
        0 => StreamState::NoStream,
        sequence => StreamState::StreamRevision(sequence - 1),
    };
    let options =
        AppendToStreamOptions::default().stream_state(state).requires_leader(true).deadline(ATTEMPT);
    let deadline = Instant::now() + ASKING;
    let (mut attempts, mut unanswered) = (0, None);
    loop {
        let current = connection.client();
        let appended = current.client.append_to_stream(stream, &options, events.clone());
        let fault = match timeout(ATTEMPT, appended).await {
            Ok(Ok(written)) => return Ok(written),
            Ok(Err(Error::WrongExpectedVersion { .. })) => return Err(AppendError::Conflict),
            Ok(Err(fault)) => Fault::Client(fault),
            Err(_) => Fault::Silent,
        };
        attempts += 1;
        let meaning = fault.meaning();
        if matches!(meaning, Meaning::NotSent | Meaning::Unanswered) {
            connection.replace(&current);
        }
        let is_hopeless = match meaning {
            Meaning::Refused => true,
            Meaning::NotSent => unanswered.is_none() && attempts >= ATTEMPTS,
            Meaning::NotLeader | Meaning::Unanswered => false,
        };
        if meaning == Meaning::Unanswered {
            tracing::warn!(error = %fault, "an append was not answered; repeating it");
            unanswered = Some(BoxDynError::from(fault.to_string()));
        }
        let wait = wait(attempts);
        if is_hopeless || Instant::now() + wait >= deadline {
            return Err(match unanswered {
                Some(fault) => AppendError::Unknown(fault),
                None => Fault::while_it_is("written")(fault).into(),
            });
        }
        tokio::time::sleep(wait).await;
    }
}

/// Whether a refusal is about these events, and not any: they are no JSON, or too large for the server.
pub(super) fn is_about_values(fault: &AppendError) -> bool {
    let AppendError::Log(LogError::Unavailable { source, .. }) = fault else { return false };
    match source.downcast_ref::<Fault>() {
        Some(fault @ Fault::Client(cause)) => {
            fault.meaning() == Meaning::Refused && !matches!(cause, Error::AccessDenied)
        }
        Some(Fault::Silent | Fault::Settings(_)) => false,
        None => true,
    }
}
