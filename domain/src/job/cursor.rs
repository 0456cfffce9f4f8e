//! How far a job is.

use serde::{Deserialize, Serialize};

use crate::ids::{InvalidId, PassId};

/// The last subject that a job is done with. The kind of the job says how it reads: for most it is a pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobCursor(String);

impl JobCursor {
    /// A cursor in the words of a job's own.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pass that it names.
    ///
    /// # Errors
    /// When it names none: the job is of another kind.
    pub fn pass(&self) -> Result<PassId, InvalidId> {
        PassId::parse(&self.0)
    }
}

impl From<&PassId> for JobCursor {
    fn from(pass: &PassId) -> Self {
        Self(pass.to_string())
    }
}
