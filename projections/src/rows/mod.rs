//! Rows and columns that more than one part of this crate reads or writes.

pub(crate) mod columns;
pub(crate) mod content;
pub(crate) mod nfc;
pub(crate) mod parked_event;
pub(crate) mod pass;
pub(crate) mod pass_type;
pub(crate) mod shown_parts;
