//! A log that grows faster than it can be read.

use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Append, AppendError, Epoch, EventLog, LogError, Position, RecordedEvent};
use honoken_projections::OperationError;
use serde_json::json;
use tokio::sync::watch;

use crate::world::{Engine, Running, Stores, on_both_engines, soon};

/// Has as many events as anybody asks for; the first is of an aggregate that nobody knows.
struct Endless(watch::Sender<Position>);

impl EventLog for Endless {
    async fn append(&self, _: Append) -> Result<Position, AppendError> {
        Err(LogError::Closed.into())
    }

    async fn load<A: Aggregate>(&self, _: &str, _: u64) -> Result<Vec<SerializedEvent>, LogError> {
        Ok(Vec::new())
    }

    async fn history<A: Aggregate>(&self, _: &str, _: u64, _: u32) -> Result<Vec<RecordedEvent>, LogError> {
        Ok(Vec::new())
    }

    async fn position_of<A: Aggregate>(&self, _: &str, _: u64) -> Result<Option<Position>, LogError> {
        Ok(None)
    }

    async fn read_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        Ok((position.0 + 1..=position.0 + u64::from(limit)).map(event).collect())
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.0.subscribe()
    }

    fn epoch(&self) -> Epoch {
        Epoch(1)
    }
}

fn event(position: u64) -> RecordedEvent {
    let aggregate_type = if position == 1 { "Loyalty" } else { "BrandAssets" };
    RecordedEvent {
        position: Position(position),
        recorded_at_ms: 1,
        event: SerializedEvent::new(
            "brand".into(),
            usize::try_from(position).unwrap(),
            aggregate_type.into(),
            "BrandAssetsChanged".into(),
            "1".into(),
            json!({ "BrandAssetsChanged": { "assets": {} } }),
            json!({}),
        ),
    }
}

async fn follows_an_endless_log(stores: &Stores) -> Running {
    let log = Arc::new(Endless(watch::channel(Position(u64::MAX)).0));
    let running = Running::start(log, stores.location(), Upcasters::current()).await;
    running.reaches(Position(1000)).await;
    running
}

async fn an_operator_is_answered_while_the_projector_has_always_more_to_do(engine: Engine) {
    let stores = Stores::new(engine).await;
    let running = follows_an_endless_log(&stores).await;
    let retried = soon("an answer", running.projector.retry(Position(1))).await;
    assert!(matches!(retried, Err(OperationError::StillUnappliable(_))), "{retried:?}");
    running.stops().await;
}

async fn a_projector_that_has_always_more_to_do_can_be_stopped(engine: Engine) {
    let stores = Stores::new(engine).await;
    follows_an_endless_log(&stores).await.stops().await;
}

on_both_engines! {
    an_operator_is_answered_while_the_projector_has_always_more_to_do,
    a_projector_that_has_always_more_to_do_can_be_stopped,
}
