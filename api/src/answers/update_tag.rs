//! Update tags: `{epoch}-{position}`, opaque to the phone, compared here.

use std::time::UNIX_EPOCH;

use honoken_domain::ids::UnixSeconds;
use honoken_event_store::{Epoch, Position};
use honoken_projections::updated_serials::Since;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The tag of a position.
pub fn render(epoch: Epoch, position: Position) -> String {
    format!("{epoch}-{position}")
}

/// The position that a phone's tag stands for.
///
/// A tag of another event log, one beyond the head, and an unreadable one all mean that the phone's state is unknown: the phone is told of
/// every pass, which costs a few requests, while an error would make it give up. Ten digits, HTTP dates and RFC 3339 dates are the tags of
/// earlier services.
pub fn read(tag: &str, epoch: Epoch, head: Position) -> Since {
    if let Some((before, after)) = tag.split_once('-')
        && before == epoch.to_string()
        && let Some(position) = decimal(after)
    {
        let position = Position(position);
        return if position <= head { Since::Position(position) } else { Since::Nothing };
    }
    moment(tag).map_or(Since::Nothing, |seconds| Since::Moment(UnixSeconds(seconds)))
}

fn decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn moment(tag: &str) -> Option<i64> {
    if tag.len() == 10 && tag.bytes().all(|b| b.is_ascii_digit()) {
        return tag.parse().ok();
    }
    http_date(tag).or_else(|| OffsetDateTime::parse(tag, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp))
}

/// An HTTP date (RFC 9110 section 5.6.7) as Unix seconds.
pub fn http_date(text: &str) -> Option<i64> {
    let since = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(0x00c0_ffee);

    #[track_caller]
    fn check(tag: &str, expected: Since) {
        assert_eq!(read(tag, EPOCH, Position(100)), expected, "{tag:?}");
    }

    #[test]
    fn our_own_tag_comes_back_as_its_position() {
        assert_eq!(render(EPOCH, Position(42)), "00c0ffee-42");
        check("00c0ffee-42", Since::Position(Position(42)));
        check("00c0ffee-100", Since::Position(Position(100)));
        check("00c0ffee-0", Since::Position(Position(0)));
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
            check(tag, Since::Nothing);
        }
    }

    #[test]
    fn tags_of_earlier_services_are_moments() {
        let moment = Since::Moment(UnixSeconds(1_700_000_000));
        check("1700000000", moment);
        check("Tue, 14 Nov 2023 22:13:20 GMT", moment);
        check("2023-11-14T22:13:20Z", moment);
        check("2023-11-14T23:13:20.5+01:00", moment);
    }
}
