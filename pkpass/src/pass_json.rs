//! From a [`PassSource`] to the bytes of pass.json.
//!
//! Total and deterministic: any content gives bytes, and the same source gives the same bytes, because a phone
//! compares manifests and an entity tag promises equality.

pub(crate) mod aliases;
mod colors;
pub(crate) mod loose;
pub(crate) mod poster;

use serde_json::{Map, Value, json};

use crate::PassSource;
use crate::canonical::canonical;
use crate::image::ImageSlot;

/// The keys that only the server writes, with the remedy for a content that has them.
pub(crate) const SERVER_KEYS: [(&str, &str); 7] = [
    ("formatVersion", "it is always 1"),
    ("passTypeIdentifier", "it is given when the pass is issued, outside the content"),
    ("serialNumber", "it is given when the pass is issued, outside the content"),
    ("teamIdentifier", "it comes from the signing certificate of the pass type"),
    ("webServiceURL", "it is the address of this service"),
    ("authenticationToken", "it is made by this service when the pass is issued"),
    ("voided", "use POST …/void and POST …/reinstate"),
];

/// The bytes of pass.json, in RFC 8785 canonical form.
///
/// - The server's own keys are always written from the source, whatever the content says.
/// - `organizationName` and `description` are the content's, else a fallback.
/// - The loose fields of a simple ticket become a style dictionary, see `pass_json/loose.rs`.
/// - A pass that names no colours and shows no picture (`slots` are those of its images) is black on white, see `pass_json/colors.rs`.
/// - Deprecated and current spellings accompany each other, see `pass_json/aliases.rs`.
/// - `nfc` is left out where the certificate may not sign it.
/// - Everything else is copied, known or not: a key of a new iOS needs no new release of this service.
///
/// <https://developer.apple.com/documentation/walletpasses/pass>
pub fn pass_json(source: &PassSource<'_>, slots: &[ImageSlot]) -> Vec<u8> {
    let mut pass = source.content.clone();
    if source.leaves_out_nfc {
        pass.remove("nfc");
    }
    write_names(&mut pass, source);
    if source.kind.poster {
        // Before the loose fields are taken away: it reads them.
        poster::ask_for_poster(&mut pass, source.kind.style);
    }
    colors::write_colors(&mut pass, source.kind, slots);
    loose::map_loose_fields(&mut pass, source.kind.style);
    aliases::add_aliases(&mut pass, source.kind.style);
    write_server_keys(&mut pass, source);
    canonical(&pass)
}

fn write_names(pass: &mut Map<String, Value>, source: &PassSource<'_>) {
    let organization_name =
        given_text(pass, "organizationName").unwrap_or(source.organization_name).to_owned();
    let description = given_text(pass, "description")
        .or_else(|| given_text(pass, "eventName"))
        .unwrap_or(&organization_name)
        .to_owned();
    pass.insert("organizationName".to_owned(), Value::String(organization_name));
    pass.insert("description".to_owned(), Value::String(description));
}

fn write_server_keys(pass: &mut Map<String, Value>, source: &PassSource<'_>) {
    for (key, _) in SERVER_KEYS {
        pass.remove(key);
    }
    let mut write = |key: &str, value: Value| pass.insert(key.to_owned(), value);
    write("formatVersion", json!(1));
    write("passTypeIdentifier", json!(source.pass_type_identifier));
    write("serialNumber", json!(source.serial_number));
    write("teamIdentifier", json!(source.team_identifier));
    if !source.web_service_url.is_empty() {
        write("webServiceURL", json!(source.web_service_url));
        write("authenticationToken", json!(source.authentication_token));
    }
    if source.voided {
        write("voided", json!(true));
    }
}

/// The text behind a key; an empty one counts as not given.
pub(crate) fn given_text<'a>(content: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    content.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}
