//! How a list goes on behind the last pass of the page before.

use honoken_domain::ids::PassId;

/// Sorts behind every name.
pub(crate) const BEHIND_ALL: &str = "\u{10FFFF}";

/// Type and serial number; what sorts before all when there is no pass.
pub(crate) fn names(id: Option<&PassId>) -> (&str, &str) {
    id.map_or(("", ""), |id| (id.pass_type_identifier.as_str(), id.serial_number.as_str()))
}
