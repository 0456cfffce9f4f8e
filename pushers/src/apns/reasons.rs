//! Every answer of APNs and what follows from it: *Handling notification responses from APNs*. No other file reads a reason.

use a2::ErrorReason;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

use crate::outcome::RetryScope;

/// The consequence of an answer: an [`Outcome`](crate::outcome::Outcome), or something to be tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing more.
    Accepted,
    /// Forget the push token; `certain` unless the topic may be wrong instead.
    TokenDead { certain: bool },
    /// Try again later.
    Retry(RetryScope),
    /// Try again at once on another connection, then later.
    AnotherConnection,
    /// Make a provider token of this moment and try again, once.
    NewProviderToken,
    /// Sign again and try again, once.
    SignAgain,
    /// Make no provider tokens for a while.
    FewerProviderTokens,
    /// Wait for an operator.
    Misconfigured,
    /// Give this push up.
    Refused,
}

/// Decides about an answer. `reason` is empty where none was given.
pub(super) fn decide(status: u16, reason: &str) -> Decision {
    if status == 200 {
        return Decision::Accepted;
    }
    let decision = match reason {
        // The spelling of Apple's servers; its documentation has the other.
        "BadEnvironmentKeyInToken" => Some(Decision::Misconfigured),
        reason => {
            let reason: StrDeserializer<'_, Error> = reason.into_deserializer();
            ErrorReason::deserialize(reason).ok().map(|reason| of_reason(&reason))
        }
    };
    match decision {
        // A server that fails cannot know that a token is dead or a credential wrong.
        Some(decision)
            if status < 500 || matches!(decision, Decision::Retry(_) | Decision::AnotherConnection) =>
        {
            decision
        }
        _ => of_status(status),
    }
}

fn of_reason(reason: &ErrorReason) -> Decision {
    match reason {
        ErrorReason::BadDeviceToken | ErrorReason::DeviceTokenNotForTopic => Decision::TokenDead { certain: false },
        ErrorReason::Unregistered | ErrorReason::ExpiredToken => Decision::TokenDead { certain: true },
        ErrorReason::BadTopic
        | ErrorReason::TopicDisallowed
        | ErrorReason::BadCertificate
        | ErrorReason::BadCertificateEnvironment
        | ErrorReason::BadEnvironmentKeyIdInToken
        | ErrorReason::Forbidden
        // A provider token is sent where there is one, so it was the certificate that was not taken.
        | ErrorReason::MissingProviderToken => Decision::Misconfigured,
        ErrorReason::ExpiredProviderToken => Decision::NewProviderToken,
        ErrorReason::InvalidProviderToken => Decision::SignAgain,
        ErrorReason::UnrelatedKeyIdInToken | ErrorReason::IdleTimeout | ErrorReason::Shutdown => {
            Decision::AnotherConnection
        }
        ErrorReason::TooManyProviderTokenUpdates => Decision::FewerProviderTokens,
        ErrorReason::TooManyRequests => Decision::Retry(RetryScope::Token),
        ErrorReason::InternalServerError | ErrorReason::ServiceUnavailable => Decision::Retry(RetryScope::Credential),
        ErrorReason::BadCollapseId
        | ErrorReason::BadExpirationDate
        | ErrorReason::BadMessageId
        | ErrorReason::BadPriority
        | ErrorReason::DuplicateHeaders
        | ErrorReason::InvalidPushType
        | ErrorReason::MissingDeviceToken
        | ErrorReason::MissingTopic
        | ErrorReason::PayloadEmpty
        | ErrorReason::PayloadTooLarge
        | ErrorReason::BadPath
        | ErrorReason::MethodNotAllowed => Decision::Refused,
    }
}

/// The meaning of a status whose reason is unknown.
fn of_status(status: u16) -> Decision {
    match status {
        403 => Decision::Misconfigured,
        410 => Decision::TokenDead { certain: true },
        429 => Decision::Retry(RetryScope::Token),
        400..=499 => Decision::Refused,
        // A 5xx, and statuses that only a proxy on the way to APNs would send.
        _ => Decision::Retry(RetryScope::Credential),
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, RetryScope, decide};

    #[test]
    fn an_unknown_reason_is_decided_by_its_status() {
        for (status, decision) in [
            (400, Decision::Refused),
            (403, Decision::Misconfigured),
            (410, Decision::TokenDead { certain: true }),
            (418, Decision::Refused),
            (429, Decision::Retry(RetryScope::Token)),
            (302, Decision::Retry(RetryScope::Credential)),
            (502, Decision::Retry(RetryScope::Credential)),
        ] {
            assert_eq!(decide(status, "NeverHeardOf"), decision, "{status}");
            assert_eq!(decide(status, ""), decision, "{status} without a reason");
        }
    }

    #[test]
    fn a_server_that_fails_cannot_declare_a_token_dead() {
        assert_eq!(decide(500, "Unregistered"), Decision::Retry(RetryScope::Credential));
        assert_eq!(decide(503, "BadCertificate"), Decision::Retry(RetryScope::Credential));
    }

    #[test]
    fn acceptance_needs_no_reason_and_is_not_undone_by_one() {
        assert_eq!(decide(200, ""), Decision::Accepted);
        assert_eq!(decide(200, "BadTopic"), Decision::Accepted);
    }
}
