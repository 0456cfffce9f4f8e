//! Update tags as phones send them back: `{epoch}-{position}`, opaque to the phone.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::http_date;

/// The changes that a phone has seen already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// None that is known.
    Nothing,
    /// Everything up to a position of the event log.
    Position(u64),
    /// Everything up to a time, in Unix seconds, from services that used dates as tags.
    Moment(i64),
}

/// The meaning of a tag, while the event log has this epoch and this many events.
///
/// A tag of another event log, one beyond the head, and an unreadable one all mean that the phone's state is unknown: the phone is told of
/// every pass, which costs a few requests, while an error would make it give up. Ten digits, HTTP dates and RFC 3339 dates are the tags of
/// earlier services.
pub fn read(tag: &str, epoch: &str, head: u64) -> Seen {
    if let Some((before, after)) = tag.split_once('-')
        && before == epoch
        && let Some(position) = decimal(after)
    {
        return if position <= head { Seen::Position(position) } else { Seen::Nothing };
    }
    moment(tag).map_or(Seen::Nothing, Seen::Moment)
}

fn decimal(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

fn moment(tag: &str) -> Option<i64> {
    if tag.len() == 10 && tag.bytes().all(|byte| byte.is_ascii_digit()) {
        return tag.parse().ok();
    }
    http_date::read(tag)
        .or_else(|| OffsetDateTime::parse(tag, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: &str = "00c0ffee";

    #[track_caller]
    fn check(tag: &str, expected: Seen) {
        assert_eq!(read(tag, EPOCH, 100), expected, "{tag:?}");
    }

    #[test]
    fn our_own_tag_comes_back_as_its_position() {
        check("00c0ffee-42", Seen::Position(42));
        check("00c0ffee-100", Seen::Position(100));
        check("00c0ffee-0", Seen::Position(0));
    }

    #[test]
    fn a_foreign_epoch_a_position_beyond_the_head_and_garbage_mean_everything() {
        for tag in [
            "00c0ffef-42",
            "00C0FFEE-42",
            "00c0ffee-101",
            "00c0ffee-99999999999999999999",
            "00c0ffee-",
            "00c0ffee--1",
            "00c0ffee-+1",
            "00c0ffee-1.0",
            "-",
            "",
            "42",
            "nonsense",
            "123456789",
            "12345678901",
            "٣٣٣٣٣٣٣٣٣٣",
        ] {
            check(tag, Seen::Nothing);
        }
    }

    #[test]
    fn tags_of_earlier_services_are_moments() {
        let moment = Seen::Moment(1_700_000_000);
        check("1700000000", moment);
        check("Tue, 14 Nov 2023 22:13:20 GMT", moment);
        check("2023-11-14T22:13:20Z", moment);
        check("2023-11-14T23:13:20.5+01:00", moment);
    }
}
