//! Commands as the stream stores them. A command in the stream waits to be carried out; one that is done is removed.
//!
//! They are read by their sequence numbers rather than handed out by a consumer. So a command of an organisation that has to wait stays in
//! its place in the stream while those behind it are read.
//!
//! nats-server 2.9 finds messages by subject through the first and the last sequence number that it has noted for that subject. Where
//! messages in the middle were deleted, as they are here, it may overlook others; behind all deleted messages it overlooks none. So only
//! new commands are asked for by their subject, and those that may lie between others are read message by message. Headers are parsed here,
//! since the library rejects a message whose headers are malformed, and drops some that are not.

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
pub(super) struct StreamMessage {
    /// Its number in the stream.
    pub(super) sequence: u64,
    /// When it was stored, in nanoseconds.
    pub(super) published: i128,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
    is_command: bool,
}

/// Messages that are read before another lane gets its turn.
const YIELD_AFTER: usize = 100;

impl StreamMessage {
    /// The first command from a number on, where no message behind that number was deleted.
    pub(super) async fn first_from(nats: &Nats, sequence: u64) -> Result<Option<Self>, NatsError> {
        request_message(nats, json!({ "seq": sequence, "next_by_subj": UPDATE_REQUESTED })).await
    }

    /// The first command from a number on and before another, whatever was deleted; else `Err` with the number before which there is none.
    pub(super) async fn first_between(
        nats: &Nats,
        mut from: u64,
        to: u64,
    ) -> Result<Result<Self, u64>, NatsError> {
        for _ in 0..YIELD_AFTER {
            if from >= to {
                return Ok(Err(to));
            }
            match request_message(nats, json!({ "seq": from, "next_by_subj": ">" })).await? {
                Some(message) if message.sequence >= to => return Ok(Err(to)),
                Some(message) if message.is_command => return Ok(Ok(message)),
                Some(message) => from = message.sequence + 1,
                None => return Ok(Err(to)),
            }
        }
        Ok(Err(from))
    }

    /// The message with that number, if it is still there.
    pub(super) async fn numbered(nats: &Nats, sequence: u64) -> Result<Option<Self>, NatsError> {
        request_message(nats, json!({ "seq": sequence })).await
    }

    fn decode(message: RawMessage) -> Self {
        let RawMessage { subject, sequence, time, headers, payload } = message;
        // Headers that cannot be read hold no key, so the command is refused like any other without one.
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

/// The headers as they were sent, after their first line, read as the library reads those of a delivered message. When the library itself
/// reads from the stream, it keeps only the last of several headers with one name.
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
struct MessageAnswer {
    message: RawMessage,
}

async fn request_message(nats: &Nats, which: Value) -> Result<Option<StreamMessage>, NatsError> {
    let doing = "a command could not be requested from NATS";
    let subject = format!("STREAM.MSG.GET.{STREAM}");
    let asked = nats.jetstream().request::<_, _, Response<MessageAnswer>>(subject, &which);
    match nats.unless_interrupted(asked.map_err(NatsError::doing(doing))).await?? {
        Response::Ok(MessageAnswer { message }) => Ok(Some(StreamMessage::decode(message))),
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
        Response::Err { error } => Err(NatsError::doing(doing)(error)),
    }
}

#[derive(Deserialize)]
struct StreamInfo {
    state: StreamState,
}

#[derive(Deserialize)]
struct StreamState {
    last_seq: u64,
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}

/// The number up to which the stream has to be read message by message from `from` on, because asking by subject finds fewer commands than
/// the stream counts.
pub(super) async fn hidden_before(nats: &Nats, from: u64) -> Result<u64, NatsError> {
    let doing = "the number of commands in the stream HONOKEN could not be read";
    let subject = format!("STREAM.INFO.{STREAM}");
    let which = json!({ "subjects_filter": UPDATE_REQUESTED });
    let asked = nats.jetstream().request::<_, _, Response<StreamInfo>>(subject, &which);
    let state = match nats.unless_interrupted(asked.map_err(NatsError::doing(doing))).await?? {
        Response::Ok(StreamInfo { state }) => state,
        Response::Err { error } => return Err(NatsError::doing(doing)(error)),
    };
    let count = state.subjects.unwrap_or_default().get(UPDATE_REQUESTED).copied().unwrap_or_default();
    let (mut next, mut found) = (from, 0);
    while found < count
        && let Some(command) = StreamMessage::first_from(nats, next).await?
        && command.sequence <= state.last_seq
    {
        (next, found) = (command.sequence + 1, found + 1);
    }
    Ok(if found < count { state.last_seq + 1 } else { from })
}

/// Removes a message that is done from the stream: otherwise it would come again, and it holds an API key.
pub(super) async fn remove(nats: &Nats, sequence: u64) -> Result<(), NatsError> {
    let doing = "a finished command could not be deleted from the stream HONOKEN: the service needs the permission to delete messages";
    let removed = async {
        let stream = nats.jetstream().get_stream_no_info(STREAM).await.map_err(NatsError::doing(doing))?;
        stream.delete_message(sequence).await.map_err(NatsError::doing(doing))
    };
    match nats.unless_interrupted(removed).await? {
        Ok(_) => Ok(()),
        // The message was removed from outside, or by the limits of the stream.
        Err(fault) => match StreamMessage::numbered(nats, sequence).await? {
            None => Ok(()),
            Some(_) => Err(fault),
        },
    }
}

/// Removes the commands up to a number that were done when a crash came before their removal. They are removed one by one: a purge makes
/// the server forget which message was handed out and not acknowledged.
pub(super) async fn remove_up_to(nats: &Nats, sequence: u64) -> Result<(), NatsError> {
    while let Some(left) = StreamMessage::first_from(nats, 1).await?
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
