//! Loose fields: an integrator may send `eventName`, `eventDateISO`, `venueName`, `seat` and `section` at the top of
//! the content instead of writing a style dictionary.

use serde_json::{Map, Value, json};

use crate::{TicketStyle, ZonedDate};

/// One loose key: its name is the key of the field too.
pub(crate) struct LooseField {
    pub(crate) key: &'static str,
    label: &'static str,
    pub(crate) is_date: bool,
}

/// The loose keys of an event ticket, in the order of their groups. A plain ticket has room for one primary field, four secondary and four
/// auxiliary ones: the event is what everybody looks for, date and venue stand below it, and the seat below those.
pub(crate) const GROUPS: [(&str, &[LooseField]); 3] = [
    ("primaryFields", &[LooseField { key: "eventName", label: "EVENT", is_date: false }]),
    (
        "secondaryFields",
        &[
            LooseField { key: "eventDateISO", label: "DATE", is_date: true },
            LooseField { key: "venueName", label: "VENUE", is_date: false },
        ],
    ),
    (
        "auxiliaryFields",
        &[
            LooseField { key: "seat", label: "SEAT", is_date: false },
            LooseField { key: "section", label: "SECTION", is_date: false },
        ],
    ),
];

/// Whether a content has its own dictionary for the front of the pass.
pub(crate) fn has_dictionary(content: &Map<String, Value>, style: TicketStyle) -> bool {
    content.contains_key(style.pass_json_key())
}

/// Whether the loose keys of this content mean anything: on an event ticket, and not next to a style dictionary, which is then left alone.
pub(crate) fn are_loose_fields_mapped(content: &Map<String, Value>, style: TicketStyle) -> bool {
    match style {
        TicketStyle::Event => !has_dictionary(content, style),
        TicketStyle::Boarding | TicketStyle::Coupon | TicketStyle::Generic | TicketStyle::StoreCard => false,
    }
}

/// Whether a value can be shown in a field.
pub(crate) fn can_be_shown(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

/// Gives a pass its style dictionary, unless it has one: on an event ticket the loose fields are moved into it. The pass has its `description`
/// already: it becomes the primary field when there is no other.
pub(crate) fn map_loose_fields(pass: &mut Map<String, Value>, style: TicketStyle) {
    if has_dictionary(pass, style) {
        return;
    }
    let mut dictionary = Map::new();
    if are_loose_fields_mapped(pass, style) {
        for (group, loose) in GROUPS {
            let fields = take_fields(pass, loose);
            if !fields.is_empty() {
                dictionary.insert(group.to_owned(), Value::Array(fields));
            }
        }
    }
    if !dictionary.contains_key("primaryFields") {
        let description = json!({ "key": "description", "value": pass.get("description") });
        dictionary.insert("primaryFields".to_owned(), json!([description]));
    }
    if style == TicketStyle::Boarding {
        // The linter refuses such a content; a boarding pass without one is none.
        dictionary.insert("transitType".to_owned(), json!("PKTransitTypeGeneric"));
    }
    pass.insert(style.pass_json_key().to_owned(), Value::Object(dictionary));
}

/// A value that no field can show stays where it was, as any unknown key does.
fn take_fields(pass: &mut Map<String, Value>, loose: &[LooseField]) -> Vec<Value> {
    loose
        .iter()
        .filter_map(|loose| {
            pass.get(loose.key).filter(|value| can_be_shown(value))?;
            pass.remove(loose.key).map(|value| field(loose, &value))
        })
        .collect()
}

fn field(loose: &LooseField, value: &Value) -> Value {
    // A date style on something that is not a date makes Wallet refuse the whole pass.
    let styled = loose.is_date && value.as_str().is_some_and(|text| ZonedDate::parse(text).is_ok());
    let mut field = json!({ "key": loose.key, "label": loose.label, "value": value });
    if styled {
        field["dateStyle"] = json!("PKDateStyleMedium");
        field["timeStyle"] = json!("PKDateStyleShort");
    }
    field
}
