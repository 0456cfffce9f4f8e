//! What an integrator puts on a pass.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The content of a pass: a JSON object with pass.json keys and the loose fields of its ticket style.
///
/// Invariant: read by [`crate::json::parse`], so equal contents are equal values and have one canonical text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Content(Map<String, Value>);

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
            Value::Object(object) => Ok(Self(object)),
            _ => Err(NotAnObject),
        }
    }

    /// The object.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}
