//! Requests of operators to the projection, and the reasons for which they fail.

use honoken_domain::ids::UnixSeconds;
use honoken_event_store::{LogError, Position};
use tokio::sync::oneshot;

/// A request to the runner, of an operator or of the clock.
pub(crate) enum Operation {
    Retry { position: Position, answer: oneshot::Sender<Result<(), OperationError>> },
    Skip { position: Position, reason: String, answer: oneshot::Sender<Result<(), OperationError>> },
    Purge { before: UnixSeconds, answer: oneshot::Sender<Result<(), OperationError>> },
}

/// The reason for which an operator's request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// No event at this position is parked, or it waits behind another one.
    #[error(
        "no event at this position can be retried or skipped: it is not parked, or it waits behind an earlier one"
    )]
    NotParked,
    /// The event was tried and failed again.
    #[error("the event could still not be applied: {0}")]
    StillUnappliable(String),
    /// The database of the read model is unavailable.
    #[error("the read model could not be written")]
    Store(#[source] sqlx::Error),
    /// The event log is unavailable.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The projector has been stopped.
    #[error("the projector is not running")]
    Stopped,
}
