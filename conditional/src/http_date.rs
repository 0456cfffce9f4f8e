//! Dates as HTTP writes them (RFC 9110, section 5.6.7).

use std::time::{Duration, UNIX_EPOCH};

/// The end of the year 9999, beyond which an HTTP date cannot be written.
const LAST_SECOND: u64 = 253_402_300_799;

/// Reads a date in any of the three forms, as Unix seconds. `None` for all else, and for a date before 1970.
pub fn read(text: &str) -> Option<i64> {
    let since = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Writes Unix seconds, of which those before 1970 and after the year 9999 are written as the nearest moment in between.
pub fn write(unix_seconds: i64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(written_second(unix_seconds)))
}

/// The second that [`write()`] writes.
fn written_second(unix_seconds: i64) -> u64 {
    u64::try_from(unix_seconds).unwrap_or_default().min(LAST_SECOND)
}

/// Whether a date is the one that [`write()`] writes for this second.
pub(crate) fn is_written_for(read: i64, unix_seconds: i64) -> bool {
    read == written_second(unix_seconds).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_date_is_read_again_and_the_obsolete_forms_are_too() {
        assert_eq!(write(1_700_000_000), "Tue, 14 Nov 2023 22:13:20 GMT");
        for text in
            ["Tue, 14 Nov 2023 22:13:20 GMT", "Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:20 2023"]
        {
            assert_eq!(read(text), Some(1_700_000_000), "{text}");
        }
        assert_eq!((write(i64::MAX), write(-1)), (write(LAST_SECOND.cast_signed()), write(0)));
        assert_eq!(write(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn a_text_that_is_no_date_is_none() {
        for text in
            ["", "yesterday", "1700000000", "Tue, 31 Nov 2023 22:13:20 GMT", "Sun, 14 Nov 1923 22:13:20 GMT"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
