//! Carries commands to aggregates through the dispatcher, and counts their results.

use std::sync::Arc;
use std::time::Duration;

use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Committed, DispatchError, Dispatcher, Log, LogError, Metadata};
use honoken_telemetry::metrics::{CommandResult, Metric, Metrics, Value};
use honoken_telemetry::request::{self, Spent};
use tokio::time::Instant;

use crate::limits;

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

    /// See [`Dispatcher::dispatch`]. The deadline is that of the current request; a command without a request gets as much time.
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
        let deadline = deadline(started);
        let outcome =
            self.dispatcher.dispatch::<A>(aggregate_id, command, services, metadata, deadline).await;
        let result = outcome.as_ref().map_or_else(failure, changed);
        self.note::<A>(name, result, started.elapsed());
        outcome
    }

    /// See [`Dispatcher::dispatch_if`].
    ///
    /// # Errors
    /// [`DispatchError`]; the inner error is that of `admits`.
    pub async fn dispatch_if<A, R>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
        admits: impl FnMut(&[A::Event]) -> Result<(), R>,
    ) -> Result<Result<Committed<A>, R>, DispatchError<A::Error>>
    where
        A: Snapshot,
        A::Command: Clone,
        for<'a> &'a A::Command: Into<&'static str>,
    {
        let name = (&command).into();
        let started = Instant::now();
        let deadline = deadline(started);
        let outcome = self
            .dispatcher
            .dispatch_if::<A, R>(aggregate_id, command, services, metadata, deadline, admits)
            .await;
        let result = match &outcome {
            Ok(Ok(committed)) => changed(committed),
            Ok(Err(_)) => CommandResult::Refused,
            Err(fault) => failure(fault),
        };
        self.note::<A>(name, result, started.elapsed());
        outcome
    }

    fn note<A: Snapshot>(&self, name: &'static str, result: CommandResult, duration: Duration) {
        let [aggregate, command] = Value::command(A::TYPE, name);
        self.metrics.count(Metric::Commands, &[aggregate, command, result.into()]);
        self.metrics.observe(Metric::CommandDuration, &[aggregate], duration);
        request::note(Spent::Log, duration);
    }
}

/// The deadline by which a command that begins now has to be decided, so that its request can still be answered.
fn deadline(started: Instant) -> Instant {
    request::deadline().unwrap_or(started + limits::REQUEST) - limits::ANSWER
}

fn changed<A: Snapshot>(committed: &Committed<A>) -> CommandResult {
    if committed.events.is_empty() { CommandResult::Unchanged } else { CommandResult::Changed }
}

fn failure<E: std::error::Error>(fault: &DispatchError<E>) -> CommandResult {
    match fault {
        DispatchError::Refused(_) => CommandResult::Refused,
        DispatchError::Conflict => CommandResult::Conflict,
        DispatchError::Undecodable { .. } | DispatchError::Log(LogError::Unreadable { .. }) => {
            CommandResult::Undecodable
        }
        DispatchError::Log(_) | DispatchError::OutcomeUnknown(_) => CommandResult::Unavailable,
    }
}
