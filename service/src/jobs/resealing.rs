//! One step of a job that seals the secrets in use under another encryption key.

use honoken_domain::job::{JobCommand, JobCursor, JobFailure};
use honoken_domain::sealed::SealingKeys;
use honoken_projections::jobs::JobRow;

use crate::encryption_keys::HOW_TO_SET;
use crate::jobs::worker::{Next, StepError, Worker};
use crate::limits;
use crate::operations::context::Context;
use crate::operations::resealing::Resealing;

/// The place of a job that ends because its process does not have the key.
const STOPPED: &str = "stopped";

impl Worker {
    /// Seals the next secrets anew, and records the step.
    pub(super) async fn reseal(&self, job: JobRow, key: u32) -> Result<Next, StepError> {
        let from = job.cursor.clone();
        let is_stopped = from.as_ref().is_some_and(|cursor| cursor.as_str() == STOPPED);
        let keys = self.keys.as_ref().filter(|keys| keys.current() == key);
        let step = match keys {
            _ if is_stopped => None,
            None => {
                let (to, failures) = (JobCursor::new(STOPPED), vec![no_key(key, self.keys.as_ref())]);
                return self.note(&job, JobCommand::Advance { from, to, done: 1, failures }).await;
            }
            Some(keys) => {
                let metadata = self.metadata(None, job.id.as_str());
                let context = Context {
                    dispatcher: &self.dispatcher,
                    read_model: &self.read_model,
                    projector: &self.projector,
                    ids: &*self.ids,
                    metadata: &metadata,
                    visible: limits::VISIBLE,
                };
                let resealing = Resealing { context, keys, personalizations: &self.personalizations };
                resealing.step(from.as_ref()).await?
            }
        };
        if self.stop.is_cancelled() {
            return Ok(Next::Wait);
        }
        let Some(step) = step else {
            tracing::info!(job.id = %job.id, "finished a job: {} secrets processed, {} failed", job.done, job.failed);
            return self.note(&job, JobCommand::Finish { from, at: self.clock.unix_seconds() }).await;
        };
        let (to, done, failures) = (step.to, step.done, step.failures);
        self.note(&job, JobCommand::Advance { from, to, done, failures }).await
    }
}

/// The failure of a whole job, for a reason that an operator mends before the next one.
fn no_key(asked: u32, keys: Option<&SealingKeys>) -> JobFailure {
    let mut detail = match keys {
        None => format!("the process that runs the jobs has no encryption key: {HOW_TO_SET}"),
        Some(keys) => format!(
            "the process that runs the jobs seals under encryption key {}, not {asked}: set HONOKEN_ENCRYPTION_KEY_CURRENT to {asked} for every process",
            keys.current()
        ),
    };
    detail.push_str(". Start it again, and ask for the resealing once more");
    tracing::error!("nothing was sealed anew: {detail}");
    JobFailure {
        pass: None,
        subject: Some("every secret".to_owned()),
        code: "no_encryption_key".to_owned(),
        detail,
    }
}
