//! `PassContentChanged`: what is said about a change, on NATS and in process. The JSON is a promise to whoever else subscribes.

use honoken_domain::ids::{ETag, OrganizationId, PassTypeIdentifier, SerialNumber};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A pass shows something else than before. Issuing one is no change: no phone holds it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassContentChanged {
    /// Of the event in the log: the same whenever it is said again.
    pub event_id: Uuid,
    /// Whose pass it is.
    pub organisation_id: OrganizationId,
    /// Its type, which is APNs' topic too.
    pub pass_type_identifier: PassTypeIdentifier,
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// Tag of the state that the event led to.
    pub etag: ETag,
    /// Time of that state, RFC 3339.
    pub updated_at: String,
    /// What a phone that has seen it holds, `{epoch}-{position}`.
    pub update_tag: String,
    /// Place of the event in the log.
    pub position: u64,
    /// Whether phones are woken at once, however lately they were woken.
    pub urgent: bool,
}
