//! The error of all questions.

/// A question that the database could not answer. A missing row is no error but `Ok(None)`.
#[derive(Debug, thiserror::Error)]
#[error("the read model could not be queried for {asking_for}")]
pub struct QueryError {
    /// The object of the question.
    pub asking_for: &'static str,
    /// The error of the driver.
    #[source]
    pub source: sqlx::Error,
}

impl QueryError {
    /// Makes an error of one of the driver.
    pub(crate) fn of(asking_for: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self { asking_for, source }
    }
}
