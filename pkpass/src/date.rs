//! Dates as pass.json writes them: `YYYY-MM-DDThh:mm[:ss[.fff]]` followed by `Z` or `±hh:mm`.
//!
//! A parser of our own, because Wallet is stricter than RFC 3339 in one place (the zone is never optional and always
//! has its colon, nothing may follow) and laxer in another (seconds may be left out), and because a date that Wallet
//! cannot read makes it refuse the whole pass.
//!
//! <https://developer.apple.com/documentation/walletpasses/passfieldcontent>

use thiserror::Error;
use time::{Date, Month};

/// A moment with its zone, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZonedDate {
    unix_seconds: i64,
}

/// Why a text is not a date that Wallet reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DateError {
    /// The text does not have the shape of a date.
    #[error("is not a date; write it like 2027-03-01T19:30:00+01:00")]
    Shape,
    /// The shape is right, but there is no such day or time.
    #[error("names a day or a time that does not exist")]
    Calendar,
    /// Date and time are there, the zone is missing.
    #[error("has no time zone; end it with Z or with an offset like +01:00")]
    ZoneMissing,
    /// Something follows the time that is not a zone.
    #[error(
        "has a time zone that cannot be read; end it with Z or with an offset like +01:00, and nothing after it"
    )]
    Zone,
}

impl ZonedDate {
    /// Reads a date.
    ///
    /// # Errors
    /// [`DateError`] says which part is wrong, in words that follow "the value".
    pub fn parse(text: &str) -> Result<Self, DateError> {
        let mut rest = text.as_bytes();
        let day = date(&mut rest)?;
        take(&mut rest, b'T')?;
        let seconds_of_day = time_of_day(&mut rest)?;
        let offset_seconds = zone(rest)?;
        let unix_seconds = day.midnight().assume_utc().unix_timestamp() + seconds_of_day - offset_seconds;
        Ok(Self { unix_seconds })
    }

    /// Seconds since 1970-01-01T00:00:00Z; fractions are dropped.
    pub const fn unix_seconds(self) -> i64 {
        self.unix_seconds
    }
}

fn date(rest: &mut &[u8]) -> Result<Date, DateError> {
    let year = digits(rest, 4)?;
    take(rest, b'-')?;
    let month = digits(rest, 2)?;
    take(rest, b'-')?;
    let day = digits(rest, 2)?;
    let month = Month::try_from(small(month)).map_err(|_| DateError::Calendar)?;
    Date::from_calendar_date(i32::from(year), month, small(day)).map_err(|_| DateError::Calendar)
}

fn time_of_day(rest: &mut &[u8]) -> Result<i64, DateError> {
    let hour = digits(rest, 2)?;
    take(rest, b':')?;
    let minute = digits(rest, 2)?;
    let second = if rest.first() == Some(&b':') { seconds(rest)? } else { 0 };
    if hour > 23 || minute > 59 || second > 59 {
        return Err(DateError::Calendar);
    }
    Ok(i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

fn seconds(rest: &mut &[u8]) -> Result<u16, DateError> {
    take(rest, b':')?;
    let second = digits(rest, 2)?;
    if rest.first() == Some(&b'.') {
        take(rest, b'.')?;
        let fraction = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&fraction) {
            return Err(DateError::Shape);
        }
        *rest = &rest[fraction..];
    }
    Ok(second)
}

/// The whole remainder has to be the zone. The answer is the offset in seconds east of UTC.
fn zone(mut rest: &[u8]) -> Result<i64, DateError> {
    let sign = match rest {
        [] => return Err(DateError::ZoneMissing),
        [b'Z'] => return Ok(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return Err(DateError::Zone),
    };
    rest = &rest[1..];
    let (hours, minutes) = offset(&mut rest).map_err(|_| DateError::Zone)?;
    if hours > 23 || minutes > 59 || !rest.is_empty() {
        return Err(DateError::Zone);
    }
    Ok(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

fn offset(rest: &mut &[u8]) -> Result<(u16, u16), DateError> {
    let hours = digits(rest, 2)?;
    take(rest, b':')?;
    Ok((hours, digits(rest, 2)?))
}

fn take(rest: &mut &[u8], expected: u8) -> Result<(), DateError> {
    match rest.split_first() {
        Some((first, tail)) if *first == expected => {
            *rest = tail;
            Ok(())
        }
        _ => Err(DateError::Shape),
    }
}

/// Exactly `count` decimal digits; four at most, so the number fits.
fn digits(rest: &mut &[u8], count: usize) -> Result<u16, DateError> {
    let Some((head, tail)) = rest.split_at_checked(count) else { return Err(DateError::Shape) };
    if !head.iter().all(u8::is_ascii_digit) {
        return Err(DateError::Shape);
    }
    *rest = tail;
    Ok(head.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

/// Two digits always fit; anything larger would be refused by the calendar anyway.
fn small(number: u16) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::format_description::well_known::Rfc3339;

    use super::*;

    fn unix(text: &str) -> Result<i64, DateError> {
        ZonedDate::parse(text).map(ZonedDate::unix_seconds)
    }

    #[test]
    fn dates_with_a_zone_are_moments() {
        assert_eq!(unix("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(unix("1970-01-01T01:00+01:00"), Ok(0));
        assert_eq!(unix("1969-12-31T16:30:00.000-07:30"), Ok(0));
        assert_eq!(unix("2024-02-29T12:00:01.5Z"), Ok(1_709_208_001));
    }

    #[test]
    fn a_date_without_a_zone_is_refused_as_such() {
        assert_eq!(unix("2027-03-01T19:30"), Err(DateError::ZoneMissing));
        assert_eq!(unix("2027-03-01T19:30:00"), Err(DateError::ZoneMissing));
    }

    #[test]
    fn a_zone_needs_its_colon_two_digits_and_nothing_behind_it() {
        for zone in
            ["+0100", "+1:00", "-7:00", "z", "+01:00 ", "+01", "Zulu", "+24:00", "+01:60", "[Europe/Berlin]"]
        {
            assert_eq!(unix(&format!("2027-03-01T19:30:00{zone}")), Err(DateError::Zone), "{zone}");
        }
    }

    #[test]
    fn days_and_times_that_do_not_exist_are_refused() {
        for text in [
            "2027-02-29T00:00Z",
            "2027-13-01T00:00Z",
            "2027-00-01T00:00Z",
            "2027-04-31T00:00Z",
            "2027-01-01T24:00Z",
            "2027-01-01T00:60Z",
            "2027-01-01T00:00:60Z",
        ] {
            assert_eq!(unix(text), Err(DateError::Calendar), "{text}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "",
            "2027",
            "2027-03-01",
            "2027-3-1T00:00Z",
            "2027-03-01 19:30Z",
            "2027-03-01t19:30Z",
            "01.03.2027",
            "2027-03-01T19Z",
            "2027-03-01T19:30:0Z",
            "2027-03-01T19:30:00.Z",
            "2027-03-01T19:30:00.1234567890Z",
            "+2027-03-01T19:30Z",
            "２０２７-03-01T19:30Z",
        ] {
            assert_eq!(unix(text), Err(DateError::Shape), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = ZonedDate::parse(&text);
        }

        #[test]
        fn every_moment_is_read_back(unix_seconds in -62_000_000_000_i64..200_000_000_000) {
            let moment = time::OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap();
            let text = moment.format(&Rfc3339).unwrap();
            prop_assert_eq!(unix(&text), Ok(unix_seconds));
        }
    }
}
