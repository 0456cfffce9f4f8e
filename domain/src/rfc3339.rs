//! Moments as RFC 3339 writes them (<https://www.rfc-editor.org/rfc/rfc3339>), in UTC.

use std::num::NonZeroU8;

use time::OffsetDateTime;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};
use time::format_description::well_known::{Iso8601, Rfc3339};

use crate::ids::UnixSeconds;

/// A moment of whole seconds, `2023-11-14T22:13:20Z`; one that no calendar has is written as its number.
pub fn seconds(moment: UnixSeconds) -> String {
    checked(moment).unwrap_or_else(|| moment.0.to_string())
}

/// A moment of whole seconds; `None` for one that no calendar has.
pub fn checked(moment: UnixSeconds) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(moment.0).ok()?.format(&Rfc3339).ok()
}

/// Three digits of a second, so that texts have the order of their moments.
const MILLISECONDS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// A moment in milliseconds since 1970-01-01 UTC: `2023-11-14T22:13:20.120Z`.
pub fn milliseconds(unix_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .ok()
        .and_then(|moment| moment.format(&Iso8601::<MILLISECONDS>).ok())
        .unwrap_or_else(|| unix_ms.to_string())
}

/// Reads a moment with any offset from UTC; a part of a second is dropped.
pub fn parse(text: &str) -> Option<UnixSeconds> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(|moment| UnixSeconds(moment.unix_timestamp()))
}

/// Reads a moment with any offset from UTC, as milliseconds since 1970-01-01 UTC; what is less is dropped.
pub fn parse_milliseconds(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(seconds(UnixSeconds(1_700_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(milliseconds(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(milliseconds(1_700_000_000_120), "2023-11-14T22:13:20.120Z");
        assert_eq!(milliseconds(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
    }

    #[test]
    fn a_moment_that_no_calendar_has_is_its_number() {
        assert_eq!(
            (checked(UnixSeconds(i64::MAX)), seconds(UnixSeconds(i64::MAX))),
            (None, i64::MAX.to_string())
        );
    }

    #[test]
    fn a_moment_is_read_with_any_offset() {
        for text in ["2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20.999Z"] {
            assert_eq!(parse(text), Some(UnixSeconds(1_700_000_000)), "{text}");
        }
        for wrong in ["", "2023-11-14", "2023-11-14T22:13:20", "1700000000"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
