//! `PassContentChanged`: the message about a change, on NATS and in process. The JSON is a promise to other subscribers.

use honoken_domain::ids::{ETag, OrganizationId, PassTypeIdentifier, SerialNumber};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A pass shows something else than before. Issuing one is no change: no phone holds it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassContentChanged {
    /// Of the event: the same whenever it is published again.
    pub event_id: Uuid,
    /// The organisation that the pass belongs to.
    pub organisation_id: OrganizationId,
    /// Its type, which is APNs' topic too.
    pub pass_type_identifier: PassTypeIdentifier,
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// Tag of the state that the event led to.
    pub etag: ETag,
    /// Time of that state, RFC 3339.
    pub updated_at: String,
    /// The update tag of a phone that has seen it, `{epoch}-{position}`.
    pub update_tag: String,
    /// Position of the event in the event log.
    pub position: u64,
    /// Whether phones are pushed to at once, however lately they were pushed to.
    pub urgent: bool,
}
