//! `featuredActions`: buttons below the pass (iOS 27).

use serde_json::Value;

use crate::finding::Findings;
use crate::lint::shape::{Kind, Shape, check_members, objects, require};
use crate::lint::ticket::Ticket;

const MOST_ACTIONS: usize = 2;

const TYPES: &[&str] = &[
    "viewSchedule",
    "watchTrailer",
    "listenToMusic",
    "call",
    "place",
    "addToBalance",
    "order",
    "shop",
    "membershipBenefits",
    "bookAppointment",
    "bookCar",
    "bookFlight",
    "bookStay",
    "viewOffersRewards",
];

const SHAPE: Shape = &[
    ("identifier", Kind::Text),
    ("type", Kind::OneOf(TYPES)),
    ("url", Kind::Url),
    ("placeIdentifier", Kind::Text),
];

pub(super) fn check(findings: &mut Findings, ticket: Ticket<'_>) {
    let Some(actions) = ticket.content.get("featuredActions") else { return };
    let count = actions.as_array().map_or(0, Vec::len);
    if count > MOST_ACTIONS {
        let detail = format!("{count} actions; at most {MOST_ACTIONS} are shown");
        findings.warning("too_many_actions", "/featuredActions", detail);
    }
    if ticket.poster {
        let detail = "poster event tickets show no featured actions";
        findings.warning("ignored_here", "/featuredActions", detail);
    }
    for (pointer, action) in objects(findings, "/featuredActions", actions) {
        require(findings, "action_incomplete", &pointer, action, &["identifier", "type"]);
        check_members(findings, &pointer, action, SHAPE);
        let is_place = action.get("type").and_then(Value::as_str) == Some("place");
        if !is_place {
            require(findings, "action_incomplete", &pointer, action, &["url"]);
        }
    }
}
