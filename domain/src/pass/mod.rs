//! One pass: issued once, changed, voided, reinstated and in the end retired.

mod aggregate;
mod anew;
mod command;
mod error;
mod event;
mod form;
mod increment;
mod parts;
mod patch;
mod replacement;
mod restore;
mod state;
#[cfg(test)]
mod tests;

pub use aggregate::Pass;
pub use anew::PassRepaired;
pub use command::{Circumstances, ContentRules, IssuePass, OrderedToken, PassCommand, Precondition};
pub use error::{ContentFault, PassError};
pub use event::{HIDDEN_CHANGES, PassEvent, PassIssued, REPAIRED};
pub use honoken_styles::{PassKind, TicketStyle};
pub use increment::{Increment, KeyedIncrement, REMEMBERED};
pub use json_patch::{PatchOperation, jsonptr::PointerBuf};
pub use patch::{ContentPatch, MAX_OPERATIONS};
pub use replacement::{KeyedContent, KeyedReplacement};
pub use restore::FormerParts;
