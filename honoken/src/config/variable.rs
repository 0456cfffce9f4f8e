//! What a variable of the environment is, and how one is read.

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

/// A variable that means something here, or did elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub effect: Effect,
}

/// What a variable does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is read.
    Read {
        /// What it means, in Markdown.
        meaning: &'static str,
        /// What is done without it, in Markdown.
        default: &'static str,
        /// Whether it holds a secret.
        secret: bool,
    },
    /// It does nothing, and the sentence says what to use instead: a warning.
    None(&'static str),
    /// It says where data goes, for engines that this release does not have. To go on would be to keep it elsewhere: the start is refused.
    Refused(&'static str),
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

pub(super) const fn refused(name: &'static str, sentence: &'static str) -> Variable {
    Variable { name, effect: Effect::Refused(sentence) }
}

/// Reads a variable that parses, or says what it must be.
pub(super) fn parsed<T: FromStr>(
    variable: Variables<'_>,
    name: &'static str,
    must_be: &str,
) -> Result<Option<T>, ConfigError> {
    let Some(text) = variable(name)? else { return Ok(None) };
    let refused = || ConfigError { variable: name, problem: format!("must be {must_be}") };
    text.parse().map(Some).map_err(|_| refused())
}

/// What a variable must be that counts something.
pub(super) const POSITIVE: &str = "a whole number from 1 on";
