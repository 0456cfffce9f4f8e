//! The first steps of a developer, for the page at `/`.

/// First steps in `dev`. They name files, and hold no secret themselves.
#[derive(Debug, Clone)]
pub struct FirstSteps {
    /// Lines for a shell, each after a sentence that says its purpose.
    pub lines: Vec<(&'static str, String)>,
    /// The data folder.
    pub folder: String,
}
