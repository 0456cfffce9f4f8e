//! An event log whose positions are the numbers of its events, whatever the engine makes of them: so the same expectations hold for every engine.

use std::sync::Mutex;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use honoken_event_store::{
    Append, AppendError, Epoch, EventLog, Log, LogError, Position, RecordedEvent, Snapshots, StoredSnapshot,
};
use tokio::sync::watch;

/// A log of any engine.
pub(crate) struct Numbered {
    log: Log,
    /// The position of each event, where that is not its number.
    positions: Option<Mutex<Vec<Position>>>,
    head: watch::Sender<Position>,
}

impl std::ops::Deref for Numbered {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

impl Numbered {
    pub(crate) async fn new(log: Log) -> Self {
        let positions = (!log.is_gapless()).then(Mutex::default);
        let numbered = Self { log, positions, head: watch::Sender::new(Position(0)) };
        numbered.look().await;
        numbered
    }

    pub(crate) async fn close(self) {
        self.log.close().await;
    }

    /// Numbers what is new.
    async fn look(&self) {
        let Some(positions) = &self.positions else { return };
        loop {
            let last = positions.lock().unwrap().last().copied().unwrap_or_default();
            let found: Vec<Position> = match self.log.read_after(last, 1_000).await {
                Ok(events) => events.iter().map(|event| event.position).collect(),
                Err(LogError::Unreadable { event, .. }) => vec![event.position],
                Err(_) => return,
            };
            let mut positions = positions.lock().unwrap();
            // Another look may have been faster.
            let known = positions.last().copied().unwrap_or_default();
            let count = found.len();
            positions.extend(found.into_iter().filter(|position| *position > known));
            if count == 0 {
                let head = Position(positions.len() as u64);
                drop(positions);
                self.head.send_if_modified(|known| std::mem::replace(known, head.max(*known)) < head);
                return;
            }
        }
    }

    /// Numbers events that were read behind one that has its number.
    fn learn(&self, events: &[RecordedEvent]) {
        let Some(positions) = &self.positions else { return };
        let mut positions = positions.lock().unwrap();
        let known = positions.last().copied().unwrap_or_default();
        positions.extend(events.iter().map(|event| event.position).filter(|position| *position > known));
    }

    fn number(&self, position: Position) -> Position {
        let Some(positions) = &self.positions else { return position };
        let positions = positions.lock().unwrap();
        Position(positions.partition_point(|known| *known <= position) as u64)
    }

    /// The position behind a number; one beyond the end is beyond the end.
    fn position(&self, number: Position) -> Position {
        let Some(positions) = &self.positions else { return number };
        let Some(index) = number.0.checked_sub(1) else { return number };
        let positions = positions.lock().unwrap();
        usize::try_from(index).ok().and_then(|index| positions.get(index)).copied().unwrap_or(number)
    }

    fn renamed(&self, mut event: RecordedEvent) -> RecordedEvent {
        event.position = self.number(event.position);
        event
    }

    fn told(&self, fault: LogError) -> LogError {
        match fault {
            LogError::Unreadable { event, source } => {
                LogError::Unreadable { event: Box::new(self.renamed(*event)), source }
            }
            fault => fault,
        }
    }
}

impl EventLog for Numbered {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        let position = self.log.append(append).await?;
        self.look().await;
        Ok(self.number(position))
    }

    async fn turn(
        &self,
        aggregate_type: &'static str,
        aggregate_id: &str,
    ) -> Option<honoken_event_store::postgres::Turn> {
        self.log.turn(aggregate_type, aggregate_id).await
    }

    async fn load<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<SerializedEvent>, LogError> {
        self.log.load::<A>(aggregate_id, after_sequence).await.map_err(|fault| self.told(fault))
    }

    async fn history<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let events = self.log.history::<A>(aggregate_id, after_sequence, limit).await?;
        self.look().await;
        Ok(events.into_iter().map(|event| self.renamed(event)).collect())
    }

    async fn position_of<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Option<Position>, LogError> {
        let position = self.log.position_of::<A>(aggregate_id, sequence).await?;
        self.look().await;
        Ok(position.map(|position| self.number(position)))
    }

    async fn read_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        self.look().await;
        if self.positions.is_some() && position > *self.head.borrow() {
            return Ok(Vec::new());
        }
        let events = self.log.read_after(self.position(position), limit).await;
        let events = events.map_err(|fault| self.told(fault))?;
        self.learn(&events);
        Ok(events.into_iter().map(|event| self.renamed(event)).collect())
    }

    async fn event_at(&self, position: Position) -> Result<Option<RecordedEvent>, LogError> {
        self.look().await;
        let event = self.log.event_at(self.position(position)).await.map_err(|fault| self.told(fault))?;
        Ok(event.map(|event| self.renamed(event)))
    }

    async fn reaches(&self, position: Position) -> Result<bool, LogError> {
        self.look().await;
        if self.positions.is_some() && position > *self.head.borrow() {
            return Ok(false);
        }
        self.log.reaches(self.position(position)).await
    }

    fn head(&self) -> watch::Receiver<Position> {
        if self.positions.is_none() { self.log.head() } else { self.head.subscribe() }
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }
}

impl Snapshots for Numbered {
    async fn load_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
    ) -> Result<Option<StoredSnapshot>, LogError> {
        let snapshot = self.log.load_snapshot(aggregate_type, aggregate_id).await?;
        Ok(snapshot.map(|snapshot| StoredSnapshot { position: self.number(snapshot.position), ..snapshot }))
    }

    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot) {
        let position = self.position(snapshot.position);
        self.log.store_snapshot(aggregate_type, aggregate_id, StoredSnapshot { position, ..snapshot });
    }
}
