//! Where pushes go: to Apple, or to a stand-in for its push service (`HONOKEN_APNS_ENDPOINT`).

use url::Url;

/// Where pushes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To Apple: nothing is pushed for test organisations.
    Apple,
    /// To a stand-in for Apple's push service.
    StandIn,
}

impl Destination {
    /// Where pushes go that are sent to the configured endpoint; without one they are sent to Apple.
    pub fn of(endpoint: Option<&Url>) -> Self {
        let Some(endpoint) = endpoint else { return Self::Apple };
        let host = endpoint.host_str().unwrap_or_default();
        let is_apple = host == "apple.com" || host.ends_with(".apple.com");
        if is_apple { Self::Apple } else { Self::StandIn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apple_is_known_by_its_name() {
        let of = |url: &str| Destination::of(Some(&url.parse().expect("a URL")));
        assert_eq!(Destination::of(None), Destination::Apple);
        assert_eq!(of("https://api.sandbox.push.apple.com:2197"), Destination::Apple);
        assert_eq!(of("https://127.0.0.1:8443"), Destination::StandIn);
        assert_eq!(of("https://push.notapple.com"), Destination::StandIn);
    }
}
