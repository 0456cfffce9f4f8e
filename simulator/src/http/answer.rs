//! The answer of a server, with assertions that show it when they fail.

use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::Value;

const EXCERPT_CHARACTERS: usize = 2_000;

/// A complete answer, its body already read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status, redirects included.
    pub status: StatusCode,
    /// The headers as received.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The first header of that name, when it is readable as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When the body is not JSON; the message shows it.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is not JSON ({error}): {}", self.excerpt()),
        }
    }

    /// The beginning of the body for a person to read; bytes that are not text are only counted.
    pub fn excerpt(&self) -> String {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text.chars().take(EXCERPT_CHARACTERS).collect(),
            Err(_) => format!("({} bytes that are not text)", self.body.len()),
        }
    }

    /// Passes the answer on when its status is the expected one.
    ///
    /// # Panics
    ///
    /// When it is not; the message shows the body.
    #[track_caller]
    pub fn assert_status(&self, expected: StatusCode) -> &Self {
        assert_eq!(self.status, expected, "unexpected status; the body reads: {}", self.excerpt());
        self
    }

    /// Passes the answer on when the header is there with exactly this value.
    ///
    /// # Panics
    ///
    /// When it is absent or different.
    #[track_caller]
    pub fn assert_header(&self, name: &str, expected: &str) -> &Self {
        assert_eq!(
            self.header(name),
            Some(expected),
            "unexpected header {name}; all headers: {:?}",
            self.headers
        );
        self
    }

    /// Passes the answer on when it has no body.
    ///
    /// # Panics
    ///
    /// When it has one; the message shows it.
    #[track_caller]
    pub fn assert_no_body(&self) -> &Self {
        assert!(self.body.is_empty(), "a body was not expected: {}", self.excerpt());
        self
    }
}
