//! The client address of a request, which the limits by address count for.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;

/// The address at the other end of the connection: the client's, or that of the proxy before this process.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Finds the addresses of clients behind a number of our own proxies.
#[derive(Debug)]
pub struct ClientAddresses {
    proxies: usize,
    has_warned: AtomicBool,
}

/// The headers in which a proxy names the client's address.
const WRITTEN_BY_PROXIES: [&str; 2] = ["x-forwarded-for", "forwarded"];

impl ClientAddresses {
    /// For a process behind so many proxies.
    pub fn behind(proxies: u32) -> Self {
        Self { proxies: proxies as usize, has_warned: AtomicBool::new(false) }
    }

    /// The client's address. Only the entries at the end of `X-Forwarded-For` that our own proxies have added are believed; a client may
    /// send any entries before them. An IPv6 client has a whole /64, which counts as one address.
    pub fn of(&self, headers: &HeaderMap, peer: Option<Peer>) -> Option<IpAddr> {
        let peer = peer?.0;
        let address = if self.proxies == 0 { peer } else { self.forwarded(headers).unwrap_or(peer) };
        Some(counted_as(address))
    }

    fn forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let entries = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let entries: Vec<&str> = entries.flat_map(|value| value.split(',')).map(str::trim).collect();
        let entry = entries.len().checked_sub(self.proxies).and_then(|index| entries.get(index))?;
        let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
        entry.parse().ok().or_else(with_port)
    }

    /// Warns once when a request seems to come through a proxy that is not configured: all its clients then count as one address.
    pub fn warn_of_unknown_proxy(&self, headers: &HeaderMap, peer: Option<Peer>) {
        if self.proxies > 0 || self.has_warned.load(Ordering::Relaxed) {
            return;
        }
        let Some(header) = WRITTEN_BY_PROXIES.into_iter().find(|name| headers.contains_key(*name)) else {
            return;
        };
        let Some(Peer(address)) = peer else { return };
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                peer.ip = %address,
                "a request came with `{header}`, as proxies write it, and RATE_LIMIT_PROXIES is not set: all clients behind a proxy count as one address, so the failed logins and registrations of one client use up the limits of all. If {address} is your proxy, set \
                 RATE_LIMIT_PROXIES to the number of proxies before this process; otherwise a client made the header up, and no action is \
                 needed"
            );
        }
    }
}

/// The address that a client is counted under: for IPv6 its /64.
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Option<Peer> = Some(Peer(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)));

    #[test]
    fn only_what_our_own_proxies_say_is_believed() {
        let client = |proxies, value| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("x-forwarded-for"),
                http::HeaderValue::from_static(value),
            )]);
            ClientAddresses::behind(proxies).of(&headers, PEER).unwrap()
        };
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(
            client(0, "10.0.0.1"),
            address("127.0.0.1"),
            "without a proxy the header is the client's own"
        );
        assert_eq!(client(1, "1.2.3.4, 10.0.0.1"), address("10.0.0.1"));
        assert_eq!(client(2, "1.2.3.4, 10.0.0.1, 10.0.0.9:443"), address("10.0.0.1"));
        assert_eq!(client(1, "nonsense"), address("127.0.0.1"));
        assert_eq!(client(3, "10.0.0.1"), address("127.0.0.1"), "a proxy is missing");
        assert_eq!(client(1, "2001:db8:1:2:3:4:5:6"), address("2001:db8:1:2::"));
        assert_eq!(client(1, "[2001:db8:1:2:3:4:5:6]:443"), address("2001:db8:1:2::"));
        assert_eq!(client(1, "::ffff:10.0.0.1"), address("10.0.0.1"));
    }
}
