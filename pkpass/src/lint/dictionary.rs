//! Style dictionaries: which of them may be there, and the groups of fields inside.
//!
//! <https://developer.apple.com/documentation/walletpasses/passfields>

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::finding::{Findings, quoted};
use crate::lint::shape::{Kind, check_value, objects};
use crate::lint::{Ticket, fields};
use crate::pointer::at;

/// Every style dictionary of which a pass has exactly one.
const STYLES: [&str; 5] = ["boardingPass", "coupon", "eventTicket", "generic", "storeCard"];

/// The newer look that may accompany the one style.
const POSTER_GENERIC: &str = "posterGeneric";

/// A group of fields in a style dictionary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Header,
    Primary,
    Secondary,
    Auxiliary,
    Back,
    AdditionalInfo,
    Footer,
}

impl Group {
    const ALL: [Self; 7] = [
        Self::Header,
        Self::Primary,
        Self::Secondary,
        Self::Auxiliary,
        Self::Back,
        Self::AdditionalInfo,
        Self::Footer,
    ];

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Header => "headerFields",
            Self::Primary => "primaryFields",
            Self::Secondary => "secondaryFields",
            Self::Auxiliary => "auxiliaryFields",
            Self::Back => "backFields",
            Self::AdditionalInfo => "additionalInfoFields",
            Self::Footer => "footerFields",
        }
    }

    /// How many fields of the group fit on the front of an event ticket; more are hidden or cut off.
    const fn capacity(self) -> Option<usize> {
        match self {
            Self::Header => Some(3),
            Self::Primary => Some(1),
            // Per row, for auxiliary fields.
            Self::Secondary | Self::Auxiliary => Some(4),
            Self::Back | Self::AdditionalInfo | Self::Footer => None,
        }
    }
}

pub(super) fn check(findings: &mut Findings, ticket: Ticket<'_>) {
    let (content, own) = (ticket.content, ticket.style.pass_json_key());
    for other in STYLES.into_iter().filter(|style| *style != own && content.contains_key(*style)) {
        let detail = format!("a pass has one style, and this one is {own}: remove {other}");
        findings.error("other_style", &at("", other), detail);
    }
    if let Some(dictionary) = content.get(POSTER_GENERIC) {
        let detail = "posterGeneric is shown by iOS 27 and later only; older systems show the other style";
        findings.warning("needs_ios_27", "/posterGeneric", detail);
        check_groups(findings, POSTER_GENERIC, dictionary);
    }
    if let Some(dictionary) = content.get(own) {
        check_groups(findings, own, dictionary);
        if let Some(dictionary) = dictionary.as_object() {
            check_own_style(findings, own, dictionary);
        }
    }
}

/// Every group of fields; keys of fields are unique in the whole dictionary.
fn check_groups(findings: &mut Findings, style: &'static str, dictionary: &Value) {
    let pointer = at("", style);
    check_value(findings, &pointer, dictionary, Kind::Object);
    let mut keys = HashSet::new();
    for group in Group::ALL {
        let Some(value) = dictionary.get(group.key()) else { continue };
        for (pointer, field) in objects(findings, &at(&pointer, group.key()), value) {
            fields::check(findings, &pointer, group, field);
            if let Some(key) = field.get("key").and_then(Value::as_str)
                && !keys.insert(key)
            {
                let detail = format!("the field key {} is taken by another field of this pass", quoted(key));
                findings.error("field_key_repeated", &at(&pointer, "key"), detail);
            }
        }
    }
}

fn check_own_style(findings: &mut Findings, own: &str, dictionary: &Map<String, Value>) {
    let pointer = at("", own);
    if dictionary.contains_key("transitType") {
        let detail = "transitType belongs to boarding passes only";
        findings.error("transit_type_forbidden", &at(&pointer, "transitType"), detail);
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
        check_capacity(findings, &pointer, group, dictionary);
    }
}

fn check_capacity(findings: &mut Findings, pointer: &str, group: Group, dictionary: &Map<String, Value>) {
    let (Some(capacity), Some(fields)) =
        (group.capacity(), dictionary.get(group.key()).and_then(Value::as_array))
    else {
        return;
    };
    // The second row of auxiliary fields has room of its own.
    let in_second_row =
        |field: &&Value| group == Group::Auxiliary && field.get("row").and_then(Value::as_u64) == Some(1);
    let second = fields.iter().filter(in_second_row).count();
    let most = second.max(fields.len() - second);
    if most > capacity {
        let detail = format!("{most} fields in one row; at most {capacity} are shown");
        findings.warning("too_many_fields", &at(pointer, group.key()), detail);
    }
}
