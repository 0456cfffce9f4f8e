//! Formats an error for the log output: once, where it is handled, with everything that led to it.

use std::error::Error;

/// An error and all its sources, in one line.
pub fn error_chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}
