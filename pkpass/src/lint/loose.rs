//! The loose fields that stand for a style dictionary.

use crate::TicketStyle;
use crate::finding::Findings;
use crate::lint::shape::{Kind, check_value};
use crate::lint::ticket::Ticket;
use crate::pass_json::loose::{GROUPS, are_loose_fields_mapped, has_dictionary};
use crate::pointer::at;

/// The loose field that becomes the primary one.
const EVENT_NAME: &str = "eventName";

pub(super) fn check(findings: &mut Findings, ticket: Ticket<'_>) {
    let Ticket { content, style, .. } = ticket;
    let mapped = are_loose_fields_mapped(content, style);
    for field in GROUPS.iter().flat_map(|(_, fields)| *fields) {
        let (Some(value), pointer) = (content.get(field.key), at("", field.key)) else { continue };
        if mapped {
            let kind = if field.is_date { Kind::Date } else { Kind::TextOrNumber };
            check_value(findings, &pointer, value, kind);
        } else {
            let (key, dictionary) = (field.key, style.pass_json_key());
            let detail = match style {
                TicketStyle::Event => {
                    format!("{key} is not shown, because the content has its own {dictionary}")
                }
                _ => {
                    format!("{key} is a loose field of event tickets; this pass shows its {dictionary} only")
                }
            };
            findings.warning("loose_field_ignored", &pointer, detail);
        }
    }
    if style != TicketStyle::Event && !has_dictionary(content, style) {
        let detail = format!("there is no {}: the front shows the description", style.pass_json_key());
        findings.warning("primary_field_missing", &at("", style.pass_json_key()), detail);
    }
    if mapped && !content.contains_key(EVENT_NAME) {
        let detail = format!(
            "there is neither {} nor {EVENT_NAME}: the front shows the description",
            style.pass_json_key()
        );
        findings.warning("primary_field_missing", &at("", style.pass_json_key()), detail);
    }
}
