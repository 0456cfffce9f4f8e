//! How much work is done at a time, and how long it may take. One place, so that the numbers can be read together.

use std::time::Duration;

use honoken_pkpass::image::MAX_IMAGE_PIXELS;

/// A request that takes longer is answered 503.
pub const REQUEST: Duration = Duration::from_secs(30);

/// The part of it that is left for the answer when other changes keep a command from being decided: as long as the answer waits for readers
/// ([`VISIBLE`]), and a second.
pub const ANSWER: Duration = Duration::from_secs(3);

/// Pixels of images that are decoded at a time: two of the largest.
pub const PIXELS_AT_WORK: u32 = 2 * MAX_IMAGE_PIXELS * MAX_IMAGE_PIXELS;

/// The pixels that an image counts for at least, however small: each image being decoded has a thread.
pub const PIXELS_OF_AN_IMAGE: u32 = PIXELS_AT_WORK / 16;

/// How long requests and pushes in flight may take once the service is told to stop.
pub const SHUTDOWN: Duration = Duration::from_secs(14);

/// The time after the same moment by which the stores are closed, or left as they are.
pub const CLOSING: Duration = Duration::from_millis(15_500);

/// The time after the same moment by which the service has ended, whatever it waits for. Even with the threads and the last lines of log
/// output that follow, the process ends within the promised twenty seconds.
pub const END: Duration = Duration::from_secs(16);

/// How long threads that wait for a disk or compute may take at the very end.
pub const THREADS: Duration = Duration::from_millis(500);

/// How long the answer to a change waits until readers see it.
pub const VISIBLE: Duration = Duration::from_secs(2);

/// The most requests that wait for a pass to be built.
pub const BUILDS_WAITING: u32 = 16_384;

/// The longest that a request waits until its pass can be built: time for more than a thousand signatures on each core.
pub const BUILD_TURN: Duration = Duration::from_secs(20);

/// Uses of API keys that wait to be noted.
pub const KEY_USES_WAITING: usize = 1024;

/// API keys of which a process remembers when it noted their use.
pub const KEYS_REMEMBERED: u64 = 10_000;

/// Passwords that are hashed or compared at a time: each takes 19 MiB and a core.
pub const PASSWORDS_AT_WORK: usize = 2;

/// Logins of operators that are remembered to have been right.
pub const LOGINS_REMEMBERED: u64 = 1000;

/// How long they are remembered.
pub const LOGIN_REMEMBERED: Duration = Duration::from_mins(1);

/// Images of one pass that are read at a time.
pub const IMAGES_READ_AT_A_TIME: usize = 16;

/// How long one attempt to read or write an image on another machine may take.
pub const IMAGE_STORE_ATTEMPT: Duration = Duration::from_secs(4);

/// How long one attempt may take to read or write a part of a large file on another machine, such as one of a backup.
pub const LARGE_FILE_ATTEMPT: Duration = Duration::from_mins(1);

/// How often such an attempt is repeated.
pub const IMAGE_STORE_RETRIES: usize = 2;

/// The least pause before it is repeated.
pub const IMAGE_STORE_PAUSE: Duration = Duration::from_millis(100);

/// How long reading or writing one image may take with all attempts.
pub const IMAGE_STORE_ANSWER: Duration = Duration::from_secs(10);

/// How long a connection may take that is made to find out why a store cannot be used.
pub const IMAGE_STORE_DIAGNOSIS: Duration = Duration::from_secs(1);

/// How long an image store that did not answer is not asked again.
pub const IMAGE_STORE_REST: Duration = Duration::from_secs(1);

/// Images of which a process remembers the size and the SHA-1.
pub const IMAGES_REMEMBERED: u64 = 100_000;

/// How long an image that the store had counts as being there. `honoken blobs gc` waits longer before a removal is final.
pub const IMAGE_CONFIRMED: Duration = Duration::from_mins(1);
