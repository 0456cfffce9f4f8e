//! One step of a job that applies changed images, texts or another certificate to passes, and the passes that were issued too late for their job.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use honoken_domain::ids::{PassId, PassTypeIdentifier};
use honoken_domain::job::{JobCommand, JobCursor, JobFailure};
use honoken_domain::pass::{Circumstances, Pass, PassCommand, PassError, Precondition};
use honoken_event_store::{DispatchError, Position};
use honoken_pkpass::image::ImageSlot;
use honoken_projections::jobs::JobRow;
use honoken_projections::pass_types::PassTypeRow;
use honoken_projections::shown_parts::Freshness;

use crate::jobs::worker::{Next, StepError, Worker};

/// Passes of one step.
pub(super) const STEP: u32 = 250;

/// Commands at a time: enough to share the syncs of the disk, few enough to leave the stores to callers.
const AT_ONCE: usize = 8;

/// The pass types of some passes.
pub(super) type PassTypes = BTreeMap<PassTypeIdentifier, PassTypeRow>;

/// The command of a job that brings changed defaults.
const RESOLVE: PassCommand = PassCommand::ResolveDefaults;

/// The result for one pass.
enum Outcome {
    /// Its images and texts are current, as of this position.
    Current(Position),
    Failed(JobFailure),
    /// It no longer takes part.
    Left,
}

impl Worker {
    /// Examines the next passes of a job, changes those that are outdated, and records the step.
    pub(super) async fn bring_defaults(&self, job: JobRow) -> Result<Next, StepError> {
        let of_type = job.work.pass_type().map(|(_, pass_type)| pass_type);
        let from = job.cursor.clone();
        let behind = from.as_ref().map(JobCursor::pass).transpose()?;
        let passes = self.read_model.shown_parts(of_type, behind.as_ref(), STEP).await?;
        let Some(last) = passes.last() else {
            tracing::info!(job.id = %job.id, "finished a job: {} passes processed, {} failed", job.done, job.failed);
            return self.note(&job, JobCommand::Finish { from, at: self.clock.unix_seconds() }).await;
        };
        let (to, done) = (JobCursor::from(&last.id), passes.len() as u64);
        let pass_types = self.pass_types_of(passes.iter().map(|pass| &pass.id)).await?;

        let (mut outdated, mut failures) = (Vec::new(), Vec::new());
        for pass in passes.into_iter().filter(|pass| !pass.retired) {
            let Some(pass_type) = pass_types.get(&pass.id.pass_type_identifier) else { continue };
            let freshness = pass.freshness(pass_type);
            if let Freshness::Lacking { one_of, .. } = freshness {
                failures.push(lacking(pass.id.clone(), one_of));
            }
            if freshness.is_outdated() {
                outdated.push(pass.id);
            }
        }
        failures.append(&mut self.command_all(outdated, &pass_types, &RESOLVE, job.id.as_str()).await?);
        if self.stop.is_cancelled() {
            return Ok(Next::Wait);
        }
        self.note(&job, JobCommand::Advance { from, to, done, failures }).await
    }

    /// Updates the passes that were issued too late for their job.
    pub(super) async fn refresh_outdated(&self) -> Result<(), StepError> {
        let mut after = None;
        loop {
            let passes = self.read_model.outdated_passes(after.as_ref(), STEP).await?;
            let Some(last) = passes.last().cloned() else { return Ok(()) };
            let pass_types = self.pass_types_of(passes.iter()).await?;
            self.command_all(passes, &pass_types, &RESOLVE, "outdated-defaults").await?;
            after = Some(last);
        }
    }

    /// The types of these passes.
    pub(super) async fn pass_types_of(
        &self,
        passes: impl Iterator<Item = &PassId>,
    ) -> Result<PassTypes, StepError> {
        let mut pass_types = PassTypes::new();
        for pass in passes {
            let pass_type = &pass.pass_type_identifier;
            if !pass_types.contains_key(pass_type)
                && let Some(row) = self.read_model.pass_type(pass_type).await?
            {
                pass_types.insert(pass_type.clone(), row);
            }
        }
        Ok(pass_types)
    }

    /// Gives passes a command, and waits until readers see the changes. Returns the failures.
    pub(super) async fn command_all(
        &self,
        passes: Vec<PassId>,
        pass_types: &PassTypes,
        command: &PassCommand,
        cause: &str,
    ) -> Result<Vec<JobFailure>, StepError> {
        let outcomes = stream::iter(passes)
            .take_until(self.stop.cancelled())
            .map(|pass| self.command_one(pass, pass_types, command.clone(), cause))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        let (mut failures, mut newest) = (Vec::new(), Position(0));
        for outcome in outcomes {
            match outcome {
                Outcome::Current(position) => newest = newest.max(position),
                Outcome::Failed(failure) => failures.push(failure),
                Outcome::Left => {}
            }
        }
        self.projected(newest).await;
        Ok(failures)
    }

    async fn command_one(
        &self,
        pass: PassId,
        pass_types: &PassTypes,
        command: PassCommand,
        cause: &str,
    ) -> Result<Outcome, StepError> {
        let Some(pass_type) = pass_types.get(&pass.pass_type_identifier) else {
            return Ok(Outcome::Left);
        };
        let organization_id = &pass_type.organization_id;
        let metadata = self.metadata(Some(organization_id), cause);
        let circumstances = Circumstances {
            now: self.clock.unix_seconds(),
            organization_id: organization_id.clone(),
            default_images: pass_type.default_images.clone(),
            default_localizations: pass_type.default_localizations.clone(),
            allows_nfc: pass_type.allows_nfc,
            precondition: Precondition::None,
            // No content changes here.
            rules: |_, _| Vec::new(),
        };
        let dispatched =
            self.dispatcher.dispatch::<Pass>(&pass.to_string(), command, &circumstances, &metadata).await;
        match dispatched {
            Ok(committed) => Ok(Outcome::Current(committed.position)),
            Err(DispatchError::Refused(PassError::MissingImage { one_of })) => {
                Ok(Outcome::Failed(lacking(pass, one_of)))
            }
            Err(DispatchError::Refused(_)) => Ok(Outcome::Left),
            // The command would fail the same way for ever; an operator sees the event among the parked ones.
            Err(fault) if fault.damaged().is_some() => Ok(Outcome::Failed(JobFailure {
                pass: Some(pass),
                subject: None,
                code: "unreadable".to_owned(),
                detail: "an event of this pass cannot be read, so it cannot be changed".to_owned(),
            })),
            Err(fault) => Err(fault.into()),
        }
    }
}

fn lacking(pass: PassId, one_of: &[ImageSlot]) -> JobFailure {
    let slot = one_of.first().map_or("icon", |slot| slot.as_str());
    JobFailure {
        pass: Some(pass),
        subject: None,
        code: "missing_image".to_owned(),
        detail: format!(
            "the pass would be left without a `{slot}` image, which it needs, and keeps the image it has; give it an image of its own, or \
             upload `{slot}.png` for its pass type"
        ),
    }
}
