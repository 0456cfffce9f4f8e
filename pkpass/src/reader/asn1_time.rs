//! The two kinds of time in a signature, as BER allows them: `YYMMDDhhmm[ss]` and `YYYYMMDDhh[mm[ss[.f]]]`, with `Z` or an offset.

use time::{Date, Month};

use crate::reader::ber::{Element, GENERALIZED_TIME, UTC_TIME};

/// A time, and what is odd about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asn1Time {
    /// Unix seconds.
    pub(super) unix_seconds: i64,
    /// What a reader of DER (X.690, 11.7 and 11.8) would stumble over.
    pub(super) oddity: Option<&'static str>,
}

pub(super) fn read(element: &Element<'_>) -> Option<Asn1Time> {
    let text = element.octets()?;
    let text = std::str::from_utf8(&text).ok()?;
    match element.tag {
        UTC_TIME => {
            let year: i32 = digits(text, 2)?;
            // RFC 5280: from 50 on it is the last century.
            moment(if year < 50 { 2000 } else { 1900 } + year, &text[2..], true)
        }
        GENERALIZED_TIME => moment(digits(text, 4)?, &text[4..], false),
        _ => None,
    }
}

/// `MMDDhh`, then as much of minutes, seconds and a fraction as there is, then the zone.
fn moment(year: i32, text: &str, is_utc_time: bool) -> Option<Asn1Time> {
    let zone_at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (digits_and_fraction, zone) = text.split_at(zone_at);
    let (clock, fraction) =
        digits_and_fraction.split_once(['.', ',']).map_or((digits_and_fraction, None), |(a, b)| (a, Some(b)));
    let has_seconds = clock.len() == 10;
    let is_length_known =
        if is_utc_time { [8, 10].contains(&clock.len()) } else { [6, 8, 10].contains(&clock.len()) };
    if !is_length_known || fraction.is_some_and(|digits| digits.is_empty() || !is_digits(digits)) {
        return None;
    }
    let pair = |index: usize| match clock.get(index * 2..index * 2 + 2) {
        None => Some(0_u8),
        Some(pair) => digits(pair, 2),
    };
    let month = Month::try_from(pair(0)?).ok()?;
    let midnight =
        Date::from_calendar_date(year, month, pair(1)?).ok()?.midnight().assume_utc().unix_timestamp();
    let (hour, minute, second) = (i64::from(pair(2)?), i64::from(pair(3)?), i64::from(pair(4)?));
    // A leap second is written as the sixtieth.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let oddity = match zone {
        "Z" if has_seconds && fraction.is_none() => None,
        "Z" if !has_seconds => Some("has no seconds"),
        "Z" => Some("has a fraction of a second"),
        "" if is_utc_time => return None,
        "" => Some("has no zone, and is read as UTC"),
        _ => Some("has an offset from UTC instead of Z"),
    };
    let unix_seconds = midnight + hour * 3600 + minute * 60 + second - offset(zone)?;
    Some(Asn1Time { unix_seconds, oddity })
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits_of) = match zone.as_bytes().first() {
        None | Some(b'Z') => return if zone.len() <= 1 { Some(0) } else { None },
        Some(b'+') => (1, &zone[1..]),
        Some(_) => (-1, &zone[1..]),
    };
    let (hours, minutes): (i64, i64) = match digits_of.len() {
        2 => (digits(digits_of, 2)?, 0),
        4 => (digits(digits_of, 2)?, digits(&digits_of[2..], 2)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits<T: std::str::FromStr>(text: &str, count: usize) -> Option<T> {
    let head = text.get(..count)?;
    if is_digits(head) { head.parse().ok() } else { None }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::ber::Ber;

    fn of(tag: u8, text: &str) -> Option<Asn1Time> {
        let bytes = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        read(&Ber::new(&bytes).any().unwrap())
    }

    #[test]
    fn every_form_of_one_moment_is_the_same_moment() {
        let noon = 1_709_294_400; // 2024-03-01T12:00:00Z
        for (tag, text, is_odd) in [
            (UTC_TIME, "240301120000Z", false),
            (UTC_TIME, "2403011200Z", true),
            (UTC_TIME, "240301150000+0300", true),
            (UTC_TIME, "2403010730-0430", true),
            (GENERALIZED_TIME, "20240301120000Z", false),
            (GENERALIZED_TIME, "20240301120000.250Z", true),
            (GENERALIZED_TIME, "202403011200Z", true),
            (GENERALIZED_TIME, "2024030112Z", true),
            (GENERALIZED_TIME, "20240301120000", true),
            (GENERALIZED_TIME, "20240301150000+0300", true),
            (GENERALIZED_TIME, "20240301150000+03", true),
        ] {
            let read = of(tag, text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((read.unix_seconds, read.oddity.is_some()), (noon, is_odd), "{text}");
        }
        assert_eq!(of(UTC_TIME, "700101000000Z").unwrap().unix_seconds, 0);
    }

    #[test]
    fn a_time_that_does_not_exist_is_none() {
        for (tag, text) in [
            (UTC_TIME, "240230120000Z"),
            (UTC_TIME, "240301250000Z"),
            (UTC_TIME, "240301120000"),
            (UTC_TIME, "240301120000+3"),
            (UTC_TIME, "24030112000éZ"),
            (UTC_TIME, ""),
            (GENERALIZED_TIME, "2024030112000Z"),
            (GENERALIZED_TIME, "20240301120000.Z"),
            (GENERALIZED_TIME, "20240301120000ZZ"),
            (INTEGER_TAG, "240301120000Z"),
        ] {
            assert_eq!(of(tag, text), None, "{text}");
        }
    }

    const INTEGER_TAG: u8 = crate::reader::ber::INTEGER;
}
