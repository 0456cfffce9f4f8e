//! The complaints of a phone about a server.

use std::fmt;
use std::time::SystemTime;

use super::{WebService, log_time};
use crate::http::Answer;

/// The rule that an answer broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// There was no complete answer. Wallet keeps such failures to itself.
    Unreachable,
    /// Registering, unregistering or getting a pass was answered with 401.
    AuthenticationFailure,
    /// Only 200 and 201 (register, unregister), 200 and 204 (list), 200 and 304 (get) are answers.
    UnexpectedResponseCode,
    /// The list is not an object with an array of strings and a string.
    MalformedResponse,
    /// A list with serial numbers has the tag that the phone sent.
    SameTag,
    /// A list with serial numbers has no tag.
    OmittedTag,
    /// A list names a pass that the phone does not hold, or has not held for an hour.
    UnregisteredSerialNumber,
    /// A push, and then nothing to get.
    SpuriousPush,
    /// A pass with a content type other than `application/vnd.apple.pkpass`.
    WrongContentType,
    /// A pass that Wallet does not take in.
    InvalidPass,
    /// A pass of another type, or with another serial number, than the one asked for.
    WrongPass,
    /// A pass without `Last-Modified`.
    MissingLastModified,
    /// The same pass again, although the request had `If-Modified-Since`.
    IgnoredIfModifiedSince,
    /// The server listed a pass that had not changed.
    UnchangedUpdate,
    /// An update came with another authentication token. Apple forbids it; Wallet does not notice at once, so this
    /// is never sent.
    AuthenticationTokenChanged,
    /// A changed push token was answered with 201: the server forgot the registration. Wallet does not mind, so this
    /// is never sent.
    RegistrationForgotten,
    /// The log itself was not accepted. Never sent, or it would go round in circles.
    LogRefused,
}

impl Rule {
    /// Whether Wallet would tell the server. The others are for the reader of the test.
    pub fn is_sent(self) -> bool {
        !matches!(
            self,
            Self::Unreachable
                | Self::AuthenticationTokenChanged
                | Self::RegistrationForgotten
                | Self::LogRefused
        )
    }
}

/// One broken rule, in the words that Wallet would send to `/v1/log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The rule that was broken.
    pub rule: Rule,
    /// The line for the log, without its time.
    pub message: String,
    /// The web service that broke it.
    pub web_service: WebService,
    /// When the phone noticed, by its own clock.
    pub at: SystemTime,
    /// Status and body of the answer as far as they help to understand; never sent.
    pub evidence: Option<String>,
}

impl Complaint {
    /// The line as it stands in the log: time, then message.
    pub fn line(&self) -> String {
        format!("[{}] {}", log_time::stamp(self.at), self.message)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.rule, self.message)?;
        match &self.evidence {
            Some(evidence) => write!(formatter, "\n    answer: {evidence}"),
            None => Ok(()),
        }
    }
}

/// The part of an answer worth keeping.
pub(super) fn evidence(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.excerpt())
}
