//! Reads the content of a pass the way a phone will, and reports the parts that it would not like.
//!
//! Each file knows one part of pass.json; `shape.rs` is the vocabulary they share (types, dates, colours). Unknown keys are left in peace:
//! Wallet ignores them, and a newer Wallet may not.

mod actions;
mod barcodes;
mod boarding;
mod currency;
mod dictionary;
mod fields;
mod group;
mod loose;
mod names;
mod nfc;
mod places;
mod poster;
mod relevant_dates;
mod semantics;
mod server_keys;
mod shape;
mod spelling;
mod ticket;
mod top_level;
mod upcoming;

use serde_json::{Map, Value};

use crate::finding::{Finding, Findings};
use crate::pass_json::poster::asks_for_poster;
use crate::{PassKind, TicketStyle};

use self::ticket::Ticket;

/// Checks the content of a pass: at most [`MAX_FINDINGS`](crate::MAX_FINDINGS), in the order of the rules.
///
/// A content without an [`Error`](crate::Severity::Error) finding gives a pass that Wallet accepts as far as the
/// content decides it; warnings say what it ignores, shortens or replaces. Images are not content: see
/// [`missing_images`](crate::missing_images).
///
/// <https://developer.apple.com/documentation/walletpasses/pass>
pub fn lint(PassKind { style, poster }: PassKind, content: &Map<String, Value>) -> Vec<Finding> {
    let has_poster = style.has_poster();
    let ticket = Ticket { style, content, poster: has_poster && (poster || asks_for_poster(content)) };
    let mut findings = Findings::default();
    server_keys::check(&mut findings, content);
    names::check(&mut findings, content);
    top_level::check(&mut findings, ticket);
    dictionary::check(&mut findings, ticket);
    loose::check(&mut findings, ticket);
    barcodes::check(&mut findings, ticket);
    places::check(&mut findings, content);
    relevant_dates::check(&mut findings, content);
    nfc::check(&mut findings, content);
    actions::check(&mut findings, ticket);
    upcoming::check(&mut findings, ticket);
    if let Some(tags) = content.get("semantics") {
        semantics::check(&mut findings, "/semantics", style, tags);
    }
    poster::check(&mut findings, has_poster && poster, ticket);
    if style == TicketStyle::Boarding {
        boarding::check(&mut findings, content);
    }
    findings.into_vec()
}
