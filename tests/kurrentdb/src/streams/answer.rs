//! What is stored, as messages.

use std::collections::HashMap;

use crate::log::{Place, Record};
use crate::protocol::streams::ReadResp;
use crate::protocol::streams::read_resp::read_event::{self, RecordedEvent};
use crate::protocol::streams::read_resp::{
    CaughtUp, Checkpoint, Content, Position, ReadEvent, StreamNotFound, SubscriptionConfirmation,
};
use crate::protocol::{identifier, structured, textual};
use crate::state::timestamp;

/// How a client wants ids.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IdForm {
    Structured,
    Text,
}

fn with(content: Content) -> ReadResp {
    ReadResp { content: Some(content) }
}

pub(crate) fn event(record: &Record, ids: IdForm) -> ReadResp {
    let content_type = if record.event.is_json { "application/json" } else { "application/octet-stream" };
    let metadata = HashMap::from([
        ("type".to_owned(), record.event.event_type.clone()),
        ("content-type".to_owned(), content_type.to_owned()),
        ("created".to_owned(), record.created.to_string()),
    ]);
    let id = match ids {
        IdForm::Structured => structured(record.event.id),
        IdForm::Text => textual(record.event.id),
    };
    let recorded = RecordedEvent {
        id: Some(id),
        stream_identifier: Some(identifier(&record.stream)),
        stream_revision: record.revision,
        prepare_position: record.position,
        commit_position: record.position,
        metadata,
        custom_metadata: record.event.metadata.clone(),
        data: record.event.data.clone(),
    };
    let position = Some(read_event::Position::CommitPosition(record.position));
    with(Content::Event(ReadEvent { event: Some(recorded), link: None, position }))
}

pub(crate) fn not_found(stream: &str) -> ReadResp {
    with(Content::StreamNotFound(StreamNotFound { stream_identifier: Some(identifier(stream)) }))
}

pub(crate) fn first_revision(revision: u64) -> ReadResp {
    with(Content::FirstStreamPosition(revision))
}

pub(crate) fn last_revision(revision: u64) -> ReadResp {
    with(Content::LastStreamPosition(revision))
}

pub(crate) fn confirmation(subscription: uuid::Uuid) -> ReadResp {
    with(Content::Confirmation(SubscriptionConfirmation { subscription_id: subscription.to_string() }))
}

pub(crate) fn checkpoint(place: Place) -> ReadResp {
    with(Content::Checkpoint(Checkpoint {
        commit_position: place.commit,
        prepare_position: place.prepare,
        timestamp: Some(timestamp()),
    }))
}

/// A subscription to a stream saw everything up to a revision, or nothing yet.
pub(crate) fn caught_up_with_stream(revision: Option<u64>) -> ReadResp {
    let stream_revision = revision.and_then(|revision| i64::try_from(revision).ok());
    with(Content::CaughtUp(CaughtUp { timestamp: Some(timestamp()), stream_revision, position: None }))
}

/// A subscription to `$all` saw everything up to a place, or nothing yet.
pub(crate) fn caught_up_with_all(place: Option<Place>) -> ReadResp {
    let position =
        place.map(|place| Position { commit_position: place.commit, prepare_position: place.prepare });
    with(Content::CaughtUp(CaughtUp { timestamp: Some(timestamp()), stream_revision: None, position }))
}
