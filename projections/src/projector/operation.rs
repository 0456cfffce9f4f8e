//! What an operator asks of the projection, and why it was not done.

use honoken_event_store::{LogError, Position};
use tokio::sync::oneshot;

/// What an operator asks of the runner.
pub(crate) enum Operation {
    Retry { position: Position, answer: oneshot::Sender<Result<(), OperationError>> },
    Skip { position: Position, reason: String, answer: oneshot::Sender<Result<(), OperationError>> },
}

/// Why an operator's request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// No event at this position is parked, or it waits behind another one.
    #[error(
        "no event at this position can be retried or skipped: it is not parked, or it waits behind an earlier one"
    )]
    NotParked,
    /// It was tried and failed again.
    #[error("the event could still not be applied: {0}")]
    StillUnappliable(String),
    /// The store is away.
    #[error("the read model could not be written")]
    Store(#[source] sqlx::Error),
    /// The log is away.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The projector has been stopped.
    #[error("the projector is not running")]
    Stopped,
}
