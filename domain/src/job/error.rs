//! Why a job says no.

/// A refusal: two workers have met, and the other was faster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It has not been started.
    #[error("the job has not been started")]
    NotStarted,
    /// It stands somewhere else than the worker believes.
    #[error("another worker has taken the job further")]
    Elsewhere,
    /// It is finished.
    #[error("the job is finished")]
    Finished,
}
