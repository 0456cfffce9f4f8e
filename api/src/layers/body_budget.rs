//! A limit on the bytes in memory for callers who have not been authenticated yet: a total, and a share of it for each address, so that no
//! address can use up all. A request that finds no room waits in order, for a bounded time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use honoken_telemetry::metrics::Area;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::layers::client_address::counted_as;
use crate::limits;

/// One address may use this fraction of a budget.
const SHARE: usize = 4;

/// A bounded number of bytes.
#[derive(Debug)]
pub struct Budget {
    all: Arc<Semaphore>,
    share: usize,
    /// The free part of the share of each address that uses some of it or waits.
    shares: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// Reserved bytes, given back when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    // In this order, so that bytes that come free can go to other requests of the same address.
    #[expect(dead_code, reason = "held, not looked at")]
    of_all: OwnedSemaphorePermit,
    #[expect(dead_code, reason = "held, not looked at")]
    of_share: OwnedSemaphorePermit,
    #[expect(dead_code, reason = "held, not looked at")]
    share: Share,
}

/// The share of an address, removed from the budget when its last user is dropped.
#[derive(Debug)]
struct Share {
    budget: Arc<Budget>,
    address: IpAddr,
    left: Arc<Semaphore>,
}

impl Budget {
    /// A budget of so many bytes, none of them used.
    pub fn new(bytes: usize) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(bytes));
        Arc::new(Self { all, share: bytes / SHARE, shares: Mutex::default() })
    }

    /// Bytes for a client, if there is room now.
    pub fn try_reserve(self: &Arc<Self>, client: IpAddr, bytes: usize) -> Option<Reservation> {
        let (share, bytes) = (self.share_of(client), self.permits(bytes));
        let of_share = share.left.clone().try_acquire_many_owned(bytes).ok()?;
        let of_all = self.all.clone().try_acquire_many_owned(bytes).ok()?;
        Some(Reservation { of_all, of_share, share })
    }

    /// Bytes for a client, as soon as there is room; `None` when that takes too long.
    pub async fn reserve(self: Arc<Self>, client: IpAddr, bytes: usize) -> Option<Reservation> {
        let (share, bytes) = (self.share_of(client), self.permits(bytes));
        // The share comes first: those of an address that has too much wait behind each other and not before others.
        let reserved = async {
            let of_share = share.left.clone().acquire_many_owned(bytes).await.ok()?;
            let of_all = self.all.clone().acquire_many_owned(bytes).await.ok()?;
            Some((of_share, of_all))
        };
        let (of_share, of_all) = timeout(limits::TURN, reserved).await.ok()??;
        Some(Reservation { of_all, of_share, share })
    }

    /// At most a share: a request asks for far less, and asking for more by mistake would wait for ever.
    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.share)).unwrap_or(u32::MAX)
    }

    fn share_of(self: &Arc<Self>, client: IpAddr) -> Share {
        let address = counted_as(client);
        let new = || Arc::new(Semaphore::new(self.share));
        let left = self.shares().entry(address).or_insert_with(new).clone();
        Share { budget: self.clone(), address, left }
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Semaphore>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.budget.shares();
        // Two references are left: the list's and this one. New ones are made under the same lock.
        if Arc::strong_count(&self.left) == 2 {
            shares.remove(&self.address);
        }
    }
}

/// The budgets for the bodies of requests, from the first byte until the answer. Each area has its own.
#[derive(Debug)]
pub struct Bodies {
    device: Arc<Budget>,
    manage: Arc<Budget>,
    admin: Arc<Budget>,
    visitors: Arc<Budget>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            device: Budget::new(limits::DEVICE_BODIES_BYTES),
            manage: Budget::new(limits::MANAGE_BODIES_BYTES),
            admin: Budget::new(limits::ADMIN_BODIES_BYTES),
            visitors: Budget::new(limits::VISITOR_BODIES_BYTES),
        }
    }
}

impl Bodies {
    /// The budget of an area. Of the `Service` routes only the page that inspects passes reads a body.
    pub fn of(&self, area: Area) -> &Arc<Budget> {
        match area {
            Area::Device => &self.device,
            Area::Manage => &self.manage,
            Area::Admin => &self.admin,
            Area::Service => &self.visitors,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn client(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn an_address_gets_its_share_and_no_more() {
        let budget = Budget::new(400);
        let first = budget.try_reserve(client(1), 60).unwrap();
        assert!(budget.try_reserve(client(1), 60).is_none(), "a share is 100");
        let others: Vec<_> = (2..5).map(|last| budget.try_reserve(client(last), 100).unwrap()).collect();
        let last = budget.try_reserve(client(5), 40).unwrap();
        assert!(budget.try_reserve(client(6), 1).is_none(), "all is 400");
        drop(first);
        assert!(budget.try_reserve(client(1), 60).is_some());
        drop((others, last));
        assert!(budget.shares().is_empty(), "addresses that use nothing are forgotten");
        assert_eq!(budget.all.available_permits(), 400);
    }

    #[tokio::test]
    async fn those_who_wait_are_served_in_order_and_hold_up_no_other_address() {
        let budget = Budget::new(400);
        let first = budget.try_reserve(client(1), 100).unwrap();
        let mut second = Box::pin(budget.clone().reserve(client(1), 100));
        assert!((&mut second).now_or_never().is_none());
        assert!(budget.try_reserve(client(2), 100).is_some(), "another address does not wait");
        drop(first);
        assert!(second.await.is_some());
        assert!(budget.shares().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let budget = Budget::new(400);
        let _first = budget.try_reserve(client(1), 100).unwrap();
        assert!(budget.clone().reserve(client(1), 1).await.is_none());
    }
}
