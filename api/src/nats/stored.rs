//! Commands as the stream has them. One that is there waits to be carried out; one that is done with is taken out.
//!
//! They are read by their numbers rather than handed out: so a command of an organisation that has to wait stays where it is, in its order, while
//! those behind it are read.
//!
//! nats-server 2.9 finds messages by their subject, for whoever asks and for consumers, by the first and the last that it has noted of it; where
//! some in the middle were deleted, as they are here, it may overlook others. Behind all that were deleted it overlooks none. So only what is new is
//! asked for by its subject, and what may lie between others is read message by message. Headers are read here, since the library gives up on a message whose headers are none, and forgets some that are.

use std::collections::HashMap;
use std::str::FromStr;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::RawMessage;
use async_nats::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::TryFutureExt;
use honoken_pushers::nats::stream::{STREAM, UPDATE_REQUESTED};
use honoken_pushers::nats::{Nats, NatsError};
use serde::Deserialize;
use serde_json::{Value, json};

/// A message in the stream.
#[derive(Debug)]
pub(super) struct Stored {
    /// Its number in the stream.
    pub(super) sequence: u64,
    /// When it was stored, in nanoseconds.
    pub(super) published: i128,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
    is_command: bool,
}

/// Messages that are looked at before somebody else gets a turn.
const AT_ONCE: usize = 100;

impl Stored {
    /// The first command from a number on, where nothing behind that was deleted.
    pub(super) async fn first_from(nats: &Nats, sequence: u64) -> Result<Option<Self>, NatsError> {
        asked_for(nats, json!({ "seq": sequence, "next_by_subj": UPDATE_REQUESTED })).await
    }

    /// The first command from a number on and before another, whatever was deleted; else up to where there is none.
    pub(super) async fn first_between(
        nats: &Nats,
        mut from: u64,
        to: u64,
    ) -> Result<Result<Self, u64>, NatsError> {
        for _ in 0..AT_ONCE {
            if from >= to {
                return Ok(Err(to));
            }
            match asked_for(nats, json!({ "seq": from, "next_by_subj": ">" })).await? {
                Some(message) if message.sequence >= to => return Ok(Err(to)),
                Some(message) if message.is_command => return Ok(Ok(message)),
                Some(message) => from = message.sequence + 1,
                None => return Ok(Err(to)),
            }
        }
        Ok(Err(from))
    }

    /// The one with that number, if it is there still.
    pub(super) async fn numbered(nats: &Nats, sequence: u64) -> Result<Option<Self>, NatsError> {
        asked_for(nats, json!({ "seq": sequence })).await
    }

    fn read(message: RawMessage) -> Self {
        let RawMessage { subject, sequence, time, headers, payload } = message;
        // Nobody's key is in headers that cannot be read, so it is refused like any other without one.
        let headers = headers.and_then(|encoded| read_headers(&STANDARD.decode(encoded).ok()?));
        Self {
            sequence,
            published: time.unix_timestamp_nanos(),
            headers: headers.unwrap_or_default(),
            payload: STANDARD.decode(payload).unwrap_or_default().into(),
            is_command: subject == UPDATE_REQUESTED,
        }
    }
}

/// Headers as they were sent, after their first line: as the library reads those of a message that is handed out. Of several with one name it keeps
/// only the last when it reads from the stream.
fn read_headers(bytes: &[u8]) -> Option<HeaderMap> {
    let mut lines =
        std::str::from_utf8(bytes).ok()?.lines().skip(1).filter(|line| !line.is_empty()).peekable();
    let mut headers = HeaderMap::new();
    while let Some(line) = lines.next() {
        let (name, value) = line.split_once(':')?;
        let mut value = value.trim_start().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        headers.append(HeaderName::from_str(name).ok()?, value.trim_end());
    }
    Some(headers)
}

#[derive(Deserialize)]
struct Got {
    message: RawMessage,
}

async fn asked_for(nats: &Nats, which: Value) -> Result<Option<Stored>, NatsError> {
    let doing = "a command cannot be asked for";
    let subject = format!("STREAM.MSG.GET.{STREAM}");
    let asked = nats.jetstream().request::<_, _, Response<Got>>(subject, &which);
    match nats.unless_interrupted(asked.map_err(NatsError::doing(doing))).await?? {
        Response::Ok(Got { message }) => Ok(Some(Stored::read(message))),
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
        Response::Err { error } => Err(NatsError::doing(doing)(error)),
    }
}

#[derive(Deserialize)]
struct Info {
    state: State,
}

#[derive(Deserialize)]
struct State {
    last_seq: u64,
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}

/// Up to where the stream has to be read message by message from a number on, since asking for commands does not find as many as it counts.
pub(super) async fn hidden_before(nats: &Nats, from: u64) -> Result<u64, NatsError> {
    let doing = "the stream HONOKEN cannot be asked how many commands it has";
    let subject = format!("STREAM.INFO.{STREAM}");
    let which = json!({ "subjects_filter": UPDATE_REQUESTED });
    let asked = nats.jetstream().request::<_, _, Response<Info>>(subject, &which);
    let state = match nats.unless_interrupted(asked.map_err(NatsError::doing(doing))).await?? {
        Response::Ok(Info { state }) => state,
        Response::Err { error } => return Err(NatsError::doing(doing)(error)),
    };
    let count = state.subjects.unwrap_or_default().get(UPDATE_REQUESTED).copied().unwrap_or_default();
    let (mut next, mut found) = (from, 0);
    while found < count
        && let Some(command) = Stored::first_from(nats, next).await?
        && command.sequence <= state.last_seq
    {
        (next, found) = (command.sequence + 1, found + 1);
    }
    Ok(if found < count { state.last_seq + 1 } else { from })
}

/// Takes a message out of the stream that is done with: else it would come again, and an API key is in it.
pub(super) async fn remove(nats: &Nats, sequence: u64) -> Result<(), NatsError> {
    let doing = "a command that is done with cannot be taken out of the stream, for which the service needs the right";
    let removed = async {
        let stream = nats.jetstream().get_stream_no_info(STREAM).await.map_err(NatsError::doing(doing))?;
        stream.delete_message(sequence).await.map_err(NatsError::doing(doing))
    };
    match nats.unless_interrupted(removed).await? {
        Ok(_) => Ok(()),
        // Somebody else has removed it, or the limits of the stream have.
        Err(fault) => match Stored::numbered(nats, sequence).await? {
            None => Ok(()),
            Some(_) => Err(fault),
        },
    }
}

/// Takes out what was done with up to a number, where a crash came before it was removed. One by one: a purge has the broker forget which
/// message was handed out and not acknowledged.
pub(super) async fn remove_up_to(nats: &Nats, sequence: u64) -> Result<(), NatsError> {
    while let Some(left) = Stored::first_from(nats, 1).await?
        && left.sequence <= sequence
    {
        remove(nats, left.sequence).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_were_sent() {
        let read = |text: &str| {
            let headers = read_headers(text.as_bytes())?;
            let named = |(name, values): (&HeaderName, &Vec<async_nats::HeaderValue>)| {
                let values: Vec<String> = values.iter().map(|value| value.as_str().to_owned()).collect();
                (name.to_string(), values)
            };
            Some(headers.iter().map(named).collect::<Vec<_>>())
        };
        assert_eq!(read("NATS/1.0\r\n\r\n"), Some(Vec::new()));
        let twice = read("NATS/1.0\r\nA: one \r\nA:two\r\n\r\n");
        assert_eq!(twice, Some(vec![("A".to_owned(), vec!["one".to_owned(), "two".to_owned()])]));
        let long = read("NATS/1.0\r\nA: one\r\n two\r\n\r\n");
        assert_eq!(long, Some(vec![("A".to_owned(), vec!["one two".to_owned()])]));
        assert_eq!(read("NATS/1.0\r\nnone\r\n\r\n"), None);
        assert_eq!(read_headers(b"NATS/1.0\r\nA: \xff\r\n\r\n"), None);
    }
}
