//! The rules of a job (`decide`) and its memory (`apply`).

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::job::{JobCommand, JobCursor, JobError, JobEvent, JobFailure, KEPT_FAILURES};

/// A job as its events tell it. The default is one that nobody has started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    started: Option<State>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    cursor: Option<JobCursor>,
    done: u64,
    failed: u64,
    kept_failures: usize,
    finished: bool,
}

impl Job {
    /// Decides a command: the events it leads to, none if it changes nothing.
    ///
    /// # Errors
    /// [`JobError`] says why not.
    pub fn decide(&self, command: JobCommand) -> Result<Vec<JobEvent>, JobError> {
        match (&self.started, command) {
            (None, JobCommand::Start { work, total, at }) => {
                Ok(vec![JobEvent::Started { work, total, started_at: at }])
            }
            (Some(_), JobCommand::Start { .. }) => Ok(Vec::new()),
            (None, JobCommand::Advance { .. } | JobCommand::Finish { .. }) => Err(JobError::NotStarted),
            (Some(state), JobCommand::Advance { .. }) if state.finished => Err(JobError::Finished),
            (Some(state), JobCommand::Advance { from, to, done, failures }) => {
                if from != state.cursor {
                    return Err(JobError::Elsewhere);
                }
                Ok(vec![state.advance(to, done, failures)])
            }
            (Some(state), JobCommand::Finish { .. }) if state.finished => Ok(Vec::new()),
            (Some(state), JobCommand::Finish { from, at }) => {
                if from != state.cursor {
                    return Err(JobError::Elsewhere);
                }
                Ok(vec![JobEvent::Finished { finished_at: at }])
            }
        }
    }

    /// The last subject that is done.
    pub fn cursor(&self) -> Option<&JobCursor> {
        self.started.as_ref().and_then(|state| state.cursor.as_ref())
    }
}

impl State {
    fn advance(&self, cursor: JobCursor, done: u64, mut failures: Vec<JobFailure>) -> JobEvent {
        let failed = self.failed + failures.len() as u64;
        failures.truncate(KEPT_FAILURES.saturating_sub(self.kept_failures));
        JobEvent::Advanced { cursor, done: self.done + done, failed, failures }
    }
}

impl Aggregate for Job {
    const TYPE: &'static str = "Job";
    type Command = JobCommand;
    type Event = JobEvent;
    type Error = JobError;
    type Services = ();

    async fn handle(&mut self, command: JobCommand, (): &(), sink: &EventSink<Self>) -> Result<(), JobError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: JobEvent) {
        match (event, &mut self.started) {
            (JobEvent::Started { .. }, _) => self.started = Some(State::default()),
            (JobEvent::Advanced { cursor, done, failed, failures }, Some(state)) => {
                (state.cursor, state.done, state.failed) = (Some(cursor), done, failed);
                state.kept_failures += failures.len();
            }
            (JobEvent::Finished { .. }, Some(state)) => state.finished = true,
            // `decide` lets nothing but a start be the first event of a stream, so there is no state to change here.
            (JobEvent::Advanced { .. } | JobEvent::Finished { .. }, None) => {}
        }
    }
}
