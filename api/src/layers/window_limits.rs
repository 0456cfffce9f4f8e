//! Limits on requests in a window of time, and the headers that tell a caller where it stands:
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>.
//!
//! A window begins with the first request of a caller and ends with all that was used of it. Memory is bounded, and no caller is forgotten to make
//! room for another: a caller that finds no room is not counted, which is no worse than no limit. One address has a share of the room, so names that
//! one client makes up do not take it from others.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

/// The most callers that are counted at a time.
const MOST: usize = 65_536;

/// The most of them that have one address: more than a thousand phones have passes.
const SHARE: usize = MOST / 8;

/// The shortest time between two warnings that callers are not counted.
const WARNING: Duration = Duration::from_mins(1);

/// A number of requests in a window, for each of many callers.
pub struct WindowLimit {
    name: &'static str,
    most: NonZeroU32,
    length: Duration,
    windows: Mutex<Windows>,
    hasher: RandomState,
}

/// The windows that have not ended.
#[derive(Default)]
struct Windows {
    /// By the hash of the caller, which is shorter.
    by_caller: HashMap<u64, Window>,
    /// How many each address has.
    of_address: HashMap<IpAddr, usize>,
    /// In the order in which they end.
    in_order: VecDeque<(Instant, u64, IpAddr)>,
    warned: Option<Instant>,
}

struct Window {
    began: Instant,
    used: u32,
}

/// Where a caller stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    name: &'static str,
    most: u32,
    window: Duration,
    left: u32,
    resets_in: Duration,
    is_exceeded: bool,
}

impl fmt::Debug for WindowLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowLimit")
            .field("name", &self.name)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl WindowLimit {
    /// So many requests in a window of this length, of which none is used yet. The name stands in the headers.
    pub fn new(name: &'static str, most: NonZeroU32, length: Duration) -> Self {
        Self { name, most, length, windows: Mutex::default(), hasher: RandomState::new() }
    }

    /// Counts a request of a caller: an address, and what it asks for. `None` when there is no room to count it.
    pub fn take(&self, address: IpAddr, what: &impl Hash) -> Option<Standing> {
        let (caller, now) = (self.hasher.hash_one((address, what)), Instant::now());
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.end(self.length, now);
        let Some(window) = windows.of(caller, address, now) else {
            windows.warn(self.name, now);
            return None;
        };
        let is_exceeded = window.used >= self.most.get();
        window.used += u32::from(!is_exceeded);
        Some(Standing {
            name: self.name,
            most: self.most.get(),
            window: self.length,
            left: self.most.get() - window.used,
            resets_in: self.length.saturating_sub(now.duration_since(window.began)),
            is_exceeded,
        })
    }
}

impl Windows {
    /// Forgets those that have ended.
    fn end(&mut self, length: Duration, now: Instant) {
        while let Some((began, caller, address)) = self.in_order.front().copied()
            && now.duration_since(began) >= length
        {
            self.in_order.pop_front();
            self.by_caller.remove(&caller);
            if let Entry::Occupied(mut of_address) = self.of_address.entry(address) {
                *of_address.get_mut() -= 1;
                if *of_address.get() == 0 {
                    of_address.remove();
                }
            }
        }
    }

    /// The window of a caller, which begins now if it has none; `None` when there is no room for another.
    fn of(&mut self, caller: u64, address: IpAddr, now: Instant) -> Option<&mut Window> {
        let is_full = self.by_caller.len() >= MOST;
        let entry = match self.by_caller.entry(caller) {
            Entry::Occupied(entry) => return Some(entry.into_mut()),
            Entry::Vacant(entry) => entry,
        };
        if is_full || self.of_address.get(&address).is_some_and(|share| *share >= SHARE) {
            return None;
        }
        *self.of_address.entry(address).or_default() += 1;
        self.in_order.push_back((now, caller, address));
        Some(entry.insert(Window { began: now, used: 0 }))
    }

    fn warn(&mut self, name: &str, now: Instant) {
        if self.warned.is_some_and(|warned| now.duration_since(warned) < WARNING) {
            return;
        }
        self.warned = Some(now);
        tracing::warn!(
            limit.name = name,
            "so many callers send requests that further ones are not counted under the limit {name}, until windows of others end"
        );
    }
}

impl Standing {
    /// The time to wait, when the request was one too many.
    pub fn exceeded(&self) -> Option<Duration> {
        self.is_exceeded.then_some(self.resets_in)
    }

    /// Adds the headers `RateLimit` and `RateLimit-Policy` to an answer.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        for (header, value) in [("ratelimit-policy", self.policy()), ("ratelimit", self.limit())] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(header), value);
            }
        }
    }

    fn policy(&self) -> String {
        let Self { name, most, .. } = self;
        format!("\"{name}\";q={most};w={}", whole_seconds(self.window))
    }

    fn limit(&self) -> String {
        let Self { name, left, .. } = self;
        format!("\"{name}\";r={left};t={}", whole_seconds(self.resets_in))
    }
}

/// Seconds, of which the last one may have begun.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn limit(most: u32) -> WindowLimit {
        WindowLimit::new("passkit", NonZeroU32::new(most).unwrap(), Duration::from_mins(1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_ends_with_all_that_was_used_of_it() {
        let limit = limit(2);
        let standing = |address, what: &str| {
            let standing = limit.take(address, &what).unwrap();
            (standing.left, standing.exceeded())
        };
        assert_eq!(standing(ONE, "a"), (1, None));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(standing(ONE, "a"), (0, None));
        assert_eq!(standing(ONE, "a"), (0, Some(Duration::from_millis(59_900))));
        assert_eq!((standing(OTHER, "a"), standing(ONE, "b")), ((1, None), (1, None)));
        tokio::time::advance(Duration::from_millis(59_900)).await;
        assert_eq!((standing(ONE, "a"), standing(ONE, "b")), ((1, None), (0, None)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_is_told_where_it_stands() {
        let limit = limit(10);
        limit.take(ONE, &1);
        tokio::time::advance(Duration::from_millis(17_500)).await;
        let mut headers = HeaderMap::new();
        limit.take(ONE, &1).unwrap().add_to(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"passkit\";q=10;w=60");
        assert_eq!(headers["ratelimit"], "\"passkit\";r=8;t=43");
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_address_makes_up_takes_no_room_from_others_and_nobody_is_forgotten() {
        let limit = limit(1);
        let exceeds = |address, what: usize| limit.take(address, &what).map(|it| it.is_exceeded);
        assert_eq!(exceeds(OTHER, 0), Some(false));
        for what in 0..SHARE {
            assert_eq!(exceeds(ONE, what), Some(false), "{what}");
        }
        assert_eq!(exceeds(ONE, SHARE), None);
        // Many addresses fill the rest.
        for number in 0..MOST - SHARE - 1 {
            let address = Ipv4Addr::from(0xAC10_0000 + u32::try_from(number).unwrap());
            assert_eq!(exceeds(address.into(), 0), Some(false), "{number}");
        }
        assert_eq!(exceeds(Ipv4Addr::new(10, 0, 0, 3).into(), 0), None);
        assert_eq!((exceeds(OTHER, 0), exceeds(ONE, 0)), (Some(true), Some(true)));
        let remembered = || {
            let windows = limit.windows.lock().unwrap();
            [windows.by_caller.len(), windows.in_order.len(), windows.of_address.values().sum()]
        };
        assert_eq!(remembered(), [MOST; 3]);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(exceeds(ONE, SHARE), Some(false));
        assert_eq!(remembered(), [1; 3]);
    }
}
