//! The path of a request for log output, without what may be a secret in it.

/// The most segments that are shown.
const SEGMENTS: usize = 8;

/// Segments of fewer characters are shown whole: tokens and device identifiers are longer.
const WHOLE_BELOW: usize = 16;

/// Characters that are shown of a longer one.
const SHOWN: usize = 8;

/// A path with long segments cut: `/wallet/v2/passes/pass.com…/A-1`. An operator recognises an address that is configured wrongly, and no
/// token that stood in it.
pub fn shortened_path(path: &str) -> String {
    let mut shortened = String::new();
    for (number, segment) in path.split('/').skip(1).enumerate() {
        if number == SEGMENTS {
            shortened.push_str("/…");
            break;
        }
        shortened.push('/');
        // The path of a request is ASCII; a character that is not must not be cut in the middle all the same.
        if segment.chars().count() < WHOLE_BELOW {
            shortened.push_str(segment);
        } else {
            shortened.extend(segment.chars().take(SHOWN).chain(['…']));
        }
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_segments_are_cut_and_short_ones_are_not() {
        let cases = [
            ("/", "/"),
            ("*", ""),
            ("/wallet/v2/passes", "/wallet/v2/passes"),
            ("/v1/devices/0123456789abcdef/registrations", "/v1/devices/01234567…/registrations"),
            ("/v2/passes/pass.com.example.ticket/A-1", "/v2/passes/pass.com…/A-1"),
            ("/1/2/3/4/5/6/7/8/9/10", "/1/2/3/4/5/6/7/8/…"),
        ];
        for (path, expected) in cases {
            assert_eq!(shortened_path(path), expected, "{path}");
        }
        assert!(shortened_path(&"/x".repeat(10_000)).len() < 30);
        assert!(shortened_path(&format!("/{}", "x".repeat(10_000))).len() < 30);
    }
}
