//! The outcome of one push. Every answer of APNs is mapped to one of these in one place, `apns/reasons.rs`.

use std::time::Duration;

/// `Retry-After` is honoured up to this.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The outcome of a push, and so what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// APNs has accepted it.
    Accepted {
        /// The `apns-id` of the answer.
        apns_id: Option<String>,
    },
    /// The push token is dead for this topic. The device may be forgotten, if it has not registered again since.
    TokenDead {
        /// APNs' reason.
        reason: String,
        /// Since when, Unix milliseconds, where APNs says so (410). Without it the topic may be at fault as well: 400 `BadDeviceToken` and
        /// `DeviceTokenNotForTopic` count only while others of the topic succeed.
        since_ms: Option<i64>,
        /// Whether APNs is sure (410).
        certain: bool,
    },
    /// It may succeed later.
    Retry {
        /// APNs' reason, or what happened to the connection.
        reason: String,
        /// Not before this has passed, where APNs says so (`Retry-After`, an hour at most).
        after: Option<Duration>,
        /// What has to wait.
        scope: RetryScope,
    },
    /// The credential, the key or the topic is wrong: nothing that is sent with it succeeds until an operator has changed it.
    Misconfigured {
        /// APNs' reason, or what is wrong with the credential.
        reason: String,
    },
    /// This push never succeeds, and others do: a mistake of this service, or a reason that it does not know.
    Refused {
        /// APNs' reason.
        reason: String,
    },
}

impl Outcome {
    /// Its kind, by which it is counted.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Accepted { .. } => OutcomeKind::Accepted,
            Self::TokenDead { .. } => OutcomeKind::TokenDead,
            Self::Retry { .. } => OutcomeKind::Retry,
            Self::Misconfigured { .. } => OutcomeKind::Misconfigured,
            Self::Refused { .. } => OutcomeKind::Refused,
        }
    }
}

/// The kind of an [`Outcome`], without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    /// [`Outcome::Accepted`]
    Accepted,
    /// [`Outcome::TokenDead`]
    TokenDead,
    /// [`Outcome::Retry`]
    Retry,
    /// [`Outcome::Misconfigured`]
    Misconfigured,
    /// [`Outcome::Refused`]
    Refused,
}

impl OutcomeKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Accepted, Self::TokenDead, Self::Retry, Self::Misconfigured, Self::Refused];

    /// Its name, as it is counted.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::TokenDead => "token_dead",
            Self::Retry => "retry",
            Self::Misconfigured => "misconfigured",
            Self::Refused => "refused",
        }
    }
}

/// What has to wait before a push is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryScope {
    /// This push token alone (429 `TooManyRequests`).
    Token,
    /// Everything that is sent with the credential: APNs is unavailable or asks for a pause (5xx, no connection, 429
    /// `TooManyProviderTokenUpdates`).
    Credential,
}
