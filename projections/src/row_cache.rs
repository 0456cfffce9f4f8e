//! Rows of `wallet_pass` in memory, never older than the table.
//!
//! Most requests of phones are answered from one row, and hardly any row changes between two requests. Rows are cached only where this process
//! alone writes the table, which is so on SQLite while its projector runs; elsewhere the cache stays off, and every request reads the table.
//!
//! Why a row is never stale:
//! - A batch announces the rows that it may change before it changes them ([`RowCache::change`]). They are removed, and no reader puts them
//!   back until the batch is committed.
//! - A reader of the table takes a ticket first ([`RowCache::ticket`]). Its row is cached only if no change of the row has begun since
//!   ([`RowCache::put`]): a reader that was overtaken by a commit drops its row.
//! - Every other way of writing rows, and every failure, turns the cache off, which also forgets all rows. The projector turns it on again
//!   after its next success.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use honoken_domain::ids::PassId;
use honoken_event_store::RecordedEvent;
use moka::sync::Cache;

use crate::rows::pass::PassRow;

/// Bytes of rows in the cache, roughly: some hundred thousand rows.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of a row beside its texts.
const ROW_BYTES: usize = 300;

/// Rows share a lock and a count of changes with the others of their stripe. There are enough stripes that two rows that are asked for at once
/// hardly ever share one.
const STRIPES: usize = 256;

/// The rows. Clones share them.
#[derive(Clone)]
pub(crate) struct RowCache(Arc<Shared>);

struct Shared {
    rows: Cache<PassId, CachedRow>,
    /// Odd while the cache is on. It only grows, and a row that was cached under another generation does not count.
    generation: AtomicU64,
    stripes: [Mutex<Stripe>; STRIPES],
    hasher: RandomState,
    lookups: AtomicU64,
}

#[derive(Clone)]
struct CachedRow {
    generation: u64,
    row: PassRow,
}

/// How many changes of the rows of a stripe have begun, and how many are not committed.
#[derive(Debug, Default)]
struct Stripe {
    begun: u64,
    open: u64,
}

/// The moment at which the reading of a row began, in changes of its stripe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    generation: u64,
    begun: u64,
}

/// A change of rows that is not committed. Dropping it without [`done`](Self::done) means that its outcome is unknown.
#[derive(Debug)]
#[must_use]
pub(crate) struct Change {
    cache: RowCache,
    stripes: Vec<usize>,
    done: bool,
}

impl Default for RowCache {
    /// An empty cache, off.
    fn default() -> Self {
        let weigh = |id: &PassId, cached: &CachedRow| {
            let texts = [
                id.pass_type_identifier.as_str(),
                id.serial_number.as_str(),
                cached.row.authentication_token.as_str(),
                cached.row.etag.as_str(),
            ];
            let bytes = texts.iter().map(|text| text.len()).sum::<usize>() + ROW_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self(Arc::new(Shared {
            rows: Cache::builder().weigher(weigh).max_capacity(CACHE_BYTES).build(),
            generation: AtomicU64::new(0),
            stripes: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            lookups: AtomicU64::new(0),
        }))
    }
}

impl RowCache {
    /// A row as the table has it now.
    pub(crate) fn get(&self, id: &PassId) -> Option<PassRow> {
        self.0.lookups.fetch_add(1, Ordering::Relaxed);
        let generation = self.generation()?;
        self.0.rows.get(id).filter(|cached| cached.generation == generation).map(|cached| cached.row)
    }

    /// How often a row was looked up since the last call, with or without success.
    pub(crate) fn take_lookups(&self) -> u64 {
        self.0.lookups.swap(0, Ordering::Relaxed)
    }

    /// To be taken before the table is read; `None` when the row is not to be cached.
    pub(crate) fn ticket(&self, id: &PassId) -> Option<Ticket> {
        let generation = self.generation()?;
        let stripe = self.stripe(self.stripe_index(id));
        (stripe.open == 0).then_some(Ticket { generation, begun: stripe.begun })
    }

    /// Caches a row that was read since the ticket was taken, unless a change has begun meanwhile.
    pub(crate) fn put(&self, ticket: Ticket, id: &PassId, row: &PassRow) {
        // Locked while the row is put in: a change that begins now waits, and removes it again.
        let stripe = self.stripe(self.stripe_index(id));
        if stripe.open == 0 && stripe.begun == ticket.begun && self.generation() == Some(ticket.generation) {
            let cached = CachedRow { generation: ticket.generation, row: row.clone() };
            self.0.rows.insert(id.clone(), cached);
        }
    }

    /// Removes the rows that these events may change, before the table is changed.
    pub(crate) fn change(&self, events: &[RecordedEvent]) -> Change {
        let mut change = Change { cache: self.clone(), stripes: Vec::new(), done: false };
        // While the cache is off no reader has a ticket, and it is not turned on before this change has ended.
        if self.generation().is_none() {
            return change;
        }
        for recorded in events.iter().filter(|recorded| recorded.event.aggregate_type == "Pass") {
            // An aggregate whose id is not one of a pass has no row.
            let Ok(id) = PassId::parse(&recorded.event.aggregate_id) else { continue };
            let index = self.stripe_index(&id);
            let mut stripe = self.stripe(index);
            stripe.begun += 1;
            stripe.open += 1;
            self.0.rows.invalidate(&id);
            change.stripes.push(index);
        }
        change
    }

    /// To be called by the writer of the table, between two changes.
    pub(crate) fn turn_on(&self) {
        self.flip(|generation| generation.is_multiple_of(2));
    }

    /// To be called before rows are changed in any other way than by [`change`](Self::change).
    pub(crate) fn turn_off(&self) {
        self.flip(|generation| !generation.is_multiple_of(2));
    }

    fn flip(&self, must_flip: impl Fn(u64) -> bool) {
        let flip = |generation| must_flip(generation).then(|| generation + 1);
        // An error means that the cache was on, or off, already.
        let _ = self.0.generation.fetch_update(Ordering::SeqCst, Ordering::SeqCst, flip);
    }

    /// `None` while the cache is off.
    fn generation(&self) -> Option<u64> {
        let generation = self.0.generation.load(Ordering::SeqCst);
        (!generation.is_multiple_of(2)).then_some(generation)
    }

    fn stripe_index(&self, id: &PassId) -> usize {
        usize::try_from(self.0.hasher.hash_one(id) % STRIPES as u64).unwrap_or_default()
    }

    fn stripe(&self, index: usize) -> MutexGuard<'_, Stripe> {
        // No code between lock and unlock can panic half way.
        self.0.stripes[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    /// The change is committed: readers may cache the rows again.
    pub(crate) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.done {
            self.cache.turn_off();
        }
        for index in &self.stripes {
            self.cache.stripe(*index).open -= 1;
        }
    }
}

impl fmt::Debug for RowCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowCache").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::persist::SerializedEvent;
    use honoken_domain::ids::{AuthenticationToken, ETag, UnixSeconds};
    use honoken_event_store::Position;
    use serde_json::Value;

    use super::*;

    fn id() -> PassId {
        PassId::parse("pass.com.example.museum/A-1").unwrap()
    }

    fn row(tag: &str) -> PassRow {
        PassRow {
            authentication_token: AuthenticationToken::parse("0123456789abcdef").unwrap(),
            etag: ETag::parse(tag.repeat(64)).unwrap(),
            updated_at: UnixSeconds(1_700_000_000),
        }
    }

    fn event(id: &PassId) -> RecordedEvent {
        let event = SerializedEvent {
            aggregate_id: String::from(id.clone()),
            sequence: 2,
            aggregate_type: "Pass".into(),
            event_type: "PassVoided".into(),
            event_version: "1.0".into(),
            payload: Value::Null,
            metadata: Value::Null,
        };
        RecordedEvent { position: Position(2), recorded_at_ms: 0, event }
    }

    fn cache_that_is_on() -> RowCache {
        let cache = RowCache::default();
        cache.turn_on();
        cache
    }

    fn reads(cache: &RowCache, row: &PassRow) {
        let ticket = cache.ticket(&id()).expect("a ticket");
        cache.put(ticket, &id(), row);
    }

    #[test]
    fn a_row_is_answered_from_memory_until_it_changes() {
        let cache = cache_that_is_on();
        reads(&cache, &row("a"));
        assert_eq!(cache.get(&id()), Some(row("a")));
        let change = cache.change(&[event(&id())]);
        assert_eq!(cache.get(&id()), None);
        change.done();
        assert_eq!(cache.get(&id()), None);
        reads(&cache, &row("b"));
        assert_eq!(cache.get(&id()), Some(row("b")));
    }

    #[test]
    fn a_reader_that_was_overtaken_by_a_commit_caches_nothing() {
        let cache = cache_that_is_on();
        let before = cache.ticket(&id()).expect("a ticket");
        let change = cache.change(&[event(&id())]);
        assert!(cache.ticket(&id()).is_none(), "while it changes the table may hold either row");
        cache.put(before, &id(), &row("a"));
        assert_eq!(cache.get(&id()), None, "put in before the commit");
        change.done();
        cache.put(before, &id(), &row("a"));
        assert_eq!(cache.get(&id()), None, "put in after the commit");
    }

    #[test]
    fn a_change_with_an_unknown_outcome_turns_the_cache_off() {
        let cache = cache_that_is_on();
        let other = PassId::parse("pass.com.example.museum/A-2").unwrap();
        let before = cache.ticket(&other).expect("a ticket");
        reads(&cache, &row("a"));
        drop(cache.change(&[event(&other)]));
        assert_eq!(cache.get(&id()), None);
        assert!(cache.ticket(&id()).is_none());
        cache.turn_on();
        assert_eq!(cache.get(&id()), None, "a row that was cached before no longer counts");
        cache.put(before, &other, &row("a"));
        assert_eq!(cache.get(&other), None, "nor does one that was read before");
        reads(&cache, &row("b"));
        assert_eq!(cache.get(&id()), Some(row("b")), "no change is left open");
    }

    #[test]
    fn it_is_off_until_it_is_turned_on() {
        let cache = RowCache::default();
        assert!(cache.ticket(&id()).is_none());
        cache.turn_on();
        cache.turn_on();
        reads(&cache, &row("a"));
        cache.turn_off();
        cache.turn_off();
        assert_eq!(cache.get(&id()), None);
        assert!(cache.ticket(&id()).is_none());
    }
}
