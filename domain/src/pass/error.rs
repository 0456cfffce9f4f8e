//! Why a pass says no.

use honoken_styles::ImageSlot;

use crate::content::MAX_CONTENT_BYTES;
use crate::ids::ETag;
use crate::json::{MAX_DEPTH, MAX_SAFE_INTEGER};
use crate::localizations::TooLarge;

/// One reason why a content is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentFault {
    /// Stable name of the rule.
    pub code: String,
    /// RFC 6901 pointer into the content.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// A refusal, in words that a caller can be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// No such pass, or it belongs to somebody else: a caller must not learn which.
    #[error("this pass does not exist")]
    Unknown,
    /// The serial number is taken by a pass that was issued with something else on it.
    #[error(
        "this serial number belongs to a pass that was issued with other content; choose another serial number or change that pass"
    )]
    AlreadyIssued,
    /// The serial number is taken by the same pass, and phones show another authentication token for it than the order names.
    #[error(
        "this pass was issued with another authentication token, which stays the one that phones show; leave `authenticationToken` out, or choose another serial number"
    )]
    OtherToken,
    /// `If-Match` names a state that is no longer the current one.
    #[error("{}", precondition_failed(current.as_ref()))]
    PreconditionFailed {
        /// The tag of the state as it is; `None` when there is no pass.
        current: Option<ETag>,
    },
    /// Wallet would not open the pass, or not as asked.
    #[error("{}", missing_image(one_of))]
    MissingImage {
        /// The empty slots, of which one is enough.
        one_of: &'static [ImageSlot],
    },
    /// The pass has been retired, which is for ever.
    #[error("the pass is retired and can no longer be changed; issue another one with a new serial number")]
    Retired,
    /// There is no form to fill in: the pass has none, or a person has filled it in.
    #[error("the pass has no form that a person could fill in")]
    NoOpenForm,
    /// Wallet has a poster layout for event tickets only.
    #[error(
        "only event tickets have a poster layout, and this pass is of the style `{style}`; send `\"poster\": false`"
    )]
    NoPoster {
        /// The style, as callers spell it.
        style: &'static str,
    },
    /// The content that the change would lead to is not one that a phone would take.
    #[error("the content would not be acceptable")]
    UnacceptableContent {
        /// Every reason, at least one.
        faults: Vec<ContentFault>,
    },
    /// The content that the change would lead to is no JSON object.
    #[error("the content would no longer be a JSON object")]
    ContentNotAnObject,
    /// The content that the change would lead to is too large.
    #[error("the content would have more than {MAX_CONTENT_BYTES} bytes")]
    ContentTooLarge,
    /// A string of the content that the change would lead to holds U+0000, and is not the message of a barcode.
    #[error("the string would hold the character U+0000, which only the `message` of a barcode may")]
    StrayNul {
        /// RFC 6901 pointer into the content.
        pointer: String,
    },
    /// The content that the change would lead to nests too deep.
    #[error("arrays and objects of the content would nest deeper than {MAX_DEPTH} levels")]
    ContentTooDeep,
    /// The pass would have too many languages, or too many texts.
    #[error(transparent)]
    LocalizationsTooLarge(TooLarge),
    /// A `test` of a JSON Patch does not hold.
    #[error(
        "the test of operation {operation} failed: the content has changed; read it again and repeat the change"
    )]
    PatchTestFailed {
        /// Which one, counted from 0.
        operation: usize,
    },
    /// An operation of a JSON Patch cannot be carried out.
    #[error("operation {operation} cannot be carried out: {reason}")]
    PatchFailed {
        /// Which one, counted from 0.
        operation: usize,
        /// Which of its members is wrong.
        member: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// There is nothing at the place whose number is to be incremented.
    #[error("the content has no value at this place")]
    NothingToIncrement,
    /// What is at the place is not a number.
    #[error("the value at this place of the content is not a number")]
    NotANumber,
    /// The sum is not one that JSON carries exactly.
    #[error(
        "the sum would be an integer beyond ±{MAX_SAFE_INTEGER}, or a decimal with more digits than a double keeps (about 15)"
    )]
    IncrementOutOfRange,
    /// The `Idempotency-Key` belongs to another increment of this pass.
    #[error(
        "this `Idempotency-Key` was sent with another increment of this pass; choose a new key for a new increment"
    )]
    KeyReused,
    /// What names the order belongs to one with another content.
    #[error(
        "an order for this pass came under the same name with another content; choose a new name for a new order"
    )]
    OrderReused,
}

fn precondition_failed(current: Option<&ETag>) -> String {
    match current {
        Some(current) => {
            format!(
                "the pass has changed since then: its current etag is \"{current}\"; read it again and repeat the change"
            )
        }
        None => "this pass does not exist yet and has no etag; issue it without `If-Match`".to_owned(),
    }
}

fn missing_image(one_of: &[ImageSlot]) -> String {
    let names = |form: fn(&str) -> String| {
        one_of.iter().map(|slot| form(slot.as_str())).collect::<Vec<_>>().join(" or ")
    };
    format!(
        "the pass has no {} image, and neither its pass type nor the brand has one; upload {}",
        names(|name| format!("`{name}`")),
        names(|name| format!("`{name}.png`"))
    )
}
