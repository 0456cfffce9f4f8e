//! The dates of a certificate: whether it signs at a moment, and when its end is announced.

use honoken_domain::ids::UnixSeconds;

/// Expiry is announced this long before it happens.
pub const WARN_BEFORE_SECONDS: i64 = 30 * 24 * 60 * 60;

/// Days before the end of a certificate at which that is announced, once each.
pub const ANNOUNCED_DAYS: [i64; 5] = [1, 7, 14, 30, 60];

/// Whether a certificate can sign at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can sign.
    Good,
    /// It can sign, and expires soon.
    Expiring,
    /// It is not valid yet.
    NotYetValid,
    /// It has expired.
    Expired,
}

/// The standing of a certificate with these dates.
pub fn standing(not_before: UnixSeconds, not_after: UnixSeconds, now: UnixSeconds) -> Standing {
    if now < not_before {
        Standing::NotYetValid
    } else if now > not_after {
        Standing::Expired
    } else if not_after.0 - now.0 < WARN_BEFORE_SECONDS {
        Standing::Expiring
    } else {
        Standing::Good
    }
}

/// The least of the announced numbers of days within which a certificate ends; `None` while it lasts longer, and behind its end.
pub fn ends_within(not_after: UnixSeconds, now: UnixSeconds) -> Option<i64> {
    let left = not_after.0 - now.0;
    (left >= 0).then(|| ANNOUNCED_DAYS.into_iter().find(|days| left <= days * 24 * 60 * 60)).flatten()
}

/// The whole days until a moment; negative behind it.
pub fn days_left(not_after: UnixSeconds, now: UnixSeconds) -> i64 {
    (not_after.0 - now.0).div_euclid(24 * 60 * 60)
}

/// A moment in readable form, `2027-05-14 17:30:00 UTC`.
pub fn date(at: UnixSeconds) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at.0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!("{} {:02}:{:02}:{:02} UTC", at.date(), at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_announced_once_for_each_number_of_days() {
        let (end, day) = (UnixSeconds(400 * 86_400), 86_400);
        let mut announced = Vec::new();
        let mut last = None;
        // Every hour of the last hundred days, and of ten days behind the end.
        for hour in 300 * 24..410 * 24 {
            let within = ends_within(end, UnixSeconds(hour * 3600));
            if let Some(days) = within
                && within != last
            {
                announced.push((days, (end.0 - hour * 3600) / day));
            }
            last = within;
        }
        assert_eq!(announced, [(60, 60), (30, 30), (14, 14), (7, 7), (1, 1)]);
        assert_eq!(ends_within(end, UnixSeconds(end.0 + 1)), None);
    }

    #[test]
    fn a_certificate_is_announced_thirty_days_before_its_end() {
        let of = |now| standing(UnixSeconds(1000), UnixSeconds(1000 + 400 * 86_400), UnixSeconds(now));
        assert_eq!(of(999), Standing::NotYetValid);
        assert_eq!(of(1000), Standing::Good);
        assert_eq!(of(1000 + 370 * 86_400), Standing::Good);
        assert_eq!(of(1000 + 370 * 86_400 + 1), Standing::Expiring);
        assert_eq!(of(1000 + 400 * 86_400), Standing::Expiring);
        assert_eq!(of(1000 + 400 * 86_400 + 1), Standing::Expired);
    }

    #[test]
    fn a_date_is_one_for_people() {
        assert_eq!(date(UnixSeconds(1_810_226_400)), "2027-05-13 16:40:00 UTC");
    }
}
