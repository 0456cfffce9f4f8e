//! How a page of passes goes on behind the last pass of the page before.

use honoken_domain::ids::PassId;

/// A text that sorts behind every pass type.
pub(crate) const AFTER_ALL_TYPES: &str = "\u{10FFFF}";

/// Type and serial number, by which passes are sorted. Without a pass they sort before all passes.
pub(crate) fn sort_key(id: Option<&PassId>) -> (&str, &str) {
    id.map_or(("", ""), |id| (id.pass_type_identifier.as_str(), id.serial_number.as_str()))
}
