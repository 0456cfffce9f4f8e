//! How often a client may be wrong about who it is. What is remembered is bounded: the addresses that tried last, for a minute each.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::limits;

/// Failures count for so long.
const MINUTE: Duration = Duration::from_mins(1);

/// Between two comparisons for a client that has failed too often.
const PACE: Duration = Duration::from_secs(1);

/// The failed logins of one kind.
#[derive(Debug)]
pub struct FailedLogins {
    most: usize,
    clients: Cache<IpAddr, Arc<Mutex<Client>>>,
}

/// What is remembered of an address.
#[derive(Debug, Default)]
struct Client {
    /// The last ones, not more than count.
    failures: VecDeque<Instant>,
    compared: Option<Instant>,
}

impl FailedLogins {
    /// None yet; `most` of them in a minute are too many for one address.
    pub fn at_most(most: NonZeroU32) -> Self {
        let clients = Cache::builder()
            .max_capacity(limits::RATED_CALLERS)
            // Whoever has just been wrong is remembered, however often others were.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(MINUTE + PACE)
            .build();
        Self { most: most.get() as usize, clients }
    }

    /// For secrets that could be guessed: lets what a client shows be compared, and notes it when it is wrong. A client that has failed too often
    /// has one comparison a second, so that guessing leads nowhere and who knows the secret gets in all the same.
    ///
    /// # Errors
    /// How long it is until the next comparison. Nothing was compared.
    pub fn compare(&self, address: IpAddr, is_right: impl FnOnce() -> bool) -> Result<bool, Duration> {
        let client = self.client(address);
        // Held while it is compared: of those who try at the same moment each sees the failures of the others.
        let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if self.until_fewer(&client, now).is_some()
            && let Some(wait) = client.compared.and_then(|at| left(at + PACE, now))
        {
            return Err(wait);
        }
        client.compared = Some(now);
        let is_right = is_right();
        if !is_right {
            self.note(&mut client, now);
        }
        Ok(is_right)
    }

    /// For secrets that cannot be guessed, which are always compared: notes that a client was wrong.
    ///
    /// # Errors
    /// When it has been too often before: how long it has to stop for that to be forgotten.
    pub fn failed(&self, address: IpAddr) -> Result<(), Duration> {
        let client = self.client(address);
        let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let too_often = self.until_fewer(&client, now).is_some();
        self.note(&mut client, now);
        match self.until_fewer(&client, now) {
            Some(wait) if too_often => Err(wait),
            _ => Ok(()),
        }
    }

    fn client(&self, address: IpAddr) -> Arc<Mutex<Client>> {
        self.clients.get_with(address, Arc::default)
    }

    fn note(&self, client: &mut Client, now: Instant) {
        if client.failures.len() == self.most {
            client.failures.pop_front();
        }
        client.failures.push_back(now);
    }

    /// How long it is until a client has failed less than `most` times in the last minute, if it has.
    fn until_fewer(&self, client: &Client, now: Instant) -> Option<Duration> {
        let oldest = client.failures.front().filter(|_| client.failures.len() == self.most)?;
        left(*oldest + MINUTE, now)
    }
}

fn left(until: Instant, now: Instant) -> Option<Duration> {
    until.checked_duration_since(now).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn at_most(most: u32) -> FailedLogins {
        FailedLogins::at_most(NonZeroU32::new(most).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn after_too_many_failures_there_is_one_comparison_a_second_right_or_wrong() {
        let logins = at_most(10);
        for _ in 0..10 {
            assert_eq!(logins.compare(ONE, || false), Ok(false));
        }
        assert_eq!(logins.compare(ONE, || panic!("it is not compared")), Err(PACE));
        assert_eq!(logins.compare(OTHER, || true), Ok(true), "nobody else is concerned");
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(logins.compare(ONE, || panic!("nor now")), Err(Duration::from_millis(600)));
        tokio::time::advance(Duration::from_millis(600)).await;
        assert_eq!(logins.compare(ONE, || true), Ok(true));
        assert_eq!(logins.compare(ONE, || panic!("the next one has to wait again")), Err(PACE));
        tokio::time::advance(PACE).await;
        assert_eq!(logins.compare(ONE, || false), Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_after_a_minute() {
        let logins = at_most(2);
        assert_eq!(logins.compare(ONE, || false), Ok(false));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(logins.compare(ONE, || false), Ok(false));
        assert!(logins.compare(ONE, || true).is_err());
        tokio::time::advance(Duration::from_secs(30)).await;
        for _ in 0..5 {
            assert_eq!(logins.compare(ONE, || true), Ok(true), "one failure is left");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_wrong_on_and_on_is_told_how_long_to_stop() {
        let logins = at_most(2);
        assert_eq!((logins.failed(ONE), logins.failed(ONE)), (Ok(()), Ok(())));
        assert_eq!(logins.failed(ONE), Err(MINUTE));
        assert_eq!(logins.failed(OTHER), Ok(()));
        tokio::time::advance(MINUTE).await;
        assert_eq!(logins.failed(ONE), Ok(()));
    }
}
