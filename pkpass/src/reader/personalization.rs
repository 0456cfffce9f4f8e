//! What needs more than a usual certificate: NFC, and the sign-up of reward programmes.
//!
//! <https://developer.apple.com/documentation/walletpasses/personalize>

use serde_json::{Map, Value};

use crate::certificate::is_named_for_nfc;
use crate::finding::quoted;
use crate::reader::notes::Notes;
use crate::reader::report::in_archive;
use crate::reader::unpack::Files;
use crate::reader::{CertificateReport, json};

pub(super) use crate::personalization::PERSONALIZATION as FILE;

/// What Apple adds to the name of a certificate for passes with NFC.
const WITH_NFC: &str = "with NFC";

const FIELDS: [&str; 4] = [
    "PKPassPersonalizationFieldName",
    "PKPassPersonalizationFieldPostalCode",
    "PKPassPersonalizationFieldEmailAddress",
    "PKPassPersonalizationFieldPhoneNumber",
];

/// A pass that talks over NFC opens only when Apple has allowed its signer to.
pub(super) fn check_certificate(
    pass: Option<&Map<String, Value>>,
    files: &Files,
    signer: Option<&CertificateReport>,
    notes: &mut Notes,
) {
    let has_nfc = pass.is_some_and(|pass| pass.contains_key("nfc"));
    let (what, pointer) = match (has_nfc, files.contains_key(FILE)) {
        (true, _) => ("nfc", "/nfc".to_owned()),
        (false, true) => (FILE, in_archive(FILE)),
        (false, false) => return,
    };
    let Some(signer) = signer else { return };
    let name = signer.common_name.as_deref().unwrap_or_default();
    if !is_named_for_nfc(name) {
        let detail = format!(
            "a pass with {what} opens only when Apple has issued its certificate \"{WITH_NFC}\", and this one is {}: ask Apple for one, or \
             leave {what} out",
            quoted(name)
        );
        notes.problem_at("nfc_certificate", &pointer, detail);
    }
}

/// The sign-up itself: Wallet leaves it out when a part is missing.
pub(super) fn check(pass: Option<&Map<String, Value>>, files: &Files, notes: &mut Notes) {
    let Some(bytes) = files.get(FILE) else { return };
    let place = in_archive(FILE);
    match json::read(FILE, bytes, notes) {
        Ok(Value::Object(sign_up)) => check_members(&sign_up, notes),
        Ok(_) => notes.warning(
            "personalization",
            &place,
            format!("{FILE} is not a JSON object: nobody can sign up"),
        ),
        Err(detail) => notes.warning("personalization", &place, format!("{detail}. Nobody can sign up")),
    }
    let has = |key: &str| pass.is_none_or(|pass| pass.contains_key(key));
    let has_logo = files.keys().any(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.starts_with("personalizationLogo")
    });
    let needed = [
        (has("nfc"), "an nfc dictionary in pass.json"),
        (has("webServiceURL"), "a webServiceURL in pass.json"),
        (has_logo, "an image personalizationLogo.png"),
    ];
    for (_, part) in needed.into_iter().filter(|(is_there, _)| !is_there) {
        let detail = format!("{FILE} needs {part}: without it the sign-up is not offered");
        notes.warning("personalization", &place, detail);
    }
}

fn check_members(sign_up: &Map<String, Value>, notes: &mut Notes) {
    let place = in_archive(FILE);
    if sign_up.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
        notes.warning("personalization", &place, format!("{FILE} needs a description, a text"));
    }
    let fields = sign_up.get("requiredPersonalizationFields").and_then(Value::as_array);
    match fields {
        Some(fields) if !fields.is_empty() => {
            for field in
                fields.iter().filter(|field| !FIELDS.iter().any(|known| *field == known)).take(FIELDS.len())
            {
                let (field, known) = (quoted(field.as_str().unwrap_or_default()), FIELDS.join(", "));
                let detail = format!("{FILE} asks for {field}, which is not known; known are {known}");
                notes.warning("personalization", &place, detail);
            }
        }
        _ => {
            let detail = format!(
                "{FILE} needs requiredPersonalizationFields, a list with one or more of {}",
                FIELDS.join(", ")
            );
            notes.warning("personalization", &place, detail);
        }
    }
}
