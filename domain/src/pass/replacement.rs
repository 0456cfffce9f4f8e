//! Replacing content by orders that may come twice, which those that wait in a queue may.

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::ids::Digest;

/// A content, and what its order is known by.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyedContent {
    /// The whole new content.
    pub content: Content,
    /// Digest of what names the order: the same again is answered and not carried out.
    pub key: Digest,
}

/// A replacement that was carried out, as a pass remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyedReplacement {
    /// Digest of what named the order.
    pub key: Digest,
    /// Digest of the content that it asked for, to know the same key with another.
    pub request: Digest,
}

impl KeyedContent {
    /// What is remembered once the content is in place.
    pub fn remembered(&self) -> KeyedReplacement {
        let text = serde_json_canonicalizer::to_string(&self.content)
            .expect("strings, finite numbers and booleans have a canonical form");
        KeyedReplacement { key: self.key.clone(), request: Digest::of(text.as_bytes()) }
    }
}
