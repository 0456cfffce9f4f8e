//! The aggregates that were used last, in memory, so that most commands read nothing.
//!
//! A state in here is the result of some first events of a stream, and other processes may have appended more. That is safe where events are
//! appended, since an append behind events that are not in the state is a conflict. Where none are, `dispatch` reads the later events before it
//! answers.

use std::any::Any;
use std::sync::Arc;

use moka::future::Cache;

use crate::position::Position;

/// JSON that all states together were made from, in bytes. In memory they take several times as much.
const CAPACITY: u64 = 16 * 1024 * 1024;

/// The weight of a state beyond its JSON.
const OVERHEAD: u64 = 512;

/// An aggregate after one of its events.
#[derive(Debug, Clone, Default)]
pub(crate) struct State<A> {
    pub(crate) aggregate: Arc<A>,
    /// Sequence of that event, 0 before the first.
    pub(crate) sequence: u64,
    /// Position of that event, where it is known.
    pub(crate) position: Option<Position>,
    /// Sequence of the stored state that this was made from, 0 for none.
    pub(crate) stored_at: u64,
    /// Whether other processes were met at the last command.
    pub(crate) contended: bool,
    /// Bytes of JSON that this was made from.
    pub(crate) bytes: u64,
}

type Key = (&'static str, String);

/// Type and id of an aggregate to its state.
pub(crate) struct States(Cache<Key, Entry>);

#[derive(Clone)]
struct Entry {
    state: Arc<dyn Any + Send + Sync>,
    weight: u32,
}

impl std::fmt::Debug for States {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("States").field("entries", &self.0.entry_count()).finish()
    }
}

impl States {
    pub(crate) fn new() -> Self {
        let weigher = |_: &Key, entry: &Entry| entry.weight;
        Self(Cache::builder().max_capacity(CAPACITY).weigher(weigher).build())
    }

    pub(crate) async fn get<A: Send + Sync + Clone + 'static>(&self, key: &Key) -> Option<State<A>> {
        let entry = self.0.get(key).await?;
        entry.state.downcast_ref::<State<A>>().cloned()
    }

    pub(crate) async fn put<A: Send + Sync + 'static>(&self, key: Key, state: State<A>) {
        let weight = u32::try_from(state.bytes + key.1.len() as u64 + OVERHEAD).unwrap_or(u32::MAX);
        self.0.insert(key, Entry { state: Arc::new(state), weight }).await;
    }
}
