//! Which commands have run on an event log: a trial must not go on with the event log of a service.

use crate::error::LogError;

/// A command that leaves its mark in the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `honoken dev` began it.
    Dev,
    /// `honoken serve` has run on it.
    Serve,
    /// `honoken log copy` or `honoken log import` fills it, or was interrupted while it did. Only this mark is ever taken away.
    Filling,
}

impl Mark {
    /// As it is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Serve => "serve",
            Self::Filling => "filling",
        }
    }

    /// The stored mark of a process that ran on an event log.
    pub(crate) fn of_a_process(stored: &str) -> Option<Self> {
        [Self::Dev, Self::Serve].into_iter().find(|mark| mark.as_str() == stored)
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

/// Takes a mark away.
pub(crate) const REMOVE: &str = "delete from log_marks where mark = $1";

/// Whether the event log is being filled.
pub(crate) const IS_FILLING: &str = "select exists (select 1 from log_marks where mark = 'filling')";

/// The marks that were left.
pub(crate) const MARKS: &str = "select mark from log_marks";

/// Whether there is any event.
pub(crate) const HAS_EVENTS: &str = "select exists (select 1 from events)";

/// The organisations that were ever announced.
pub(crate) const ORGANIZATIONS: &str =
    "select distinct aggregate_id from events where aggregate_type = 'Organization' order by aggregate_id";
