//! The connections of one credential: which one a push takes, when another is opened, and when none is for a while.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, Destination, NoConnection};
use super::options::Options;
use super::provider_token::ProviderToken;
use super::request::Requests;

/// Pushes that have given up waiting are taken out of the queue each time that it has grown by so many.
const TIDY_EVERY: usize = 1024;

/// The connections of one credential, and the parts that all pushes with it share.
pub(super) struct Pool {
    /// The token that every request carries; none with a certificate.
    pub(super) provider_token: Option<ProviderToken>,
    pub(super) requests: Requests,
    tls: Arc<ClientConfig>,
    destination: Destination,
    options: Arc<Options>,
    tasks: Tasks,
    began: Instant,
    used_ms: AtomicU64,
    state: Mutex<State>,
}

/// The owner of the tasks of connections.
#[derive(Clone)]
pub(super) struct Tasks {
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
}

struct State {
    open: Vec<Slot>,
    connecting: bool,
    waiting: VecDeque<oneshot::Sender<Result<Lease, NoLease>>>,
    /// Connections in a row that were of no use.
    failures: u32,
    not_before: Instant,
    last_failure: Option<NoConnection>,
    /// When the connections made so far are paid off, one in each interval.
    paid_off: Instant,
}

struct Slot {
    connection: Arc<Connection>,
    in_flight: usize,
    /// Whether APNs has taken a provider token on it; one request at a time until then.
    proven: bool,
    /// Whether a request was ever answered on it.
    useful: bool,
}

/// The right to make one request on a connection. Given back when it is dropped.
pub(super) struct Lease {
    pub(super) connection: Arc<Connection>,
    /// Whether there is nothing left to learn about the connection from an answer.
    settled: bool,
    pool: Weak<Pool>,
}

/// There is nothing to make a request on.
#[derive(Debug, Clone)]
pub(super) struct NoLease {
    pub(super) why: NoConnection,
    /// When the next connection is tried at the earliest.
    pub(super) after: Option<Duration>,
}

impl Pool {
    pub(super) fn new(
        provider_token: Option<ProviderToken>,
        requests: Requests,
        tls: ClientConfig,
        destination: Destination,
        options: Arc<Options>,
        tasks: Tasks,
    ) -> Self {
        let now = Instant::now();
        Self {
            provider_token,
            requests,
            tls: Arc::new(tls),
            destination,
            options,
            tasks,
            began: now,
            used_ms: AtomicU64::new(0),
            state: Mutex::new(State {
                open: Vec::new(),
                connecting: false,
                waiting: VecDeque::new(),
                failures: 0,
                not_before: now,
                last_failure: None,
                paid_off: now,
            }),
        }
    }

    /// When it was last asked for a connection.
    pub(super) fn used(&self) -> Instant {
        self.began + Duration::from_millis(self.used_ms.load(Ordering::Relaxed))
    }

    /// A place on the connection with the fewest requests in flight, or on the next connection that has one.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, NoLease> {
        let now = Instant::now();
        let used = now.saturating_duration_since(self.began).as_millis();
        self.used_ms.store(u64::try_from(used).unwrap_or(u64::MAX), Ordering::Relaxed);
        let leased = {
            let mut state = self.state();
            if let Some(lease) = self.lease_now(&mut state) {
                lease.connection.use_at(now);
                return Ok(lease);
            }
            self.connect_if_allowed(&mut state, now)?;
            let (waiting, leased) = oneshot::channel();
            if state.waiting.len().is_multiple_of(TIDY_EVERY) {
                state.waiting.retain(|waiting| !waiting.is_closed());
            }
            state.waiting.push_back(waiting);
            leased
        };
        let leased = leased.await.unwrap_or_else(|_| Err(NoLease::closed()));
        leased.inspect(|lease| lease.connection.use_at(Instant::now()))
    }

    /// APNs has answered: the connection is of use. If APNs has also taken the provider token, the connection may have more than one request at a
    /// time.
    pub(super) fn answered(self: &Arc<Self>, lease: &Lease, takes_the_token: bool) {
        if lease.settled {
            return;
        }
        let mut state = self.state();
        let Some(slot) = state.slot(&lease.connection) else { return };
        slot.useful = true;
        slot.proven |= takes_the_token;
        state.failures = 0;
        self.serve_waiting(&mut state);
    }

    fn lease_now(self: &Arc<Self>, state: &mut State) -> Option<Lease> {
        let most = self.options.max_streams;
        let free = state
            .open
            .iter_mut()
            .filter(|slot| slot.connection.is_open() && slot.in_flight < slot.room(most));
        let slot = free.min_by_key(|slot| slot.in_flight)?;
        slot.in_flight += 1;
        let settled = slot.proven && slot.useful;
        Some(Lease { connection: Arc::clone(&slot.connection), settled, pool: Arc::downgrade(self) })
    }

    fn serve_waiting(self: &Arc<Self>, state: &mut State) {
        while let Some(waiting) = state.waiting.pop_front() {
            // The push that waited may have given up.
            if waiting.is_closed() {
                continue;
            }
            let Some(lease) = self.lease_now(state) else {
                state.waiting.push_front(waiting);
                return;
            };
            if let Err(Ok(lease)) = waiting.send(Ok(lease)) {
                self.take_back(state, lease);
            }
        }
    }

    /// Ends a lease under the lock, where dropping it would wait for the lock.
    fn take_back(&self, state: &mut State, mut lease: Lease) {
        lease.pool = Weak::new();
        self.free(state, &lease.connection);
    }

    /// Another connection, unless one is on its way or unproven, or there are enough. An error when none is to be expected.
    fn connect_if_allowed(self: &Arc<Self>, state: &mut State, now: Instant) -> Result<(), NoLease> {
        if self.tasks.stop.is_cancelled() {
            return Err(NoLease::closed());
        }
        let on_its_way =
            state.connecting || state.open.iter().any(|slot| slot.connection.is_open() && !slot.proven);
        if on_its_way || state.in_use() >= self.options.max_connections {
            return Ok(());
        }
        let debt = self.options.connect_interval * self.options.connects_in_a_row.saturating_sub(1);
        let allowed = state.not_before.max(state.paid_off.checked_sub(debt).unwrap_or(now));
        if allowed > now {
            // An open connection has room at some time.
            if !state.open.is_empty() {
                return Ok(());
            }
            let many = || NoConnection::Failed("too many connections failed one after the other".to_owned());
            let why = state.last_failure.clone().unwrap_or_else(many);
            return Err(NoLease { why, after: Some(allowed - now) });
        }
        state.paid_off = state.paid_off.max(now) + self.options.connect_interval;
        state.connecting = true;
        let pool = Arc::clone(self);
        self.tasks.tracker.spawn(async move {
            let stop = pool.tasks.stop.clone();
            tokio::select! {
                () = Self::connect(Arc::clone(&pool)) => {}
                () = stop.cancelled() => pool.state().waiting.clear(),
            }
        });
        Ok(())
    }

    async fn connect(self: Arc<Self>) {
        // With a token there is one stream at first, whatever SETTINGS will say; a certificate is proven by the handshake.
        let by_token = self.provider_token.is_some();
        let first_streams = if by_token { 1 } else { self.options.max_streams.min(100) };
        let opening = Connection::open(&self.destination, Arc::clone(&self.tls), first_streams);
        let opened = tokio::time::timeout(self.options.connect_limit, opening).await;
        let in_time = self.options.connect_limit;
        let opened = opened.unwrap_or_else(|_| {
            Err(NoConnection::Failed(format!("no connection to APNs within {in_time:?}")))
        });
        let mut state = self.state();
        state.connecting = false;
        match opened {
            Ok((connection, driver)) => {
                let connection = Arc::new(connection);
                let slot = Slot {
                    connection: Arc::clone(&connection),
                    in_flight: 0,
                    proven: !by_token,
                    useful: false,
                };
                state.open.push(slot);
                self.serve_waiting(&mut state);
                drop(state);
                // The task must not keep the pool, nor the connection, or neither would ever end by itself.
                let (pool, of) = (Arc::downgrade(&self), Arc::downgrade(&connection));
                let (ping_after, ping_limit) = (self.options.ping_after, self.options.ping_limit);
                let stop = self.tasks.stop.clone();
                self.tasks.tracker.spawn(async move {
                    let trusted_again = || {
                        if let Some(pool) = pool.upgrade() {
                            pool.serve_waiting(&mut pool.state());
                        }
                    };
                    driver.run(ping_after, ping_limit, stop, trusted_again).await;
                    if let (Some(pool), Some(connection)) = (pool.upgrade(), of.upgrade()) {
                        pool.lost(&connection);
                    }
                });
            }
            Err(why) => self.back_off(&mut state, &why),
        }
    }

    /// A connection has ended.
    fn lost(self: &Arc<Self>, connection: &Arc<Connection>) {
        let mut state = self.state();
        if let Some(index) = state.open.iter().position(|slot| Arc::ptr_eq(&slot.connection, connection)) {
            let slot = state.open.swap_remove(index);
            self.left(&mut state, &slot);
        }
        self.look_after_waiting(&mut state);
    }

    /// A request has ended. Connections that take no further requests end with their last one.
    fn free(&self, state: &mut State, connection: &Arc<Connection>) {
        let slot = state.slot(connection);
        let Some(slot) = slot else { return };
        slot.in_flight = slot.in_flight.saturating_sub(1);
        if slot.in_flight == 0
            && slot.connection.is_retired()
            && let Some(index) = state.open.iter().position(|slot| Arc::ptr_eq(&slot.connection, connection))
        {
            let slot = state.open.swap_remove(index);
            self.left(state, &slot);
        }
    }

    /// A connection is gone. If it was never of use, the next one has to wait.
    fn left(&self, state: &mut State, slot: &Slot) {
        if !slot.useful {
            let closed = || NoConnection::Failed("APNs closed the connection".to_owned());
            let why = slot.connection.refusal().map_or_else(closed, NoConnection::Misconfigured);
            self.back_off(state, &why);
        }
    }

    /// The next connection waits about twice as long as this one has. Pushes that wait for it, and have no other connection, are told.
    fn back_off(&self, state: &mut State, why: &NoConnection) {
        let doubled = 1_u32.checked_shl(state.failures).unwrap_or(u32::MAX);
        let wait = self.options.first_back_off.saturating_mul(doubled).min(self.options.longest_back_off);
        let wait = jittered(wait);
        state.failures = (state.failures + 1).min(16);
        state.not_before = state.not_before.max(Instant::now() + wait);
        state.last_failure = Some(why.clone());
        if state.open.is_empty() {
            for waiting in state.waiting.drain(..) {
                // The push that waited may have given up.
                let _ = waiting.send(Err(NoLease { why: why.clone(), after: Some(wait) }));
            }
        }
    }

    /// Pushes that wait for a place on a connection that is gone need another.
    fn look_after_waiting(self: &Arc<Self>, state: &mut State) {
        self.serve_waiting(state);
        if !state.waiting.is_empty()
            && let Err(none) = self.connect_if_allowed(state, Instant::now())
        {
            for waiting in state.waiting.drain(..) {
                // The push that waited may have given up.
                let _ = waiting.send(Err(none.clone()));
            }
        }
    }

    /// Nothing that panics is done under the lock, so the state is whole whatever happened to its last holder.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NoLease {
    fn closed() -> Self {
        Self { why: NoConnection::Failed("pushing has been stopped".to_owned()), after: None }
    }
}

impl State {
    fn slot(&mut self, connection: &Arc<Connection>) -> Option<&mut Slot> {
        self.open.iter_mut().find(|slot| Arc::ptr_eq(&slot.connection, connection))
    }

    /// Connections that take new requests.
    fn in_use(&self) -> usize {
        self.open.iter().filter(|slot| !slot.connection.is_retired()).count()
    }
}

impl Slot {
    fn room(&self, most: usize) -> usize {
        if self.proven {
            // With a limit of 0 one request waits until there is another limit; without a request the limit would not be looked at again.
            self.connection.max_streams().min(most).max(1)
        } else {
            1
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            let mut state = pool.state();
            pool.free(&mut state, &self.connection);
            pool.look_after_waiting(&mut state);
        }
    }
}

/// Between half and the whole, so that processes which failed together do not come back together.
#[expect(clippy::disallowed_methods, reason = "jitter decides nothing that is stored")]
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.5..=1.0))
}
