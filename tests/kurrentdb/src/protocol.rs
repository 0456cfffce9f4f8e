//! The messages and services of the protocol, generated from the files of the client (`third_party/kurrentdb-protos`), and their ids.

use uuid::Uuid;

/// Error codes and statuses inside answers.
pub(crate) mod google {
    #![allow(
        clippy::all,
        clippy::pedantic,
        clippy::allow_attributes,
        dead_code,
        unreachable_pub,
        reason = "generated, for more than is served"
    )]

    pub(crate) mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// The services, in the modules that the generated code expects.
pub(crate) mod event_store {
    #![allow(
        clippy::all,
        clippy::pedantic,
        clippy::allow_attributes,
        dead_code,
        unreachable_pub,
        reason = "generated, for more than is served"
    )]

    /// Messages that several services share.
    pub(crate) mod client {
        tonic::include_proto!("event_store.client");

        /// Reading and writing.
        pub(crate) mod streams {
            tonic::include_proto!("event_store.client.streams");
        }

        /// The nodes of a cluster.
        pub(crate) mod gossip {
            tonic::include_proto!("event_store.client.gossip");
        }

        /// The methods that a server has.
        pub(crate) mod server_features {
            tonic::include_proto!("event_store.client.server_features");
        }
    }
}

pub(crate) use event_store::client::{self, streams};

use client::uuid::{Structured, Value};

/// An id as two numbers, the way the server writes it unless text is asked for.
pub(crate) fn structured(id: Uuid) -> client::Uuid {
    let (most, least) = id.as_u64_pair();
    let structured =
        Structured { most_significant_bits: most.cast_signed(), least_significant_bits: least.cast_signed() };
    client::Uuid { value: Some(Value::Structured(structured)) }
}

/// An id as text.
pub(crate) fn textual(id: Uuid) -> client::Uuid {
    client::Uuid { value: Some(Value::String(id.to_string())) }
}

/// The id that a client sent, whichever way; of nothing if there is none that can be read.
pub(crate) fn id(sent: Option<client::Uuid>) -> Option<Uuid> {
    match sent?.value? {
        Value::Structured(halves) => Some(Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )),
        Value::String(text) => Uuid::parse_str(&text).ok(),
    }
}

/// The name of a stream that a client sent.
pub(crate) fn name(sent: Option<&client::StreamIdentifier>) -> String {
    sent.map(|sent| String::from_utf8_lossy(&sent.stream_name).into_owned()).unwrap_or_default()
}

/// The name of a stream, for an answer.
pub(crate) fn identifier(stream: &str) -> client::StreamIdentifier {
    client::StreamIdentifier { stream_name: stream.to_owned().into_bytes().into() }
}
