//! Style dictionaries: which of them may be there, and the groups of fields inside.
//!
//! <https://developer.apple.com/documentation/walletpasses/passfields>

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::TicketStyle;
use crate::finding::{Findings, quoted};
use crate::lint::fields;
use crate::lint::group::{DICTIONARY_KEYS, Group, TRANSIT_TYPE};
use crate::lint::shape::{Kind, check_value, objects};
use crate::lint::spelling::{check_place, check_spelling};
use crate::lint::ticket::Ticket;
use crate::lint::top_level::top_level_keys;
use crate::pointer::at;

/// Every style dictionary of which a pass has exactly one.
const STYLES: [&str; 5] = ["boardingPass", "coupon", "eventTicket", "generic", "storeCard"];

/// The newer look that may accompany the one style.
const POSTER_GENERIC: &str = "posterGeneric";

/// The kinds of transit that a boarding pass can be for.
const TRANSIT_TYPES: [&str; 5] = [
    "PKTransitTypeAir",
    "PKTransitTypeBoat",
    "PKTransitTypeBus",
    "PKTransitTypeGeneric",
    "PKTransitTypeTrain",
];

/// Secondary and auxiliary fields that a coupon or a store card shows.
const SHARED_ROW: usize = 4;

pub(super) fn check(findings: &mut Findings, ticket: Ticket<'_>) {
    let (content, own) = (ticket.content, ticket.style.pass_json_key());
    for other in STYLES.into_iter().filter(|style| *style != own && content.contains_key(*style)) {
        let detail = format!("a pass has one style, and this one is {own}: remove {other}");
        findings.error("other_style", &at("", other), detail);
    }
    if let Some(dictionary) = content.get(POSTER_GENERIC) {
        let detail = "posterGeneric is shown by iOS 27 and later only; older systems show the other style";
        findings.warning("needs_ios_27", "/posterGeneric", detail);
        check_groups(findings, ticket.style, POSTER_GENERIC, dictionary);
    }
    if let Some(dictionary) = content.get(own) {
        check_groups(findings, ticket.style, own, dictionary);
        if let Some(dictionary) = dictionary.as_object() {
            check_own_style(findings, ticket.style, dictionary);
        }
    }
    if ticket.style == TicketStyle::Boarding {
        let transit_type = content.get(own).and_then(|dictionary| dictionary.get(TRANSIT_TYPE));
        check_transit_type(findings, transit_type);
    }
}

/// A boarding pass does not open without one.
fn check_transit_type(findings: &mut Findings, transit_type: Option<&Value>) {
    let pointer = "/boardingPass/transitType";
    let known = TRANSIT_TYPES.join(", ");
    match transit_type {
        None => {
            let detail = format!("a boarding pass needs a transitType, one of {known}");
            findings.error("transit_type_missing", pointer, detail);
        }
        Some(Value::String(name)) if TRANSIT_TYPES.contains(&name.as_str()) => {}
        Some(Value::String(name)) => {
            let detail = format!("{} is not a transitType; known are {known}", quoted(name));
            findings.error("transit_type_unknown", pointer, detail);
        }
        Some(other) => check_value(findings, pointer, other, Kind::Text),
    }
}

/// Every group of fields.
fn check_groups(findings: &mut Findings, style: TicketStyle, key: &'static str, dictionary: &Value) {
    let pointer = at("", key);
    check_value(findings, &pointer, dictionary, Kind::Object);
    check_spelling(findings, &pointer, dictionary.as_object(), &[], &DICTIONARY_KEYS);
    if let Some(dictionary) = dictionary.as_object() {
        check_place(findings, &pointer, dictionary, top_level_keys(), "to the top of the pass");
    }
    let mut keys = FieldKeys::default();
    for group in Group::ALL {
        let Some(value) = dictionary.get(group.key()) else { continue };
        for (pointer, field) in objects(findings, &at(&pointer, group.key()), value) {
            fields::check(findings, &pointer, style, group, field);
            if let Some(key) = field.get("key").and_then(Value::as_str) {
                keys.add(findings, &pointer, group, key);
            }
        }
    }
}

/// The keys of the fields seen so far, those of the front first.
#[derive(Default)]
struct FieldKeys<'a> {
    front: HashSet<&'a str>,
    behind: HashSet<&'a str>,
}

impl<'a> FieldKeys<'a> {
    /// Two fields of the front with one key do not open. One that is repeated behind the front does: generators of tickets write the name of the
    /// attendee on both sides under the same key.
    fn add(&mut self, findings: &mut Findings, pointer: &str, group: Group, key: &'a str) {
        let pointer = at(pointer, "key");
        if group.is_on_front() {
            if !self.front.insert(key) {
                let detail = format!("the field key {} is taken by another field of the front", quoted(key));
                findings.error("field_key_repeated", &pointer, detail);
            }
        } else if self.front.contains(key) || !self.behind.insert(key) {
            let detail = format!(
                "the field key {} is taken by another field of this pass: Wallet may confuse the two when one changes",
                quoted(key)
            );
            findings.warning("field_key_repeated", &pointer, detail);
        }
    }
}

fn check_own_style(findings: &mut Findings, style: TicketStyle, dictionary: &Map<String, Value>) {
    let own = style.pass_json_key();
    let pointer = at("", own);
    if style != TicketStyle::Boarding && dictionary.contains_key(TRANSIT_TYPE) {
        let detail = "transitType belongs to boarding passes only";
        findings.error("transit_type_forbidden", &at(&pointer, TRANSIT_TYPE), detail);
    }
    if dictionary.contains_key(Group::Footer.key()) {
        let detail = format!("footerFields are shown in posterGeneric only, not in {own}");
        findings.warning("ignored_here", &at(&pointer, Group::Footer.key()), detail);
    }
    if dictionary.get(Group::Primary.key()).is_none_or(|fields| *fields == Value::Array(Vec::new())) {
        let detail = "there is no primary field: the front of the pass is nearly empty";
        findings.warning("primary_field_missing", &at(&pointer, Group::Primary.key()), detail);
    }
    for group in Group::ALL {
        check_capacity(findings, &pointer, style, group, dictionary);
    }
    if matches!(style, TicketStyle::Coupon | TicketStyle::StoreCard) {
        check_shared_row(findings, &pointer, dictionary);
    }
}

/// Coupons and store cards show secondary and auxiliary fields in one row.
fn check_shared_row(findings: &mut Findings, pointer: &str, dictionary: &Map<String, Value>) {
    let [secondary, auxiliary] = [Group::Secondary, Group::Auxiliary]
        .map(|group| dictionary.get(group.key()).and_then(Value::as_array).map_or(0, Vec::len));
    let both = secondary + auxiliary;
    if both > SHARED_ROW && secondary.max(auxiliary) <= SHARED_ROW {
        let detail =
            format!("{both} secondary and auxiliary fields in one row; at most {SHARED_ROW} are shown");
        findings.warning("too_many_fields", &at(pointer, Group::Auxiliary.key()), detail);
    }
}

fn check_capacity(
    findings: &mut Findings,
    pointer: &str,
    style: TicketStyle,
    group: Group,
    dictionary: &Map<String, Value>,
) {
    let (Some(capacity), Some(fields)) =
        (group.capacity(style), dictionary.get(group.key()).and_then(Value::as_array))
    else {
        return;
    };
    // The second row of auxiliary fields of an event ticket has room of its own.
    let has_second_row = style == TicketStyle::Event;
    let in_second_row = |field: &&Value| {
        has_second_row && group == Group::Auxiliary && field.get("row").and_then(Value::as_u64) == Some(1)
    };
    let second = fields.iter().filter(in_second_row).count();
    let most = second.max(fields.len() - second);
    if most > capacity {
        let detail = format!("{most} fields in one row; at most {capacity} are shown");
        findings.warning("too_many_fields", &at(pointer, group.key()), detail);
    }
}
