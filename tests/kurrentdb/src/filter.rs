//! Which events of `$all` a reader asks for.

use crate::log::Record;
use crate::protocol::streams::read_req::options::FilterOptions;
use crate::protocol::streams::read_req::options::filter_options::{self, Expression, Window};

/// How many events the real server looks at for one page if the reader does not say.
pub(crate) const PAGE: u32 = 32;

/// A part of an event, and the beginnings or the pattern that it must have.
#[derive(Debug)]
pub(crate) struct Filter {
    subject: Subject,
    pattern: Pattern,
    /// How many events are looked at for one page.
    pub(crate) window: u32,
    /// After how many windows a subscription gets a checkpoint.
    pub(crate) multiplier: u32,
}

#[derive(Debug)]
enum Subject {
    Stream,
    EventType,
}

#[derive(Debug)]
enum Pattern {
    Beginnings(Vec<String>),
    Regex(Box<fancy_regex::Regex>),
}

/// Why a filter cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// A part of it is missing.
    Missing(&'static str),
    /// The pattern cannot be read.
    Pattern,
}

impl Filter {
    pub(crate) fn from_options(options: FilterOptions) -> Result<Self, Unusable> {
        let (subject, expression) = match options.filter {
            Some(filter_options::Filter::StreamIdentifier(expression)) => (Subject::Stream, expression),
            Some(filter_options::Filter::EventType(expression)) => (Subject::EventType, expression),
            None => return Err(Unusable::Missing("filter")),
        };
        let window = match options.window {
            Some(Window::Max(max)) => max,
            Some(Window::Count(())) => PAGE,
            None => return Err(Unusable::Missing("window")),
        };
        let multiplier = options.checkpoint_interval_multiplier;
        Ok(Filter { subject, pattern: pattern(expression)?, window, multiplier })
    }

    pub(crate) fn allows(&self, record: &Record) -> bool {
        let text = match self.subject {
            Subject::Stream => &*record.stream,
            Subject::EventType => &*record.event.event_type,
        };
        match &self.pattern {
            Pattern::Beginnings(beginnings) => beginnings.iter().any(|one| text.starts_with(one)),
            Pattern::Regex(regex) => regex.is_match(text).unwrap_or(false),
        }
    }
}

fn pattern(expression: Expression) -> Result<Pattern, Unusable> {
    if expression.regex.is_empty() {
        return Ok(Pattern::Beginnings(expression.prefix));
    }
    let regex = fancy_regex::Regex::new(&expression.regex).map_err(|_| Unusable::Pattern)?;
    Ok(Pattern::Regex(Box::new(regex)))
}
