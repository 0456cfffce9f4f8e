//! What a caller may send, and how long it may take. One place, so that the numbers can be read together.

use std::num::NonZeroU32;
use std::time::Duration;

use honoken_pkpass::image::MAX_IMAGE_PIXELS;

/// Bytes of a JSON body: a pass has fields and texts, not files.
pub const JSON_BYTES: usize = 256 * 1024;

/// Bytes of what a phone sends to register.
pub const REGISTRATION_BYTES: usize = 16 * 1024;

/// Bytes of a phone's log.
pub const LOG_BYTES: usize = 64 * 1024;

/// Bytes of a body that needs no place in the budget of its area: as nearly all phones send, and they never wait for those who send more.
pub const SMALL_BODY_BYTES: usize = 1024;

/// Bytes of the bodies of phones' requests that are in memory at a time, a quarter of it for one client address.
pub const DEVICE_BODIES_BYTES: usize = 16 * 1024 * 1024;

/// Likewise of integrators, who send images.
pub const MANAGE_BODIES_BYTES: usize = 64 * 1024 * 1024;

/// Likewise of operators.
pub const ADMIN_BODIES_BYTES: usize = 16 * 1024 * 1024;

/// Bytes that a handler has left of a body which are read away, so that the connection can be used again.
pub const READ_AWAY_BYTES: usize = 64 * 1024;

/// The longest that this takes.
pub const READ_AWAY: Duration = Duration::from_secs(2);

/// The pause of the caller that ends it.
pub const PAUSE: Duration = Duration::from_millis(500);

/// Bytes read on at the end of a connection from a caller that still sends, so that it gets to read its answer.
pub const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// The longest that this takes.
pub const LINGER: Duration = Duration::from_secs(20);

/// The pause of the caller that ends it.
pub const LINGER_PAUSE: Duration = Duration::from_secs(5);

/// The time for a last answer on a connection that has to make room for others, and for the other side to take it when the service stops.
pub const LAST_WORD: Duration = Duration::from_secs(1);

/// A request that takes longer is answered 503.
pub const REQUEST: Duration = Duration::from_secs(30);

/// Of that, what is left for the answer when others keep changing what a command is for: as long as a change is waited for ([`VISIBLE`]), and
/// a second.
pub const ANSWER: Duration = Duration::from_secs(3);

/// Time to send the head of a request, and the longest that a connection may be idle.
pub const HEADERS: Duration = Duration::from_secs(30);

/// Time to send the body of a request.
pub const BODY: Duration = Duration::from_secs(20);

/// Time without any progress while an answer is sent.
pub const WRITE: Duration = Duration::from_secs(30);

/// Bytes of the head of a request.
pub const HEADER_BYTES: usize = 64 * 1024;

/// Bytes of a head that need no place in the budget of large heads: more than nearly all requests have.
pub const SMALL_HEAD_BYTES: usize = 4 * 1024;

/// Fields of such a head: each takes memory besides its bytes.
pub const SMALL_HEAD_FIELDS: usize = 48;

/// Bytes of the larger heads that are in memory at a time, a quarter of it for one address. Each counts as the largest.
pub const LARGE_HEADS_BYTES: usize = 16 * 1024 * 1024;

/// Pixels of images that are decoded at a time: two of the largest.
pub const PIXELS_AT_WORK: u32 = 2 * MAX_IMAGE_PIXELS * MAX_IMAGE_PIXELS;

/// The share of them that an image takes at least, however small: each image at work has a thread.
pub const PIXELS_OF_AN_IMAGE: u32 = PIXELS_AT_WORK / 16;

/// Connections at a time, if the system allows that many open files; more wait in the system's queue until those that have kept us waiting longest
/// have made room.
pub const CONNECTIONS: usize = 16_384;

/// Connections that have buffers at a time, about 24 KiB each with their request: the others rest until something comes and there is room. All of
/// them together stay within the 256 MiB that callers without credentials may take.
pub const BUFFERED_CONNECTIONS: usize = 6144;

/// Connections at a time where metrics have an address of their own.
pub const METRICS_CONNECTIONS: usize = 16;

/// Connections that wait in the system's queue, if the system allows that many: phones that were told of a change come all at once, and the
/// system lets those that find no place there try again after a second, then after three.
pub const BACKLOG: u32 = 4096;

/// Open files that are not connections: databases, images, the log.
pub const OTHER_FILES: usize = 128;

/// Requests and pushes in flight when the service is told to stop may take this long.
pub const SHUTDOWN: Duration = Duration::from_secs(14);

/// By then the stores are closed, counted from the same moment, or are left as they are.
pub const CLOSING: Duration = Duration::from_millis(15_500);

/// By then the service has ended, counted from the same moment, whatever it waits for. With the threads and the last lines of the log output, which
/// come behind it, the process has ended within the twenty seconds that are promised.
pub const END: Duration = Duration::from_secs(16);

/// Threads that wait for a disk or compute at the very end may take this long.
pub const THREADS: Duration = Duration::from_millis(500);

/// A change is answered when readers see it, or after this.
pub const VISIBLE: Duration = Duration::from_secs(2);

/// Requests that are worked on at a time, in each area: what the stores can make use of, and more.
pub const REQUESTS_AT_WORK: NonZeroU32 = NonZeroU32::new(512).expect("it is not zero");

/// Requests that wait for their turn, in each area: each costs its connection and little more.
pub const REQUESTS_WAITING: u32 = 16_384;

/// The longest that a request waits for its turn.
pub const TURN: Duration = Duration::from_secs(5);

/// Requests that wait for a pass to be built.
pub const BUILDS_WAITING: u32 = 16_384;

/// The longest that a request waits until its pass can be built: more than a thousand signatures of one core, each.
pub const BUILD_TURN: Duration = Duration::from_secs(20);

/// A request that takes longer is named in the log as slow.
pub const SLOW: Duration = Duration::from_secs(1);

/// Bytes of a message's name that are told when it is refused.
pub const MESSAGE_ID: usize = 256;

/// Bytes of the subject that the answer to a command over NATS is sent to.
pub const REPLY_SUBJECT: usize = 256;

/// Bytes of all such subjects that are remembered, with what is needed to find them.
pub const REPLY_SUBJECTS: u64 = 8 * 1024 * 1024;

/// Subjects remembered for messages that hold the same, the latest ones.
pub const SAME_REPLY_SUBJECTS: usize = 16;

/// How long they are remembered.
pub const REPLY: Duration = Duration::from_mins(5);

/// Callers whose rates are remembered, the latest ones.
pub const RATED_CALLERS: u64 = 10_000;

/// Bytes of lines that wait until standard error takes them; what finds no room is dropped.
pub const LOG_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// The longest that the end of the process waits for its last lines.
pub const LOG_OUTPUT_AT_THE_END: Duration = Duration::from_secs(3);

/// The longest that a panic waits until its line is written: it may be the last thing that the process does.
pub const LOG_OUTPUT_AT_A_PANIC: Duration = Duration::from_millis(250);

/// Bytes of one line of log output, all its members included.
pub const LOG_RECORD_BYTES: usize = 8 * 1024;

/// Bytes of one line of a phone in the log output.
pub const PHONE_LINE_BYTES: usize = 1000;

/// How long lines are counted that callers without credentials cause, before the count begins anew and what was left out is told.
pub const LOG_PERIOD: Duration = Duration::from_secs(10);

/// Lines in a [`LOG_PERIOD`].
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    /// For one client address.
    pub of_an_address: usize,
    /// For all addresses together.
    pub of_all: usize,
}

/// Lines that phones send to `/v1/log`.
pub const LINES_OF_PHONES: Lines = Lines { of_an_address: 100, of_all: 500 };

/// Lines about requests of callers that have shown no credentials, or wrong ones.
pub const LINES_ABOUT_REQUESTS: Lines = Lines { of_an_address: 500, of_all: 2000 };

/// Lines about requests of such callers that could not be answered.
pub const LINES_ABOUT_ERRORS: Lines = Lines { of_an_address: 50, of_all: 200 };
