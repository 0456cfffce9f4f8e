//! The reason for which an event was not applied.

use honoken_domain::ids::InvalidId;

/// The reason for which an event was not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// This release cannot apply it, however often it tries: the event is parked.
    #[error("{0}")]
    Unappliable(String),
    /// The database is unavailable; the same event is tried again.
    #[error("the read model could not be written")]
    Store(#[source] sqlx::Error),
}

impl From<sqlx::Error> for ApplyError {
    fn from(fault: sqlx::Error) -> Self {
        let violates_a_constraint = fault.as_database_error().is_some_and(|database| {
            database.is_unique_violation()
                || database.is_foreign_key_violation()
                || database.is_check_violation()
                // Postgres's classes for values that a column cannot hold, and for constraints that are violated. SQLite's codes are shorter.
                || database.code().is_some_and(|code| {
                    code.len() == 5 && (code.starts_with("22") || code.starts_with("23"))
                })
        });
        if violates_a_constraint { Self::Unappliable(fault.to_string()) } else { Self::Store(fault) }
    }
}

impl From<serde_json::Error> for ApplyError {
    fn from(fault: serde_json::Error) -> Self {
        // Text in quotes may be a value of the event, and so a secret.
        let reason = fault.to_string().split('"').step_by(2).collect::<Vec<_>>().join("\"…\"");
        Self::Unappliable(format!("the event does not decode: {reason}"))
    }
}

impl From<InvalidId> for ApplyError {
    fn from(fault: InvalidId) -> Self {
        Self::Unappliable(format!("the event holds an invalid identifier: {fault}"))
    }
}
