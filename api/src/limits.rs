//! Limits on what a caller may send, and for how long. They are in one place, so that the numbers can be read together.

use std::num::NonZeroU32;
use std::time::Duration;

/// Bytes of a JSON body: a pass has fields and texts, not files.
pub const JSON_BYTES: usize = 256 * 1024;

/// Bytes of the body with which a phone registers.
pub const REGISTRATION_BYTES: usize = 16 * 1024;

/// Bytes of the body with which a phone sends the data of a person who enrols.
pub const PERSONALIZATION_BYTES: usize = 16 * 1024;

/// Characters of one member of that data.
pub const PERSON_CHARACTERS: usize = 512;

/// Bytes of the body with which a phone sends log messages.
pub const LOG_BYTES: usize = 64 * 1024;

/// Bytes of a body that is not charged to the budget of its area. Nearly all phones send smaller bodies, so they never wait for callers
/// with larger ones.
pub const SMALL_BODY_BYTES: usize = 1024;

/// Bytes of the bodies of phones' requests that are in memory at a time, a quarter of it for one client address.
pub const DEVICE_BODIES_BYTES: usize = 16 * 1024 * 1024;

/// Likewise of integrators, who send images.
pub const MANAGE_BODIES_BYTES: usize = 64 * 1024 * 1024;

/// Likewise of operators.
pub const ADMIN_BODIES_BYTES: usize = 16 * 1024 * 1024;

/// Likewise of visitors, who have passes inspected.
pub const VISITOR_BODIES_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of a pass that an integrator has inspected. Phones load passes of a few megabytes slowly, so real ones are smaller.
pub const INSPECTED_BYTES: usize = 8 * 1024 * 1024;

/// Likewise of a visitor: with the form around it, the share of one address.
pub const PUBLIC_INSPECTED_BYTES: usize = VISITOR_BODIES_BYTES / 4;

/// Passes of integrators that are inspected at a time. Each may unpack to 32 MiB.
pub const INSPECTIONS_AT_WORK: usize = 2;

/// Likewise of visitors.
pub const PUBLIC_INSPECTIONS_AT_WORK: usize = 2;

/// Passes that a visitor may have inspected in a minute.
pub const VISITS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).expect("it is not zero");

/// The most unread bytes of a body that are drained, so that the connection can be used again.
pub const DRAIN_BYTES: usize = 64 * 1024;

/// The longest that this takes.
pub const DRAIN: Duration = Duration::from_secs(2);

/// It ends after a pause of the caller this long.
pub const DRAIN_PAUSE: Duration = Duration::from_millis(500);

/// Bytes that are read at the end of a connection from a caller that still sends, so that it gets its answer.
pub const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// The longest that this takes.
pub const LINGER: Duration = Duration::from_secs(20);

/// It ends after a pause of the caller this long.
pub const LINGER_PAUSE: Duration = Duration::from_secs(5);

/// The time for a last answer on a connection that has to make room for others, and for the other side to take it when the service stops.
pub const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Time to send the head of a request, and the longest that a connection may be idle.
pub const HEADERS: Duration = Duration::from_secs(30);

/// Time to send the body of a request.
pub const BODY: Duration = Duration::from_secs(20);

/// Time without any progress while an answer is sent.
pub const WRITE: Duration = Duration::from_secs(30);

/// Bytes of the head of a request.
pub const HEADER_BYTES: usize = 64 * 1024;

/// Bytes of a head that is not charged to the budget of large heads: nearly all requests have smaller ones.
pub const SMALL_HEAD_BYTES: usize = 4 * 1024;

/// Fields of such a head: each takes memory besides its bytes.
pub const SMALL_HEAD_FIELDS: usize = 48;

/// Bytes of the larger heads that are in memory at a time, a quarter of it for one address. Each counts as the largest.
pub const LARGE_HEADS_BYTES: usize = 16 * 1024 * 1024;

/// Connections at a time, if the system allows that many open files. More wait in the system's queue until the connections that have waited
/// longest for the other side have made room.
pub const CONNECTIONS: usize = 16_384;

/// Connections that have buffers at a time, about 24 KiB each with their request; the others wait without buffers until bytes arrive and
/// there is room. All of them together stay within the 256 MiB that callers without credentials may use.
pub const BUFFERED_CONNECTIONS: usize = 6144;

/// Connections at a time on the separate address for operators.
pub const ADMIN_CONNECTIONS: usize = 256;

/// Connections at a time on the separate address for metrics.
pub const METRICS_CONNECTIONS: usize = 16;

/// Connections that wait in the system's queue, if the system allows that many. Phones that were told of a change connect all at once, and
/// those that find no room in the queue are retried by the system after one second, then after three.
pub const BACKLOG: u32 = 4096;

/// Open files that are not connections: databases, images, the event log.
pub const OTHER_FILES: usize = 128;

/// Requests that are worked on at a time, in each area: more than the stores can make use of.
pub const REQUESTS_AT_WORK: NonZeroU32 = NonZeroU32::new(512).expect("it is not zero");

/// Requests that wait for a permit, in each area: each costs its connection and little more.
pub const REQUESTS_WAITING: u32 = 16_384;

/// The longest that a request waits for a permit.
pub const TURN: Duration = Duration::from_secs(5);

/// A request that takes longer is logged as slow.
pub const SLOW: Duration = Duration::from_secs(1);

/// The longest message id that is repeated when the message is refused.
pub const MESSAGE_ID: usize = 256;

/// The longest reply subject of a command over NATS, in bytes.
pub const REPLY_SUBJECT: usize = 256;

/// Bytes of all reply subjects that are remembered, with their fingerprints.
pub const REPLY_SUBJECTS: u64 = 8 * 1024 * 1024;

/// The most reply subjects that are remembered for one fingerprint, the latest ones.
pub const SAME_REPLY_SUBJECTS: usize = 16;

/// How long they are remembered.
pub const REPLY: Duration = Duration::from_mins(5);

/// The most callers whose rates are remembered, the latest ones.
pub const RATED_CALLERS: u64 = 10_000;

/// Bytes of one line of a phone in the log output.
pub const PHONE_LINE_BYTES: usize = 1000;
