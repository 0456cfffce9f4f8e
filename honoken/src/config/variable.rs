//! A variable of the environment, and how to read it.

use std::str::FromStr;

/// Reads the environment: the text of a variable, `None` when it is missing or empty.
pub(super) type Variables<'a> = &'a dyn Fn(&'static str) -> Result<Option<String>, ConfigError>;

/// A variable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// A variable that this release or an earlier service knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub effect: Effect,
}

/// The effect of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is read.
    Read {
        /// Its meaning, in Markdown.
        meaning: &'static str,
        /// The behaviour without it, in Markdown.
        default: &'static str,
        /// Whether it holds a secret.
        secret: bool,
    },
    /// It does nothing, and the start warns with this sentence, which names the replacement.
    None(&'static str),
}

pub(super) const fn read(name: &'static str, meaning: &'static str, default: &'static str) -> Variable {
    Variable { name, effect: Effect::Read { meaning, default, secret: false } }
}

pub(super) const fn secret(name: &'static str, meaning: &'static str, default: &'static str) -> Variable {
    Variable { name, effect: Effect::Read { meaning, default, secret: true } }
}

pub(super) const fn without_effect(name: &'static str, sentence: &'static str) -> Variable {
    Variable { name, effect: Effect::None(sentence) }
}

/// Parses a variable, or fails with what it must be.
pub(super) fn parsed<T: FromStr>(
    variable: Variables<'_>,
    name: &'static str,
    must_be: &str,
) -> Result<Option<T>, ConfigError> {
    let Some(text) = variable(name)? else { return Ok(None) };
    let refused = || ConfigError { variable: name, problem: format!("must be {must_be}") };
    text.parse().map(Some).map_err(|_| refused())
}

/// The requirement for a variable that is a count.
pub(super) const POSITIVE: &str = "a whole number from 1 on";
