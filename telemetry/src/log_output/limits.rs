//! The limits on log output, in one place, so that the numbers can be read together.

use std::time::Duration;

/// Bytes of lines that wait for standard error; lines beyond that are dropped.
pub const LOG_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// The longest that the end of the process waits for its last lines.
pub const LOG_OUTPUT_AT_THE_END: Duration = Duration::from_secs(3);

/// The longest that a panic waits until its line is written: it may be the last thing that the process does.
pub const LOG_OUTPUT_AT_A_PANIC: Duration = Duration::from_millis(250);

/// Bytes of one line of log output, all its members included.
pub const LOG_RECORD_BYTES: usize = 8 * 1024;

/// The period in which lines of callers without credentials are counted; then the count begins anew and the lines left out are reported.
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
