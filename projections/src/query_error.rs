//! Why a question was not answered.

/// A question that the store could not answer. An absent row is not one: that is `Ok(None)`.
#[derive(Debug, thiserror::Error)]
#[error("the read model could not be asked for {asking_for}")]
pub struct QueryError {
    /// What was asked for.
    pub asking_for: &'static str,
    /// The driver's reason.
    #[source]
    pub source: sqlx::Error,
}

impl QueryError {
    pub(crate) fn of(asking_for: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self { asking_for, source }
    }
}
