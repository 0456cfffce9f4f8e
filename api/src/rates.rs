//! Rate limits: how often an organisation may ask, and how often a client may be wrong about who it is. Each process counts for itself.
//!
//! What is remembered of callers is bounded: the latest ones, and organisations only once their key was right.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use honoken_domain::ids::OrganizationId;
use http::HeaderMap;
use moka::future::Cache;
use prometheus::IntCounter;
use tokio::time::Instant;

use crate::config;
use crate::error::ApiError;
use crate::limits;
use crate::metrics::{Metric, Metrics, RateLimit};

/// The address that a request came from: that of the client, or of the proxy before us.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Who has asked how often.
#[derive(Debug)]
pub struct Rates {
    manage: Option<Quota>,
    organizations: Cache<OrganizationId, Arc<DefaultDirectRateLimiter>>,
    failures: Option<Quota>,
    clients: Cache<IpAddr, Arc<Client>>,
    proxies: usize,
    limited: [IntCounter; 2],
}

/// What is remembered of an address.
#[derive(Debug)]
struct Client {
    failures: DefaultDirectRateLimiter,
    barred_until: Mutex<Option<Instant>>,
}

impl Client {
    fn new(quota: Quota) -> Self {
        Self { failures: RateLimiter::direct(quota), barred_until: Mutex::new(None) }
    }

    /// How long it is kept out yet.
    fn barred(&self) -> Option<Duration> {
        let until = *self.barred_until.lock().unwrap_or_else(PoisonError::into_inner);
        until?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn bar(&self) {
        *self.barred_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + limits::BARRED);
    }
}

impl Rates {
    /// Nobody has asked yet.
    pub fn new(rates: config::Rates, metrics: &Metrics) -> Self {
        let manage = rates.manage_per_second.map(|per_second| {
            let burst: NonZeroU32 = rates.manage_burst.unwrap_or(per_second);
            Quota::per_second(per_second).allow_burst(burst)
        });
        let limited = |limit: RateLimit| metrics.counter(Metric::RequestsRateLimited, &[limit.into()]);
        Self {
            manage,
            organizations: Cache::new(limits::RATED_CALLERS),
            failures: rates.failures_per_minute.map(Quota::per_minute),
            clients: Cache::new(limits::RATED_CALLERS),
            proxies: rates.proxies as usize,
            limited: [limited(RateLimit::Manage), limited(RateLimit::Failures)],
        }
    }

    /// A request of an organisation.
    ///
    /// # Errors
    /// 429 when it has asked too often.
    pub async fn organization_asks(&self, organization_id: &OrganizationId) -> Result<(), ApiError> {
        let Some(quota) = self.manage else { return Ok(()) };
        let limiter = self
            .organizations
            .entry_by_ref(organization_id)
            .or_insert_with(async { Arc::new(RateLimiter::direct(quota)) })
            .await
            .into_value();
        limiter.check().map_err(|not_until| {
            self.refused(RateLimit::Manage, not_until.wait_time_from(DefaultClock::default().now()))
        })
    }

    /// Before credentials are looked at.
    ///
    /// # Errors
    /// 429 when this client was wrong too often.
    pub async fn client_may_try(&self, headers: &HeaderMap, peer: Option<Peer>) -> Result<(), ApiError> {
        let Some(address) = self.failures.and_then(|_| self.client(headers, peer)) else { return Ok(()) };
        match self.clients.get(&address).await.and_then(|client| client.barred()) {
            Some(left) => Err(self.refused(RateLimit::Failures, left)),
            None => Ok(()),
        }
    }

    /// A client was wrong. Gives the answer: `refusal`, or 429 when it was one time too many.
    pub async fn client_was_wrong(
        &self,
        headers: &HeaderMap,
        peer: Option<Peer>,
        refusal: ApiError,
    ) -> ApiError {
        let Some((quota, address)) = self.failures.zip(self.client(headers, peer)) else { return refusal };
        let client = self.clients.get_with(address, async { Arc::new(Client::new(quota)) }).await;
        if client.failures.check().is_ok() {
            return refusal;
        }
        client.bar();
        self.refused(RateLimit::Failures, limits::BARRED)
    }

    fn refused(&self, limit: RateLimit, wait: Duration) -> ApiError {
        self.limited[limit as usize].inc();
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        ApiError::TooManyRequests { retry_after: seconds.max(1) }
    }

    /// Whom a request is from, as far as that can be known. Only what our own proxies have written into `X-Forwarded-For` is believed, which is
    /// at its end; a client may write before it what it likes. An IPv6 client has a whole /64 at its disposal, and counts as one.
    pub fn client(&self, headers: &HeaderMap, peer: Option<Peer>) -> Option<IpAddr> {
        let peer = peer?.0;
        let forwarded = || {
            let entries = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
            let entries: Vec<&str> = entries.flat_map(|value| value.split(',')).map(str::trim).collect();
            let entry = entries.len().checked_sub(self.proxies).and_then(|index| entries.get(index))?;
            let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
            entry.parse().ok().or_else(with_port)
        };
        let address = if self.proxies == 0 { peer } else { forwarded().unwrap_or(peer) };
        Some(counted_as(address))
    }
}

/// The address that stands for all that a client has.
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
    use crate::config::Identity;

    fn rates(manage: Option<u32>, failures: Option<u32>, proxies: u32) -> Rates {
        let rates = config::Rates {
            manage_per_second: manage.and_then(NonZeroU32::new),
            manage_burst: None,
            failures_per_minute: failures.and_then(NonZeroU32::new),
            proxies,
        };
        Rates::new(rates, &Metrics::new(&Identity::default()))
    }

    fn forwarded(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static("x-forwarded-for"),
            http::HeaderValue::from_static(value),
        )])
    }

    const PEER: Option<Peer> = Some(Peer(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)));

    #[tokio::test]
    async fn an_organisation_that_asks_too_often_is_told_to_wait_and_no_other() {
        let rates = rates(Some(2), None, 0);
        let [one, other] = ["one", "other"].map(|name| OrganizationId::parse(name).unwrap());
        rates.organization_asks(&one).await.unwrap();
        rates.organization_asks(&one).await.unwrap();
        let refused = rates.organization_asks(&one).await.unwrap_err();
        assert!(matches!(refused, ApiError::TooManyRequests { retry_after: 1 }), "{refused:?}");
        rates.organization_asks(&other).await.unwrap();
        assert_eq!(rates.limited.each_ref().map(IntCounter::get), [1, 0]);
    }

    #[tokio::test]
    async fn a_client_that_was_wrong_too_often_is_kept_out_and_no_other() {
        let rates = rates(None, Some(2), 1);
        let (one, other) = (forwarded("10.0.0.1"), forwarded("10.0.0.2"));
        for _ in 0..2 {
            rates.client_may_try(&one, PEER).await.unwrap();
            let answer = rates.client_was_wrong(&one, PEER, ApiError::UnauthorizedKey).await;
            assert!(matches!(answer, ApiError::UnauthorizedKey));
        }
        let answer = rates.client_was_wrong(&one, PEER, ApiError::UnauthorizedKey).await;
        assert!(matches!(answer, ApiError::TooManyRequests { retry_after: 60 }), "{answer:?}");
        assert!(rates.client_may_try(&one, PEER).await.is_err());
        rates.client_may_try(&other, PEER).await.unwrap();
    }

    #[tokio::test]
    async fn without_limits_nothing_is_limited() {
        let rates = rates(None, None, 0);
        for _ in 0..1000 {
            rates.organization_asks(&OrganizationId::parse("one").unwrap()).await.unwrap();
            let answer = rates.client_was_wrong(&HeaderMap::new(), PEER, ApiError::UnauthorizedKey).await;
            assert!(matches!(answer, ApiError::UnauthorizedKey));
        }
        assert_eq!(rates.clients.entry_count(), 0);
    }

    #[test]
    fn only_what_our_own_proxies_say_is_believed() {
        let client = |proxies, value| rates(None, Some(1), proxies).client(&forwarded(value), PEER).unwrap();
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
