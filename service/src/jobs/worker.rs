//! Finds the next job, and continues where it was left.
//!
//! The progress of a job is in the event log. A step that was not recorded is repeated, and finds that the passes it had already changed
//! are current. Nothing is lost when the process is killed, and no pass changes twice. When there are two workers for a moment, because one
//! was frozen, the job lets only one of them record a step. A job of which an event cannot be read is left alone, and the others go on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use honoken_domain::ids::{JobId, OrganizationId};
use honoken_domain::job::{Job, JobCommand, JobWork};
use honoken_domain::sealed::SealingKeys;
use honoken_event_store::{DispatchError, Metadata, Position};
use honoken_projections::jobs::{JobRow, JobState};
use honoken_projections::{Projector, ReadModel};
use honoken_telemetry::error_chain;
use tokio_util::sync::CancellationToken;

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::commands::Commands;
use crate::ids::IdSource;
use crate::personalization::Personalizations;

/// The wait while the read model has not changed, and after a step that another worker took.
const IDLE: Duration = Duration::from_millis(250);

/// The wait between two tries while a store is unavailable.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The actor of a job's events, except for the change itself.
const ACTOR: &str = "system:jobs";

/// Why a step failed. It is repeated.
pub type StepError = Box<dyn std::error::Error + Send + Sync>;

/// Carries jobs out.
pub struct Worker {
    /// Carries commands to aggregates.
    pub dispatcher: Arc<Commands>,
    /// Lists the jobs.
    pub read_model: ReadModel,
    /// The images.
    pub blobs: Blobs,
    /// The keys of personal data.
    pub personalizations: Personalizations,
    /// The keys that open and seal secrets, where this process has any.
    pub keys: Option<SealingKeys>,
    /// Random values.
    pub ids: Arc<dyn IdSource>,
    /// Knows whether this process is the one that works, and how far the read model is.
    pub projector: Projector,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ends the work, after the commands in flight.
    pub stop: CancellationToken,
}

/// The next action of the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Continue at once, there may be more.
    GoOn,
    /// Wait until the read model changes.
    Wait,
    /// Repeat the step a little later.
    TryAgain,
    /// Leave this job alone from now on: an event of it cannot be read.
    LeaveAlone(JobId),
}

impl Worker {
    /// Works until it is stopped.
    pub async fn run(self) {
        let mut leads = self.projector.leads();
        let (mut looked_at, mut damaged) = (None, BTreeSet::new());
        while !self.stop.is_cancelled() {
            let wait = if !*leads.borrow_and_update() {
                looked_at = None;
                AFTER_FAILURE
            } else if looked_at == Some(self.position()) {
                IDLE
            } else {
                let position = self.position();
                match self.turn(&damaged).await {
                    Ok(Next::GoOn) => continue,
                    Ok(Next::LeaveAlone(job)) => {
                        damaged.insert(job);
                        continue;
                    }
                    Ok(Next::Wait) => {
                        looked_at = Some(position);
                        IDLE
                    }
                    Ok(Next::TryAgain) => IDLE,
                    Err(fault) => {
                        tracing::error!(
                            error = error_chain(&*fault),
                            "a job stands still; retrying in {AFTER_FAILURE:?}"
                        );
                        AFTER_FAILURE
                    }
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                Ok(()) = leads.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Updates the passes that were issued too late for their job, then takes a step of the first unfinished job.
    async fn turn(&self, damaged: &BTreeSet<JobId>) -> Result<Next, StepError> {
        self.refresh_outdated().await?;
        let Some(job) = self.read_model.next_job(damaged).await? else { return Ok(Next::Wait) };
        if self.stop.is_cancelled() {
            return Ok(Next::Wait);
        }
        match job.state {
            JobState::Waiting => self.start(job).await,
            JobState::Running | JobState::Finished => match &job.work {
                JobWork::RestoredImage { digest, restored_at } => {
                    let (digest, restored_at) = (digest.clone(), *restored_at);
                    self.state_anew(job, digest, restored_at).await
                }
                JobWork::Reseal { key, .. } => {
                    let key = *key;
                    self.reseal(job, key).await
                }
                _ => self.bring_defaults(job).await,
            },
        }
    }

    async fn start(&self, job: JobRow) -> Result<Next, StepError> {
        let of_type = job.work.pass_type().map(|(_, pass_type)| pass_type);
        let total = self.read_model.count_passes(of_type).await?;
        tracing::info!(job.id = %job.id, "started a job: {total} passes to process");
        let start = JobCommand::Start { work: job.work.clone(), total, at: self.clock.unix_seconds() };
        self.note(&job, start).await
    }

    /// Carries a command to a job, and waits until the read model shows the result, because the next step reads it.
    pub(super) async fn note(&self, job: &JobRow, command: JobCommand) -> Result<Next, StepError> {
        let organization = job.work.pass_type().map(|(organization_id, _)| organization_id);
        let metadata = self.metadata(organization, job.id.as_str());
        match self.dispatcher.dispatch::<Job>(job.id.as_str(), command, &(), &metadata).await {
            Ok(committed) => {
                self.projected(committed.position).await;
                Ok(if committed.events.is_empty() { Next::TryAgain } else { Next::GoOn })
            }
            Err(DispatchError::Refused(_) | DispatchError::Conflict) => Ok(Next::TryAgain),
            Err(fault) if fault.damaged().is_some() => {
                tracing::error!(
                    job.id = %job.id,
                    error = error_chain(&fault),
                    "an event of the job {} cannot be read: it is left alone until the service starts again, and other jobs go on. Run the release that wrote the event, or restore the event log from the backup",
                    job.id
                );
                Ok(Next::LeaveAlone(job.id.clone()))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// Waits for the read model: a job is never more than one step ahead of it, so that other changes become visible without delay.
    pub(super) async fn projected(&self, position: Position) {
        let mut progress = self.projector.progress();
        tokio::select! {
            _ = progress.wait_for(|progress| progress.position >= position) => {}
            () = self.stop.cancelled() => {}
        }
    }

    pub(super) fn metadata(&self, organization: Option<&OrganizationId>, cause: &str) -> Metadata {
        Metadata {
            actor: ACTOR.to_owned(),
            organization: organization.map(|id| id.as_str().to_owned()),
            request_id: cause.to_owned(),
            urgent: false,
            recorded_at_ms: self.clock.unix_ms(),
        }
    }

    fn position(&self) -> Position {
        self.projector.progress().borrow().position
    }
}
