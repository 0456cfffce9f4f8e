//! The needs of the poster look. Wallet does not complain when one is not met: it shows the plain look.
//!
//! <https://developer.apple.com/documentation/walletpasses/creating-a-poster-event-pass>

use serde_json::{Map, Value};

use crate::TicketStyle;
use crate::finding::{Findings, quoted};
use crate::lint::ticket::Ticket;
use crate::pass_json::loose::are_loose_fields_mapped;
use crate::pass_json::poster::{POSTER_SCHEME, asks_for_poster, schemes_of, semantics_from_loose_fields};
use crate::pointer::at;

/// `flag` is the server's, which the content may contradict.
pub(super) fn check(findings: &mut Findings, flag: bool, ticket: Ticket<'_>) {
    let content = ticket.content;
    check_schemes(findings, flag, ticket);
    if !ticket.poster {
        return;
    }
    let filled = if flag && are_loose_fields_mapped(content, ticket.style) {
        semantics_from_loose_fields(content)
    } else {
        Map::new()
    };
    let semantics = content.get("semantics").and_then(Value::as_object);
    let tag = |name: &str| semantics.and_then(|tags| tags.get(name)).or_else(|| filled.get(name));
    let needed = ["eventName", "venueName", "venueRegionName", "venueRoom"];
    for name in needed.iter().chain(needed_for(tag("eventType"))).filter(|name| tag(name).is_none()) {
        let detail =
            format!("the poster look needs the semantic tag {name}; without it Wallet shows the plain look");
        findings.warning("poster_incomplete", &at("/semantics", name), detail);
    }
    if !content.contains_key("nfc") {
        let detail = "the poster look needs nfc; without it Wallet shows the plain look";
        findings.warning("poster_incomplete", "/nfc", detail);
    }
}

fn needed_for(event_type: Option<&Value>) -> &'static [&'static str] {
    match event_type.and_then(Value::as_str) {
        Some("PKEventTypeSports") => &["homeTeamAbbreviation", "awayTeamAbbreviation"],
        Some("PKEventTypeLivePerformance") => &["performerNames"],
        _ => &[],
    }
}

fn check_schemes(findings: &mut Findings, flag: bool, ticket: Ticket<'_>) {
    let (content, known) = (ticket.content, schemes_of(ticket.style));
    for (index, scheme) in schemes(content).filter(|(_, scheme)| !known.contains(scheme)) {
        let key = ticket.style.pass_json_key();
        let detail = match ticket.style {
            TicketStyle::Event => {
                format!(
                    "{} is not a style scheme of event tickets; known are {}",
                    quoted(scheme),
                    known.join(", ")
                )
            }
            _ if known.is_empty() => format!("{key} has no style schemes: {} is ignored", quoted(scheme)),
            _ => format!("{} is not a style scheme of {key}; known are {}", quoted(scheme), known.join(", ")),
        };
        findings.warning("unknown_value", &at("/preferredStyleSchemes", index), detail);
    }
    if flag && content.contains_key("preferredStyleSchemes") && !asks_for_poster(content) {
        let detail = format!("the pass is a poster, but preferredStyleSchemes does not name {POSTER_SCHEME}");
        findings.warning("poster_not_preferred", "/preferredStyleSchemes", detail);
    }
}

fn schemes(content: &Map<String, Value>) -> impl Iterator<Item = (usize, &str)> {
    let schemes = content.get("preferredStyleSchemes").and_then(Value::as_array).into_iter().flatten();
    schemes.enumerate().filter_map(|(index, scheme)| Some((index, scheme.as_str()?)))
}
