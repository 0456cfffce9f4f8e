//! The smallest aggregate that can refuse, change nothing, and be changed back; and appends to its stream without it.

use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use honoken_domain::snapshot::Snapshot;
use honoken_event_store::{Append, Metadata, NewEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

/// A line of text, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    text: Option<String>,
}

/// What can be asked of a note.
#[derive(Debug, Clone)]
pub(crate) enum NoteCommand {
    /// Let it say this.
    Write(&'static str),
    /// Let it say nothing; refused when it says nothing.
    Erase,
}

/// What can have happened to a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NoteEvent {
    /// It says this.
    Noted(String),
    /// It says nothing.
    Erased,
}

/// The note says nothing already.
#[derive(Debug, thiserror::Error)]
#[error("there is nothing to erase")]
pub(crate) struct NothingToErase;

impl DomainEvent for NoteEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Noted(_) => "Noted".into(),
            Self::Erased => "Erased".into(),
        }
    }

    fn event_version(&self) -> String {
        "1".into()
    }
}

impl Aggregate for Note {
    const TYPE: &'static str = "Note";
    type Command = NoteCommand;
    type Event = NoteEvent;
    type Error = NothingToErase;
    type Services = ();

    async fn handle(
        &mut self,
        command: NoteCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), NothingToErase> {
        match (command, &self.text) {
            (NoteCommand::Write(text), Some(same)) if text == same => {}
            (NoteCommand::Write(text), _) => sink.write(NoteEvent::Noted(text.into()), self).await,
            (NoteCommand::Erase, Some(_)) => sink.write(NoteEvent::Erased, self).await,
            (NoteCommand::Erase, None) => return Err(NothingToErase),
        }
        Ok(())
    }

    fn apply(&mut self, event: NoteEvent) {
        match event {
            NoteEvent::Noted(text) => self.text = Some(text),
            NoteEvent::Erased => self.text = None,
        }
    }
}

impl Snapshot for Note {
    const SHAPE: u32 = 1;
}

impl Note {
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

/// These texts, one after the other, for the end of a note's stream.
pub(crate) fn append(note: &str, expected_sequence: u64, texts: &[&str]) -> Append {
    let noted = |text: &&str| json!({ "Noted": text }).to_string();
    append_payloads(note, expected_sequence, texts.iter().map(noted).collect())
}

/// Whatever is given, for the end of a note's stream.
pub(crate) fn append_payloads(note: &str, expected_sequence: u64, payloads: Vec<String>) -> Append {
    let event = |payload| NewEvent { event_type: "Noted".into(), event_version: "1".into(), payload };
    Append {
        aggregate_type: Note::TYPE,
        aggregate_id: note.into(),
        expected_sequence,
        events: payloads.into_iter().map(event).collect(),
        metadata: json!({ "requestId": "r" }).to_string(),
        recorded_at_ms: 1_700_000_000_123,
    }
}

/// Long enough for every command that can succeed.
pub(crate) fn deadline() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

pub(crate) fn metadata() -> Metadata {
    Metadata { actor: "test".into(), request_id: "r-1".into(), recorded_at_ms: 1, ..Metadata::default() }
}
