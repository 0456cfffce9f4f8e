//! How much work is done at a time, and how long it may take. One place, so that the numbers can be read together.

use std::time::Duration;

use honoken_pkpass::image::MAX_IMAGE_PIXELS;

/// A request that takes longer is answered 503.
pub const REQUEST: Duration = Duration::from_secs(30);

/// Of that, what is left for the answer when others keep changing what a command is for: as long as a change is waited for ([`VISIBLE`]), and
/// a second.
pub const ANSWER: Duration = Duration::from_secs(3);

/// Pixels of images that are decoded at a time: two of the largest.
pub const PIXELS_AT_WORK: u32 = 2 * MAX_IMAGE_PIXELS * MAX_IMAGE_PIXELS;

/// The share of them that an image takes at least, however small: each image at work has a thread.
pub const PIXELS_OF_AN_IMAGE: u32 = PIXELS_AT_WORK / 16;

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

/// Requests that wait for a pass to be built.
pub const BUILDS_WAITING: u32 = 16_384;

/// The longest that a request waits until its pass can be built: more than a thousand signatures of one core, each.
pub const BUILD_TURN: Duration = Duration::from_secs(20);
