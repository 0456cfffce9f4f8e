//! Limits failed logins by client address. Memory is bounded: the latest addresses are kept, for a minute each.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::limits;

/// How long a failure counts.
const MINUTE: Duration = Duration::from_mins(1);

/// The time between two comparisons for a client that has failed too often.
const PACE: Duration = Duration::from_secs(1);

/// The failed logins of one kind.
#[derive(Debug)]
pub struct FailedLogins {
    limit: usize,
    clients: Cache<IpAddr, Arc<Mutex<Client>>>,
}

/// The failures of one address.
#[derive(Debug, Default)]
struct Client {
    /// The latest failures, at most `limit` of them.
    failures: VecDeque<Instant>,
    compared: Option<Instant>,
}

impl FailedLogins {
    /// No failures yet; `limit` of them in a minute are too many for one address.
    pub fn at_most(limit: NonZeroU32) -> Self {
        let clients = Cache::builder()
            .max_capacity(limits::RATED_CALLERS)
            // An address that has just failed stays in the cache, however often others failed.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(MINUTE + PACE)
            .build();
        Self { limit: limit.get() as usize, clients }
    }

    /// For secrets that could be guessed: looks up the secret that a client shows, and records a failure when nobody has it. A client that has
    /// failed too often gets one comparison a second, so that guessing is hopeless and the holder of the secret still gets in.
    ///
    /// # Errors
    /// The time until the next comparison. Nothing was compared.
    pub async fn compare<T, E>(
        &self,
        address: IpAddr,
        holder: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<Result<Option<T>, E>, Duration> {
        let client = self.client(address);
        // Held during the comparison, so that each of several attempts at the same moment sees the failures of the others.
        let mut client = client.lock().await;
        let now = Instant::now();
        if self.time_until_below_limit(&client, now).is_some()
            && let Some(wait) = client.compared.and_then(|at| remaining(at + PACE, now))
        {
            return Err(wait);
        }
        client.compared = Some(now);
        let holder = holder.await;
        if matches!(holder, Ok(None)) {
            self.push_failure(&mut client, now);
        }
        Ok(holder)
    }

    /// For secrets that cannot be guessed, which are always compared: records that a client failed.
    ///
    /// # Errors
    /// When the client had failed too often before: the time until its failures are forgotten.
    pub async fn record_failure(&self, address: IpAddr) -> Result<(), Duration> {
        let client = self.client(address);
        let mut client = client.lock().await;
        let now = Instant::now();
        let too_often = self.time_until_below_limit(&client, now).is_some();
        self.push_failure(&mut client, now);
        match self.time_until_below_limit(&client, now) {
            Some(wait) if too_often => Err(wait),
            _ => Ok(()),
        }
    }

    fn client(&self, address: IpAddr) -> Arc<Mutex<Client>> {
        self.clients.get_with(address, Arc::default)
    }

    fn push_failure(&self, client: &mut Client, now: Instant) {
        if client.failures.len() == self.limit {
            client.failures.pop_front();
        }
        client.failures.push_back(now);
    }

    /// The time until a client has failed less than `limit` times in the last minute; `None` if it has already.
    fn time_until_below_limit(&self, client: &Client, now: Instant) -> Option<Duration> {
        let oldest = client.failures.front().filter(|_| client.failures.len() == self.limit)?;
        remaining(*oldest + MINUTE, now)
    }
}

fn remaining(until: Instant, now: Instant) -> Option<Duration> {
    until.checked_duration_since(now).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::Ipv4Addr;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn at_most(limit: u32) -> FailedLogins {
        FailedLogins::at_most(NonZeroU32::new(limit).unwrap())
    }

    /// Whether a secret was right; the time to wait when it was not compared.
    async fn compared(logins: &FailedLogins, address: IpAddr, is_right: bool) -> Result<bool, Duration> {
        let holder = async move { Ok::<_, Infallible>(is_right.then_some(())) };
        logins.compare(address, holder).await.map(|holder| holder.unwrap().is_some())
    }

    async fn not_compared(logins: &FailedLogins) -> Result<(), Duration> {
        let holder = async { panic!("it is compared") };
        logins.compare::<(), Infallible>(ONE, holder).await.map(drop)
    }

    #[tokio::test(start_paused = true)]
    async fn after_too_many_failures_there_is_one_comparison_a_second_right_or_wrong() {
        let logins = at_most(10);
        for _ in 0..10 {
            assert_eq!(compared(&logins, ONE, false).await, Ok(false));
        }
        assert_eq!(not_compared(&logins).await, Err(PACE));
        assert_eq!(compared(&logins, OTHER, true).await, Ok(true), "nobody else is concerned");
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(not_compared(&logins).await, Err(Duration::from_millis(600)));
        tokio::time::advance(Duration::from_millis(600)).await;
        assert_eq!(compared(&logins, ONE, true).await, Ok(true));
        assert_eq!(not_compared(&logins).await, Err(PACE));
        tokio::time::advance(PACE).await;
        assert_eq!(compared(&logins, ONE, false).await, Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_after_a_minute() {
        let logins = at_most(2);
        assert_eq!(compared(&logins, ONE, false).await, Ok(false));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(compared(&logins, ONE, false).await, Ok(false));
        assert!(not_compared(&logins).await.is_err());
        tokio::time::advance(Duration::from_secs(30)).await;
        for _ in 0..5 {
            assert_eq!(compared(&logins, ONE, true).await, Ok(true), "one failure is left");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_wrong_on_and_on_is_told_how_long_to_stop() {
        let logins = at_most(2);
        assert_eq!((logins.record_failure(ONE).await, logins.record_failure(ONE).await), (Ok(()), Ok(())));
        assert_eq!(logins.record_failure(ONE).await, Err(MINUTE));
        assert_eq!(logins.record_failure(OTHER).await, Ok(()));
        tokio::time::advance(MINUTE).await;
        assert_eq!(logins.record_failure(ONE).await, Ok(()));
    }
}
