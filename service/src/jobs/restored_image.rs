//! One step of a job that states passes anew, since the store had lost an image of theirs and has it again.
//!
//! While the image was lost, phones got files without it under the tag of the whole state, and would keep them: their tag is the current one. So
//! every pass that shows the image gets a new tag, and its phones are told.

use honoken_domain::ids::{Digest, UnixSeconds};
use honoken_domain::job::{JobCommand, JobCursor};
use honoken_domain::pass::PassCommand;
use honoken_projections::jobs::JobRow;

use crate::blobs::BlobError;
use crate::jobs::defaults::STEP;
use crate::jobs::worker::{Next, StepError, Worker};

/// The most seconds that a job waits for its image. It is announced before it is stored; when that fails, the next upload announces it again.
const STORED_WITHIN: i64 = 60;

impl Worker {
    /// Examines the next passes of a job, states those anew that show the image, and records the step.
    pub(super) async fn state_anew(
        &self,
        job: JobRow,
        digest: Digest,
        restored_at: UnixSeconds,
    ) -> Result<Next, StepError> {
        let from = job.cursor.clone();
        let behind = from.as_ref().map(JobCursor::pass).transpose()?;
        let now = self.clock.unix_seconds();
        match self.blobs.get(&digest).await {
            Ok(_) => {}
            Err(BlobError::Unknown(_) | BlobError::Damaged(_)) if now.0 > restored_at.0 + STORED_WITHIN => {
                tracing::warn!(job.id = %job.id, "the image {digest} was not stored after all: upload it again");
                return self.note(&job, JobCommand::Finish { from, at: now }).await;
            }
            Err(BlobError::Unknown(_) | BlobError::Damaged(_)) => return Ok(Next::TryAgain),
            Err(fault) => return Err(fault.into()),
        }
        let passes = self.read_model.shown_parts(None, behind.as_ref(), STEP).await?;
        let Some(last) = passes.last() else {
            tracing::info!(job.id = %job.id, "finished a job: {} passes processed, {} failed", job.done, job.failed);
            return self.note(&job, JobCommand::Finish { from, at: now }).await;
        };
        let (to, done) = (JobCursor::from(&last.id), passes.len() as u64);
        let shows_it =
            |images: &honoken_domain::images::Images| images.values().any(|shown| *shown == digest);
        let passes: Vec<_> = passes
            .into_iter()
            .filter(|pass| !pass.retired && shows_it(&pass.images))
            .map(|pass| pass.id)
            .collect();
        let pass_types = self.pass_types_of(passes.iter()).await?;
        let command = PassCommand::StateAnew { image: digest, as_of: restored_at };
        let failures = self.command_all(passes, &pass_types, &command, job.id.as_str()).await?;
        if self.stop.is_cancelled() {
            return Ok(Next::Wait);
        }
        self.note(&job, JobCommand::Advance { from, to, done, failures }).await
    }
}
