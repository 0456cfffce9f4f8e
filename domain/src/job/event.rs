//! What can have happened to a job. The JSON of these types is a promise: `fixtures/events/`.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::{PassId, UnixSeconds};
use crate::job::{JobCursor, JobWork};

/// A fact about a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobEvent {
    /// Its worker has begun.
    #[serde(rename = "JobStarted", rename_all = "camelCase")]
    Started {
        /// What it does.
        work: JobWork,
        /// How many passes or secrets there were to look at.
        total: u64,
        /// When.
        started_at: UnixSeconds,
    },
    /// Some more passes or secrets are done.
    #[serde(rename = "JobAdvanced", rename_all = "camelCase")]
    Advanced {
        /// The last one that is done; the work goes on behind it.
        cursor: JobCursor,
        /// Those done since the beginning, failed ones included.
        done: u64,
        /// Those of them that could not be changed.
        failed: u64,
        /// Failures of this step in words, as long as the job keeps any.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failures: Vec<JobFailure>,
    },
    /// Everything is done.
    #[serde(rename = "JobFinished", rename_all = "camelCase")]
    Finished {
        /// When.
        finished_at: UnixSeconds,
    },
}

/// A pass or a secret that a job could not change, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobFailure {
    /// Which pass, or the pass that a secret belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<PassId>,
    /// In words, what could not be changed, like `certificate tickets`; absent where it is the pass itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Stable name of the reason.
    pub code: String,
    /// The reason, for people.
    pub detail: String,
}

impl DomainEvent for JobEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Started { .. } => "JobStarted",
            Self::Advanced { .. } => "JobAdvanced",
            Self::Finished { .. } => "JobFinished",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
