//! Where pushes go: to Apple, or to a stand-in for its push service (`HONOKEN_APNS_ENDPOINT`).

use honoken_pushers::apns;

/// Where pushes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To Apple: nothing is pushed for test organisations.
    Apple,
    /// To a stand-in for Apple's push service.
    StandIn,
}

impl Destination {
    /// Where pushes go with these options.
    pub fn of(options: &apns::Options) -> Self {
        let host = options.endpoint.host_str().unwrap_or_default();
        let is_apple = host == "apple.com" || host.ends_with(".apple.com");
        if is_apple { Self::Apple } else { Self::StandIn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apple_is_known_by_its_name() {
        let of = |url: &str| {
            let endpoint = url.parse().expect("a URL");
            Destination::of(&apns::Options { endpoint, ..apns::Options::default() })
        };
        assert_eq!(Destination::of(&apns::Options::default()), Destination::Apple);
        assert_eq!(of("https://api.sandbox.push.apple.com:2197"), Destination::Apple);
        assert_eq!(of("https://127.0.0.1:8443"), Destination::StandIn);
        assert_eq!(of("https://push.notapple.com"), Destination::StandIn);
    }
}
