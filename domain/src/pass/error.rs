//! Why a pass says no.

use crate::ids::ETag;

/// A refusal, in words that a caller can be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// No such pass, or it belongs to somebody else: a caller must not learn which.
    #[error("there is no such pass")]
    Unknown,
    /// The serial number is taken by a pass that was issued with something else on it.
    #[error(
        "this serial number is taken by a pass that was issued with other content; choose another or change that pass"
    )]
    AlreadyIssued,
    /// `If-Match` names a state that is no longer the current one.
    #[error("{}", precondition_failed(current.as_ref()))]
    PreconditionFailed {
        /// The tag of the state as it is; `None` when there is no pass.
        current: Option<ETag>,
    },
    /// Wallet would not open the pass, or not as asked.
    #[error(
        "the pass has no `{slot}` image, and neither its pass type nor the brand has one; upload `{slot}.png`"
    )]
    MissingImage {
        /// The empty slot.
        slot: &'static str,
    },
}

fn precondition_failed(current: Option<&ETag>) -> String {
    match current {
        Some(current) => {
            format!(
                "the pass has changed since: its current etag is \"{current}\"; read it again and repeat the change"
            )
        }
        None => "there is no such pass yet, so it has no etag; issue it without `If-Match`".to_owned(),
    }
}
