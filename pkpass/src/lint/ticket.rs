//! The pass that is being checked.

use serde_json::{Map, Value};

use crate::TicketStyle;

/// A pass as the rules see it: its content, and the choices that decide how Wallet shows it.
#[derive(Clone, Copy)]
pub(super) struct Ticket<'a> {
    pub(super) style: TicketStyle,
    pub(super) content: &'a Map<String, Value>,
    /// The poster look is asked for, by the server's flag or by the content's own `preferredStyleSchemes`.
    pub(super) poster: bool,
}
