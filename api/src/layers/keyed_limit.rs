//! A rate limit for each of many keys. Only keys that were used lately are remembered.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// The most keys that are remembered. Reaching it takes that many keys within the time in which a quota recovers.
const MOST: usize = 65_536;

/// Below this number of keys, none is removed.
const FEW: usize = 1024;

/// A quota for each key.
pub struct KeyedLimit {
    /// By the hash of the key, which is shorter than the key.
    limiter: RateLimiter<u64, HashMapStateStore<u64>, DefaultClock>,
    hasher: RandomState,
    /// The number of keys at which those with a full quota are removed.
    tidy_at: AtomicUsize,
}

impl fmt::Debug for KeyedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLimit").field("keys", &self.limiter.len()).finish_non_exhaustive()
    }
}

impl KeyedLimit {
    /// A limit that no key has used yet.
    pub fn new(quota: Quota) -> Self {
        let limiter = RateLimiter::hashmap(quota);
        Self { limiter, hasher: RandomState::new(), tidy_at: AtomicUsize::new(FEW) }
    }

    /// Uses the quota of a key once.
    ///
    /// # Errors
    /// The time until it may be used again, when the quota is used up.
    pub fn take(&self, key: &impl Hash) -> Result<(), Duration> {
        if self.limiter.len() >= self.tidy_at.load(Ordering::Relaxed) && self.tidy() >= MOST {
            return Err(Duration::from_secs(1));
        }
        let taken = self.limiter.check_key(&self.hasher.hash_one(key));
        taken.map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }

    /// Forgets the keys whose quota has recovered. Returns how many are left.
    fn tidy(&self) -> usize {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        let left = self.limiter.len();
        self.tidy_at.store((2 * left).clamp(FEW, MOST), Ordering::Relaxed);
        left
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn each_key_has_a_quota_of_its_own() {
        let limit = KeyedLimit::new(Quota::per_hour(NonZeroU32::new(2).unwrap()));
        assert!(limit.take(&"one").is_ok() && limit.take(&"one").is_ok());
        assert!(limit.take(&"one").unwrap_err() > Duration::from_secs(1000));
        assert!(limit.take(&"other").is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_nobody_is_forgotten_to_make_room() {
        let limit = KeyedLimit::new(Quota::per_hour(NonZeroU32::new(1).unwrap()));
        for key in 0..MOST {
            assert!(limit.take(&key).is_ok(), "{key}");
        }
        assert!(limit.take(&MOST).is_err() && limit.take(&0).is_err());
        assert_eq!(limit.limiter.len(), MOST);
    }

    #[test]
    fn a_key_is_forgotten_when_its_quota_is_whole_again() {
        let limit = KeyedLimit::new(Quota::with_period(Duration::from_nanos(1)).unwrap());
        for key in 0..10 * FEW {
            assert!(limit.take(&key).is_ok(), "{key}");
        }
        assert!(limit.limiter.len() <= FEW, "{limit:?}");
    }
}
