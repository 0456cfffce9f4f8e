//! What an integrator puts on a pass.

use std::sync::Arc;

use json_patch::jsonptr::Pointer;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use crate::json;

/// The largest content that a change may lead to, in bytes of its JSON: 256 KiB.
pub const MAX_CONTENT_BYTES: usize = 256 * 1024;

/// The content of a pass: a JSON object with pass.json keys and the loose fields of its ticket style.
///
/// Clones share it: a content passes through a command, an event and a state, and is never changed in place.
///
/// Invariant: read by [`crate::json::parse`], so equal contents are equal values and have one canonical text.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Content(Arc<Map<String, Value>>);

impl<'de> Deserialize<'de> for Content {
    /// Reads what a store has kept. Postgres writes the numbers of a `jsonb` out in full, and so a large double without its exponent.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut content: Map<String, Value> = Map::deserialize(deserializer)?;
        content.values_mut().for_each(json::restore_doubles);
        Ok(Self(Arc::new(content)))
    }
}

/// The content is JSON, but not an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("content must be a JSON object")]
pub struct NotAnObject;

impl Content {
    /// Wraps a value that [`crate::json::parse`] has read.
    ///
    /// # Errors
    /// [`NotAnObject`] for any other JSON value.
    pub fn from_value(value: Value) -> Result<Self, NotAnObject> {
        match value {
            Value::Object(object) => Ok(Self(Arc::new(object))),
            _ => Err(NotAnObject),
        }
    }

    /// The number at a place (RFC 6901), if there is one.
    pub fn number_at(&self, pointer: &Pointer) -> Option<&Number> {
        let first = pointer.first()?.decoded().into_owned();
        let rest = pointer.split_front()?.1;
        self.0.get(&first)?.pointer(rest.as_str())?.as_number()
    }

    /// The object.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_store_wrote_out_in_full_are_the_same_numbers() {
        let written = r#"{"a": [1e17, -9.3e18, 1e20, 9007199254740991, 0.5, {"b": 1e300}]}"#;
        let content = Content::from_value(json::parse(written.as_bytes()).unwrap()).unwrap();
        let in_full = format!(
            r#"{{"a": [100000000000000000, -9300000000000000000, 100000000000000000000, 9007199254740991, 0.5, {{"b": 1{}}}]}}"#,
            "0".repeat(300)
        );
        let stored: Content = serde_json::from_str(&in_full).unwrap();
        assert_eq!(stored, content);
        assert_eq!(serde_json::to_string(&stored).unwrap(), serde_json::to_string(&content).unwrap());
    }
}
