//! How the state of a pass becomes its `ETag`.
//!
//! The tag is the SHA-256, in lowercase hex, of the canonical JSON (RFC 8785) of what a phone can see: the digests of the images,
//! the content, the texts of other languages if there are any, the pass's own facts, and the form of a rewards programme while it is in the file.
//! The authentication token is left out: it never changes, and a tag is public.
//! `docs/etag.md` works examples from input to hex; a test below holds them true.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::content::Content;
use crate::ids::{Digest, ETag, PassId, UnixSeconds};
use crate::images::Images;
use crate::localizations::Localizations;
use crate::pass::TicketStyle;
use crate::personalization::PersonalizationForm;
use crate::served::shows_form;

/// Everything that a tag names, borrowed from where it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Tagged<'a> {
    /// Which pass.
    pub id: &'a PassId,
    /// What it is drawn as.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout.
    pub poster: bool,
    /// Whether it is void.
    pub voided: bool,
    /// When it last changed.
    pub updated_at: UnixSeconds,
    /// What the integrator put on it.
    pub content: &'a Content,
    /// The images that end up in it.
    pub images: &'a Images,
    /// The texts that end up in it.
    pub localizations: &'a Localizations,
    /// The form of a rewards programme that no person has filled in; it is hashed while it is in the file.
    pub open_form: Option<&'a PersonalizationForm>,
}

#[derive(Serialize)]
struct Document<'a> {
    assets: &'a Images,
    content: &'a Content,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    localizations: &'a Localizations,
    pass: Facts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    personalization: Option<&'a PersonalizationForm>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts<'a> {
    pass_type_identifier: &'a str,
    poster: bool,
    serial_number: &'a str,
    ticket_style: TicketStyle,
    updated_at_sec: i64,
    voided: bool,
}

impl Tagged<'_> {
    /// The canonical text that is hashed.
    pub fn canonical_text(&self) -> String {
        let document = Document {
            assets: self.images,
            content: self.content,
            localizations: self.localizations,
            pass: Facts {
                pass_type_identifier: self.id.pass_type_identifier.as_str(),
                poster: self.poster,
                serial_number: self.id.serial_number.as_str(),
                ticket_style: self.ticket_style,
                updated_at_sec: self.updated_at.0,
                voided: self.voided,
            },
            personalization: self.open_form.filter(|_| shows_form(self.images)),
        };
        // Only a map key that is not a string or a number that is not finite could fail, and neither can be built here.
        serde_json_canonicalizer::to_string(&document)
            .expect("strings, finite numbers and booleans have a canonical form")
    }

    /// The tag.
    pub fn etag(&self) -> ETag {
        let digest = Digest::of(self.canonical_text().as_bytes());
        ETag::parse(digest).expect("a digest is 64 lowercase hex digits, as a tag is")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of `docs/etag.md`, so that the page cannot grow old.
    #[test]
    fn the_documented_examples_hold() {
        let page = include_str!("../../docs/etag.md");
        let blocks: Vec<&str> = page.split("```").skip(1).step_by(2).collect();
        assert_eq!(blocks.len(), 15, "five examples of input, canonical text and tag");
        for example in blocks.chunks(3) {
            let [input, canonical, hex] = example else { unreachable!() };
            let input: serde_json::Value = serde_json::from_str(input.trim_start_matches("json")).unwrap();
            let images: Images = serde_json::from_value(input["images"].clone()).unwrap();
            let content =
                Content::from_value(crate::json::parse(input["content"].to_string().as_bytes()).unwrap())
                    .unwrap();
            let form: Option<PersonalizationForm> =
                serde_json::from_value(input["personalization"].clone()).unwrap();
            let id = PassId::parse(input["pass"].as_str().unwrap()).unwrap();
            let localizations: Localizations =
                serde_json::from_value(input.get("localizations").cloned().unwrap_or_else(|| json!({})))
                    .unwrap();
            let tagged = Tagged {
                id: &id,
                ticket_style: TicketStyle::parse(input["ticketStyle"].as_str().unwrap()).unwrap(),
                poster: input["poster"].as_bool().unwrap(),
                voided: input["voided"].as_bool().unwrap(),
                updated_at: UnixSeconds(input["updatedAtSec"].as_i64().unwrap()),
                content: &content,
                images: &images,
                localizations: &localizations,
                open_form: form.as_ref(),
            };
            assert_eq!(tagged.canonical_text(), canonical.trim_start_matches("text").trim());
            assert_eq!(tagged.etag().as_str(), hex.trim_start_matches("text").trim());
        }
    }
}
