//! Carries commands to aggregates through the dispatcher, and counts their results.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use honoken_domain::apns_key::ApnsKey;
use honoken_domain::brand_assets::BrandAssets;
use honoken_domain::certificate::Certificate;
use honoken_domain::ids::{PassId, RegistrationId};
use honoken_domain::job::Job;
use honoken_domain::organization::Organization;
use honoken_domain::pass::{Circumstances, HIDDEN_CHANGES, Pass, PassCommand, PassError};
use honoken_domain::pass_type::PassType;
use honoken_domain::registration::{Registration, RegistrationCommand, RegistrationError};
use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use honoken_domain::uploaded_image::UploadedImage;
use honoken_event_store::{
    Committed, DispatchError, Dispatcher, Log, LogError, Metadata, Moment, Past, Position,
};
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
    pub async fn dispatch<A: Carried>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
    ) -> Result<Committed<A>, DispatchError<A::Error>> {
        let committed = A::carry(self, aggregate_id, command, services, metadata, &mut |_| true).await?;
        Ok(committed.expect("all events are admitted"))
    }

    /// See [`Dispatcher::dispatch_if`].
    ///
    /// # Errors
    /// [`DispatchError`]; the inner error is that of `admits`.
    pub async fn dispatch_if<A: Carried, R: Send>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
        mut admits: impl FnMut(&[A::Event]) -> Result<(), R> + Send,
    ) -> Result<Result<Committed<A>, R>, DispatchError<A::Error>> {
        let mut refusal = None;
        let mut is_admitted = |events: &[A::Event]| {
            refusal = admits(events).err();
            refusal.is_none()
        };
        let committed = A::carry(self, aggregate_id, command, services, metadata, &mut is_admitted).await?;
        Ok(committed.ok_or_else(|| refusal.expect("events that are not admitted have a reason")))
    }

    /// A pass as it was: see [`Dispatcher::past`]. The position is that of the last event that its holders could see.
    ///
    /// # Errors
    /// [`DispatchError`].
    pub fn past_of_pass<'a>(
        &'a self,
        id: &'a PassId,
        moment: Moment,
    ) -> BoxFuture<'a, Result<Option<Past<Pass>>, DispatchError<PassError>>> {
        let is_seen = |event_type: &str| !HIDDEN_CHANGES.contains(&event_type);
        Box::pin(async move { self.dispatcher.past::<Pass>(&id.to_string(), moment, is_seen).await })
    }

    /// States a pass anew of which an event cannot be read: see [`Dispatcher::dispatch_past_damage`].
    ///
    /// # Errors
    /// [`DispatchError`]. A refusal has appended nothing.
    pub fn repair_pass<'a>(
        &'a self,
        id: &'a PassId,
        circumstances: &'a Circumstances,
        metadata: &'a Metadata,
    ) -> BoxFuture<'a, Carrying<Pass, PassError>> {
        Box::pin(async move {
            self.repair::<Pass>(&id.to_string(), PassCommand::Repair, circumstances, metadata).await
        })
    }

    /// The same for a registration. `None` when every event can be read.
    ///
    /// # Errors
    /// [`DispatchError`].
    pub fn repair_registration<'a>(
        &'a self,
        id: &'a RegistrationId,
        metadata: &'a Metadata,
    ) -> BoxFuture<'a, Carrying<Registration, RegistrationError>> {
        Box::pin(async move {
            let (id, command) = (id.aggregate_id(), RegistrationCommand::Repair);
            self.repair::<Registration>(&id, command, &(), metadata).await
        })
    }

    /// The positions of the events of a registration that cannot be read.
    ///
    /// # Errors
    /// When the event log is unavailable.
    pub async fn damage_of_registration(&self, id: &RegistrationId) -> Result<Vec<Position>, LogError> {
        self.dispatcher.damage_of::<Registration>(&id.aggregate_id()).await
    }

    async fn repair<A>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
    ) -> Carrying<A, A::Error>
    where
        A: Snapshot,
        A::Command: Clone,
        for<'a> &'a A::Command: Into<&'static str>,
    {
        let (started, name) = (Instant::now(), (&command).into());
        let outcome =
            self.dispatcher.dispatch_past_damage::<A>(aggregate_id, command, services, metadata).await;
        let result = match &outcome {
            Ok(Some(_)) => CommandResult::Changed,
            Ok(None) => CommandResult::Unchanged,
            Err(fault) => failure(fault),
        };
        self.note::<A>(name, result, started.elapsed());
        outcome
    }

    /// Carries a command out, and counts its result. `None` when the events were not admitted.
    async fn carry<A>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
        metadata: &Metadata,
        is_admitted: &mut (dyn FnMut(&[A::Event]) -> bool + Send),
    ) -> Carrying<A, A::Error>
    where
        A: Snapshot,
        A::Command: Clone,
        for<'a> &'a A::Command: Into<&'static str>,
    {
        let name = (&command).into();
        let started = Instant::now();
        let deadline = deadline(started);
        let admits = |events: &[A::Event]| if is_admitted(events) { Ok(()) } else { Err(()) };
        let outcome = self
            .dispatcher
            .dispatch_if::<A, ()>(aggregate_id, command, services, metadata, deadline, admits)
            .await;
        let result = match &outcome {
            Ok(Ok(committed)) => changed(committed),
            Ok(Err(())) => CommandResult::Refused,
            Err(fault) => failure(fault),
        };
        self.note::<A>(name, result, started.elapsed());
        Ok(outcome?.ok())
    }

    fn note<A: Snapshot>(&self, name: &'static str, result: CommandResult, duration: Duration) {
        let [aggregate, command] = Value::command(A::TYPE, name);
        self.metrics.count(Metric::Commands, &[aggregate, command, result.into()]);
        self.metrics.observe(Metric::CommandDuration, &[aggregate], duration);
        request::note(Spent::Log, duration);
    }
}

/// The result of a command; `None` when it was not carried to its end, since its events were not admitted or nothing was to be repaired.
pub type Carrying<A, E> = Result<Option<Committed<A>>, DispatchError<E>>;

/// The aggregates whose commands are carried. Each implements this on its own, so that the way of a command through the event log is compiled
/// once for each of them, here: a generic function is compiled again in every crate that calls it.
pub trait Carried: Snapshot {
    /// Carries a command to this aggregate. `None` when the events were not admitted.
    fn carry<'a>(
        commands: &'a Commands,
        aggregate_id: &'a str,
        command: Self::Command,
        services: &'a Self::Services,
        metadata: &'a Metadata,
        is_admitted: &'a mut (dyn FnMut(&[Self::Event]) -> bool + Send),
    ) -> BoxFuture<'a, Carrying<Self, Self::Error>>;
}

macro_rules! carried {
    ($($aggregate:ty),+ $(,)?) => {$(
        impl Carried for $aggregate {
            fn carry<'a>(
                commands: &'a Commands,
                aggregate_id: &'a str,
                command: Self::Command,
                services: &'a Self::Services,
                metadata: &'a Metadata,
                is_admitted: &'a mut (dyn FnMut(&[Self::Event]) -> bool + Send),
            ) -> BoxFuture<'a, Carrying<Self, Self::Error>> {
                Box::pin(commands.carry::<Self>(aggregate_id, command, services, metadata, is_admitted))
            }
        }
    )+};
}

carried!(ApnsKey, BrandAssets, Certificate, Job, Organization, Pass, PassType, Registration, UploadedImage,);

/// The deadline by which a command that begins now has to be decided, so that its request can still be answered.
fn deadline(started: Instant) -> Instant {
    request::deadline().unwrap_or(started + limits::REQUEST) - limits::ANSWER
}

fn changed<A: Snapshot>(committed: &Committed<A>) -> CommandResult {
    if committed.events.is_empty() { CommandResult::Unchanged } else { CommandResult::Changed }
}

fn failure<E: std::error::Error>(fault: &DispatchError<E>) -> CommandResult {
    match fault {
        _ if fault.damaged().is_some() => CommandResult::Undecodable,
        DispatchError::Refused(_) => CommandResult::Refused,
        DispatchError::Conflict => CommandResult::Conflict,
        DispatchError::Log(_) | DispatchError::Undecodable { .. } | DispatchError::OutcomeUnknown(_) => {
            CommandResult::Unavailable
        }
    }
}
