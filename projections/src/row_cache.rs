//! Rows of `wallet_pass` in memory, never older than the table.
//!
//! Most of what phones ask is answered from one row, and hardly any row changes between two questions. The rows are kept only where this process
//! alone writes the table, which is so on SQLite while its projector runs; elsewhere the cache stays off, and everybody asks the table.
//!
//! Why a row is never stale:
//! - A batch says which rows it may change before it changes them ([`RowCache::change`]). They are taken out, and nobody puts them back until it
//!   is committed.
//! - Whoever reads the table takes a ticket first ([`RowCache::ticket`]). What was read is put in only if no change of the row has begun since
//!   ([`RowCache::put`]): a reader that was overtaken by a commit drops what it read.
//! - Whatever else writes rows, and every failure, turns the cache off, which also forgets all rows. The projector turns it on again after its
//!   next success.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use honoken_domain::ids::PassId;
use honoken_event_store::RecordedEvent;
use moka::sync::Cache;

use crate::rows::pass::PassRow;

/// Bytes of rows kept in memory, roughly: some hundred thousand rows.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// What a row takes beside its texts.
const ROW_BYTES: usize = 300;

/// Rows share their books with others: enough that two that are asked for at once hardly ever share a lock.
const BOOKS: usize = 256;

/// A cache that will never be on again.
const OFF_FOR_GOOD: u64 = u64::MAX - 1;

/// The rows. Clones share them.
#[derive(Clone)]
pub(crate) struct RowCache(Arc<Shared>);

struct Shared {
    rows: Cache<PassId, Kept>,
    /// Odd while the cache is on. It only grows, so what was put in under another number does not count.
    generation: AtomicU64,
    books: [Mutex<Book>; BOOKS],
    hasher: RandomState,
    looked_for: AtomicU64,
}

#[derive(Clone)]
struct Kept {
    generation: u64,
    row: PassRow,
}

/// The changes of some rows.
#[derive(Debug, Default)]
struct Book {
    begun: u64,
    open: u64,
}

/// Says when the reading of a row began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    generation: u64,
    begun: u64,
}

/// A change of rows that is under way. Dropping it without [`done`](Self::done) means that nobody knows what became of it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Change {
    cache: RowCache,
    books: Vec<usize>,
    done: bool,
}

impl Default for RowCache {
    /// An empty cache, off.
    fn default() -> Self {
        let weigh = |id: &PassId, kept: &Kept| {
            let texts = [
                id.pass_type_identifier.as_str(),
                id.serial_number.as_str(),
                kept.row.authentication_token.as_str(),
                kept.row.etag.as_str(),
            ];
            let bytes = texts.iter().map(|text| text.len()).sum::<usize>() + ROW_BYTES;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self(Arc::new(Shared {
            rows: Cache::builder().weigher(weigh).max_capacity(CACHE_BYTES).build(),
            generation: AtomicU64::new(0),
            books: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            looked_for: AtomicU64::new(0),
        }))
    }
}

impl RowCache {
    /// A row as the table has it now.
    pub(crate) fn get(&self, id: &PassId) -> Option<PassRow> {
        self.0.looked_for.fetch_add(1, Ordering::Relaxed);
        let generation = self.generation()?;
        self.0.rows.get(id).filter(|kept| kept.generation == generation).map(|kept| kept.row)
    }

    /// How often a row was looked for since this was last called, whether it was there or not.
    pub(crate) fn take_looked_for(&self) -> u64 {
        self.0.looked_for.swap(0, Ordering::Relaxed)
    }

    /// To be taken before the table is read; `None` when what is read is not to be kept.
    pub(crate) fn ticket(&self, id: &PassId) -> Option<Ticket> {
        let generation = self.generation()?;
        let book = self.book(self.number_of(id));
        (book.open == 0).then_some(Ticket { generation, begun: book.begun })
    }

    /// Keeps what was read since the ticket was taken, unless a change has begun meanwhile.
    pub(crate) fn put(&self, ticket: Ticket, id: &PassId, row: &PassRow) {
        // Held while the row is put in: a change that begins now waits, and takes it out again.
        let book = self.book(self.number_of(id));
        if book.open == 0 && book.begun == ticket.begun && self.generation() == Some(ticket.generation) {
            let kept = Kept { generation: ticket.generation, row: row.clone() };
            self.0.rows.insert(id.clone(), kept);
        }
    }

    /// Takes out the rows that these events may change, before the table is touched.
    pub(crate) fn change(&self, events: &[RecordedEvent]) -> Change {
        let mut change = Change { cache: self.clone(), books: Vec::new(), done: false };
        // While it is off nobody holds a ticket, and it is not turned on before this change has ended.
        if self.generation().is_none() {
            return change;
        }
        for recorded in events.iter().filter(|recorded| recorded.event.aggregate_type == "Pass") {
            // What is no id of a pass has no row.
            let Ok(id) = PassId::parse(&recorded.event.aggregate_id) else { continue };
            let number = self.number_of(&id);
            let mut book = self.book(number);
            book.begun += 1;
            book.open += 1;
            self.0.rows.invalidate(&id);
            change.books.push(number);
        }
        change
    }

    /// For the one who writes the table, between two changes.
    pub(crate) fn turn_on(&self) {
        self.flip(|generation| generation.is_multiple_of(2) && generation != OFF_FOR_GOOD);
    }

    /// Before rows are changed in any other way than by [`change`](Self::change).
    pub(crate) fn turn_off(&self) {
        self.flip(|generation| !generation.is_multiple_of(2));
    }

    /// Before somebody else changes rows beside the projector.
    pub(crate) fn turn_off_for_good(&self) {
        self.0.generation.store(OFF_FOR_GOOD, Ordering::SeqCst);
    }

    fn flip(&self, wanted: impl Fn(u64) -> bool) {
        let flip = |generation| wanted(generation).then(|| generation + 1);
        // Nothing to flip is as good: it is as it is wanted.
        let _ = self.0.generation.fetch_update(Ordering::SeqCst, Ordering::SeqCst, flip);
    }

    /// `None` while the cache is off.
    fn generation(&self) -> Option<u64> {
        let generation = self.0.generation.load(Ordering::SeqCst);
        (!generation.is_multiple_of(2)).then_some(generation)
    }

    fn number_of(&self, id: &PassId) -> usize {
        usize::try_from(self.0.hasher.hash_one(id) % BOOKS as u64).unwrap_or_default()
    }

    fn book(&self, number: usize) -> MutexGuard<'_, Book> {
        // Nothing between lock and unlock can panic half way.
        self.0.books[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    /// The change is committed: readers may keep the rows again.
    pub(crate) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.done {
            self.cache.turn_off();
        }
        for number in &self.books {
            self.cache.book(*number).open -= 1;
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

    fn that_is_on() -> RowCache {
        let cache = RowCache::default();
        cache.turn_on();
        cache
    }

    fn reads(cache: &RowCache, row: &PassRow) {
        let ticket = cache.ticket(&id()).expect("a ticket");
        cache.put(ticket, &id(), row);
    }

    #[test]
    fn what_was_read_is_answered_until_it_changes() {
        let cache = that_is_on();
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
    fn a_reader_that_was_overtaken_by_a_commit_keeps_nothing() {
        let cache = that_is_on();
        let before = cache.ticket(&id()).expect("a ticket");
        let change = cache.change(&[event(&id())]);
        assert!(cache.ticket(&id()).is_none(), "while it changes nobody knows which row was read");
        cache.put(before, &id(), &row("a"));
        assert_eq!(cache.get(&id()), None, "put in before the commit");
        change.done();
        cache.put(before, &id(), &row("a"));
        assert_eq!(cache.get(&id()), None, "put in after the commit");
    }

    #[test]
    fn a_change_nobody_knows_the_end_of_turns_the_cache_off() {
        let cache = that_is_on();
        let other = PassId::parse("pass.com.example.museum/A-2").unwrap();
        let before = cache.ticket(&other).expect("a ticket");
        reads(&cache, &row("a"));
        drop(cache.change(&[event(&other)]));
        assert_eq!(cache.get(&id()), None);
        assert!(cache.ticket(&id()).is_none());
        cache.turn_on();
        assert_eq!(cache.get(&id()), None, "what was kept before does not count any more");
        cache.put(before, &other, &row("a"));
        assert_eq!(cache.get(&other), None, "nor does what was read before");
        reads(&cache, &row("b"));
        assert_eq!(cache.get(&id()), Some(row("b")), "no change is left open");
    }

    #[test]
    fn it_is_off_until_it_is_turned_on_and_may_be_off_for_good() {
        let cache = RowCache::default();
        assert!(cache.ticket(&id()).is_none());
        cache.turn_on();
        cache.turn_on();
        reads(&cache, &row("a"));
        cache.turn_off();
        cache.turn_off();
        assert_eq!(cache.get(&id()), None);
        cache.turn_on();
        reads(&cache, &row("a"));
        cache.turn_off_for_good();
        cache.turn_on();
        assert_eq!(cache.get(&id()), None);
        assert!(cache.ticket(&id()).is_none());
    }
}
