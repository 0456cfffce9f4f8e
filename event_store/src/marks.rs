//! Which commands have run on an event log: a trial must not go on with the event log of a service.

use crate::error::LogError;

/// A command that leaves its mark in the event log, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `honoken dev` began it.
    Dev,
    /// `honoken serve` has run on it.
    Serve,
}

impl Mark {
    /// As it is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Serve => "serve",
        }
    }
}

/// What is known about the beginning of an event log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Whether `dev` began it.
    pub is_of_dev: bool,
    /// Whether `serve` has run on it.
    pub is_served: bool,
    /// Whether it has any event.
    pub has_events: bool,
    /// The organisations in it.
    pub organizations: Vec<String>,
}

impl Origin {
    /// From the answers to [`MARKS`], [`HAS_EVENTS`] and [`ORGANIZATIONS`].
    pub(crate) fn of(
        marks: sqlx::Result<Vec<String>>,
        has_events: sqlx::Result<bool>,
        organizations: sqlx::Result<Vec<String>>,
    ) -> Result<Self, LogError> {
        let read = LogError::unavailable("read");
        let marks = marks.map_err(&read)?;
        let has = |mark: Mark| marks.iter().any(|stored| stored == mark.as_str());
        Ok(Self {
            is_of_dev: has(Mark::Dev),
            is_served: has(Mark::Serve),
            has_events: has_events.map_err(&read)?,
            organizations: organizations.map_err(&read)?,
        })
    }
}

// The same on either engine.

/// Leaves a mark.
pub(crate) const PUT: &str = "insert into log_marks (mark) values ($1) on conflict do nothing";

/// The marks that were left.
pub(crate) const MARKS: &str = "select mark from log_marks";

/// Whether there is any event.
pub(crate) const HAS_EVENTS: &str = "select exists (select 1 from events)";

/// The organisations that were ever announced.
pub(crate) const ORGANIZATIONS: &str =
    "select distinct aggregate_id from events where aggregate_type = 'Organization' order by aggregate_id";
