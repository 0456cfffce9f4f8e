//! Errors as the server says them: a status with trailers, or a status inside an answer to a batch.

use prost::Message;
use prost_types::Any;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::log::Expected;
use crate::protocol::client;
use crate::protocol::google::rpc;

/// An error with the trailers that clients tell it by.
fn with_trailers(code: Code, message: &str, trailers: &[(&'static str, &str)]) -> Status {
    let mut metadata = MetadataMap::new();
    for (name, value) in trailers {
        let value: String = value.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).collect();
        metadata.insert(*name, value.parse().expect("printable ASCII"));
    }
    Status::with_metadata(code, message, metadata)
}

/// The handler of the real server would have failed without a reason for clients.
pub(crate) fn unhandled() -> Status {
    Status::unknown("Exception was thrown by handler.")
}

pub(crate) fn stream_deleted(stream: &str) -> Status {
    let message = format!("Event stream '{stream}' is deleted.");
    let trailers = [("exception", "stream-deleted"), ("stream-name", stream)];
    with_trailers(Code::FailedPrecondition, &message, &trailers)
}

pub(crate) fn access_denied() -> Status {
    with_trailers(Code::PermissionDenied, "Access Denied", &[("exception", "access-denied")])
}

pub(crate) fn not_leader(host: &str, port: u16) -> Status {
    let port = port.to_string();
    let trailers =
        [("exception", "not-leader"), ("leader-endpoint-host", host), ("leader-endpoint-port", &port)];
    with_trailers(Code::NotFound, "Leader info available", &trailers)
}

/// The version is that which a deletion expected; an append answers with a message instead.
pub(crate) fn wrong_version(stream: &str, expected: Expected, current: Option<u64>) -> Status {
    let expected = expected.number().to_string();
    let current = current.map_or_else(|| "-1".to_owned(), |current| current.to_string());
    let message = format!(
        "Delete failed due to WrongExpectedVersion. Stream: {stream}, Expected version: {expected}, Actual version: {current}"
    );
    let trailers = [
        ("exception", "wrong-expected-version"),
        ("stream-name", stream),
        ("expected-version", &expected),
        ("actual-version", &current),
    ];
    with_trailers(Code::FailedPrecondition, &message, &trailers)
}

pub(crate) fn append_too_large(limit: usize) -> Status {
    let limit = limit.to_string();
    let message = format!("Maximum Append Size of {limit} Exceeded.");
    let trailers = [("exception", "maximum-append-size-exceeded"), ("maximum-append-size", &limit)];
    with_trailers(Code::InvalidArgument, &message, &trailers)
}

pub(crate) fn missing_metadata(property: &str) -> Status {
    let message = format!("Required Metadata Property '{property}' is missing");
    let trailers = [
        ("exception", "missing-required-metadata-property"),
        ("required-metadata-properties", "type,content-type"),
    ];
    with_trailers(Code::InvalidArgument, &message, &trailers)
}

pub(crate) fn timed_out() -> Status {
    Status::aborted("Operation timed out: Commit phase timeout.")
}

/// To a subscription.
pub(crate) fn invalid_position() -> Status {
    Status::invalid_argument("Trying to read from an invalid position.")
}

/// To a plain read, for which the real server has no words.
pub(crate) fn failed_read(result: &str) -> Status {
    Status::unknown(format!("Unexpected {result}"))
}

/// The statuses inside answers to batches.
pub(crate) mod in_batch {
    use super::{Any, Expected, Message, client, rpc};
    use client::wrong_expected_version::{CurrentStreamRevisionOption, ExpectedStreamPositionOption};

    fn status(code: rpc::Code, message: &str, name: &str, details: &impl Message) -> rpc::Status {
        let type_url = format!("type.googleapis.com/{name}");
        let details = Some(Any { type_url, value: details.encode_to_vec() });
        rpc::Status { code: code.into(), message: message.to_owned(), details }
    }

    pub(crate) fn wrong_version(expected: Expected, current: Option<u64>) -> rpc::Status {
        let details = client::WrongExpectedVersion {
            current_stream_revision_option: Some(match current {
                Some(current) => CurrentStreamRevisionOption::CurrentStreamRevision(current),
                None => CurrentStreamRevisionOption::CurrentNoStream(()),
            }),
            expected_stream_position_option: Some(match expected {
                Expected::Any => ExpectedStreamPositionOption::ExpectedAny(()),
                Expected::NoStream => ExpectedStreamPositionOption::ExpectedNoStream(()),
                Expected::Exists => ExpectedStreamPositionOption::ExpectedStreamExists(()),
                Expected::Exactly(revision) => ExpectedStreamPositionOption::ExpectedStreamPosition(revision),
            }),
        };
        let name = "event_store.client.WrongExpectedVersion";
        status(rpc::Code::AlreadyExists, "WrongExpectedVersion", name, &details)
    }

    pub(crate) fn stream_deleted(stream: &str) -> rpc::Status {
        let details = client::StreamDeleted { stream_identifier: Some(crate::protocol::identifier(stream)) };
        status(rpc::Code::NotFound, "StreamDeleted", "event_store.client.StreamDeleted", &details)
    }

    pub(crate) fn access_denied() -> rpc::Status {
        let name = "event_store.client.AccessDenied";
        status(rpc::Code::PermissionDenied, "AccessDenied", name, &client::AccessDenied {})
    }

    pub(crate) fn timed_out() -> rpc::Status {
        let name = "event_store.client.Timeout";
        status(rpc::Code::DeadlineExceeded, "Timeout", name, &client::Timeout {})
    }

    pub(crate) fn append_too_large(limit: usize) -> rpc::Status {
        let max_append_size = u32::try_from(limit).unwrap_or(u32::MAX);
        let details = client::MaximumAppendSizeExceeded { max_append_size };
        let name = "event_store.client.MaximumAppendSizeExceeded";
        status(rpc::Code::InvalidArgument, "MaximumAppendSizeExceeded", name, &details)
    }

    pub(crate) fn bad_request(message: &str) -> rpc::Status {
        let details = client::BadRequest { message: message.to_owned() };
        status(rpc::Code::InvalidArgument, "BadRequest", "event_store.client.BadRequest", &details)
    }

    /// What the server says when it did not take the batch up.
    pub(crate) fn not_handled(message: &str) -> rpc::Status {
        status(rpc::Code::Ok, message, "event_store.client.Empty", &())
    }
}
