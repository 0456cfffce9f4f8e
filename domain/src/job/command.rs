//! What the worker of a job notes.

use strum::IntoStaticStr;

use crate::ids::UnixSeconds;
use crate::job::{JobCursor, JobFailure, JobWork};

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum JobCommand {
    /// Begin. A job that has begun goes on where it is.
    Start {
        /// What is to be done.
        work: JobWork,
        /// How many passes or secrets there are to look at, as counted now.
        total: u64,
        /// The time.
        at: UnixSeconds,
    },
    /// Note that some passes or secrets are done. Refused when another worker has done them meanwhile.
    Advance {
        /// Where the job stood when the step began.
        from: Option<JobCursor>,
        /// The last one of the step.
        to: JobCursor,
        /// The number of those in the step, failed ones included.
        done: u64,
        /// Those of them that could not be changed.
        failures: Vec<JobFailure>,
    },
    /// Note that there is nothing left to do.
    Finish {
        /// Where the job stood when nothing was found behind it.
        from: Option<JobCursor>,
        /// The time.
        at: UnixSeconds,
    },
}
