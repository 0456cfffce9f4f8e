//! Commands on their way to aggregates: carried by the dispatcher, counted here by what became of them.

use std::sync::Arc;
use std::time::Duration;

use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Committed, DispatchError, Dispatcher, Log, Metadata};
use tokio::time::Instant;

use crate::metrics::{CommandResult, Metric, Metrics, Value};
use crate::request_context::{self, Spent};

/// Carries commands to aggregates.
#[derive(Debug)]
pub struct Commands {
    dispatcher: Dispatcher<Log>,
    metrics: Metrics,
}

impl Commands {
    /// Commands whose events go into this log.
    pub fn new(log: Arc<Log>, metrics: Metrics) -> Self {
        Self { dispatcher: Dispatcher::new(log, Upcasters::current()), metrics }
    }

    /// See [`Dispatcher::dispatch`].
    ///
    /// # Errors
    /// [`DispatchError`]. A refusal or a conflict has appended nothing.
    pub async fn dispatch<A>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
    ) -> Result<Committed<A>, DispatchError<A::Error>>
    where
        A: Snapshot,
        A::Command: Clone,
        for<'a> &'a A::Command: Into<&'static str>,
    {
        let name = (&command).into();
        let started = Instant::now();
        let outcome = self.dispatcher.dispatch::<A>(aggregate_id, command, services, metadata).await;
        self.note::<A>(name, result(&outcome), started.elapsed());
        outcome
    }

    fn note<A: Snapshot>(&self, name: &'static str, result: CommandResult, duration: Duration) {
        let [aggregate, command] = Value::command::<A>(name);
        self.metrics.count(Metric::Commands, &[aggregate, command, result.into()]);
        self.metrics.observe(Metric::CommandDuration, &[aggregate], duration);
        request_context::note(Spent::Log, duration);
    }
}

fn result<A: Snapshot>(outcome: &Result<Committed<A>, DispatchError<A::Error>>) -> CommandResult {
    match outcome {
        Ok(committed) if committed.events.is_empty() => CommandResult::Unchanged,
        Ok(_) => CommandResult::Changed,
        Err(DispatchError::Refused(_)) => CommandResult::Refused,
        Err(DispatchError::Conflict) => CommandResult::Conflict,
        Err(DispatchError::Log(_) | DispatchError::OutcomeUnknown(_)) => CommandResult::Unavailable,
        Err(DispatchError::Undecodable { .. }) => CommandResult::Undecodable,
    }
}
