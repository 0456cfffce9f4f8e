//! Counting: a number on a pass goes up or down, and a retry does not count twice.

use json_patch::jsonptr::PointerBuf;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::content::Content;
use crate::decimal;
use crate::ids::Digest;
use crate::pass::PassError;

/// How many increments with a key a pass remembers, and how many replacements. A retry comes within seconds or minutes, while few others are made of the same pass.
pub const REMEMBERED: usize = 64;

/// What to add, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Increment {
    /// The number's place in the content (RFC 6901).
    pub pointer: PointerBuf,
    /// What is added; negative to take away.
    pub by: Number,
    /// Digest of the `Idempotency-Key`: the same again is answered and not carried out.
    pub key: Option<Digest>,
}

/// An increment that was carried out, as a pass remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyedIncrement {
    /// Digest of the `Idempotency-Key`.
    pub key: Digest,
    /// Digest of what was asked, to know the same key with another body.
    pub request: Digest,
    /// What the number was afterwards.
    pub value: Number,
}

impl Increment {
    /// The content with the sum in it, and the sum.
    ///
    /// # Errors
    /// When there is no number at the place, or the sum is not exact.
    pub fn apply(&self, content: &Content) -> Result<(Content, Number), PassError> {
        let mut document = Value::Object(content.as_map().clone());
        let value = document.pointer_mut(self.pointer.as_str()).ok_or(PassError::NothingToIncrement)?;
        let Value::Number(number) = value else { return Err(PassError::NotANumber) };
        let sum = decimal::sum(number, &self.by).ok_or(PassError::IncrementOutOfRange)?;
        *number = sum.clone();
        Ok((Content::from_value(document).map_err(|_| PassError::ContentNotAnObject)?, sum))
    }

    /// A short name for what is asked: the digest of its canonical JSON.
    pub fn request(&self) -> Digest {
        let text = serde_json_canonicalizer::to_string(&(self.pointer.as_str(), &self.by))
            .expect("strings and finite numbers have a canonical form");
        Digest::of(text.as_bytes())
    }

    /// What is remembered once the number is `value`.
    pub fn remembered(&self, value: Number) -> Option<KeyedIncrement> {
        Some(KeyedIncrement { key: self.key.clone()?, request: self.request(), value })
    }
}
