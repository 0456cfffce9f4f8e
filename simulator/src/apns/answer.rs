//! The answers that a test wants, and when they are given.

use std::time::Duration;

use bytes::Bytes;

/// Every refusal that Apple documents, with its status: *Handling notification responses from APNs*, and the spelling that its servers
/// really use for a key of the wrong environment.
pub const REFUSALS: [(u16, &str); 33] = [
    (400, "BadCollapseId"),
    (400, "BadDeviceToken"),
    (400, "BadExpirationDate"),
    (400, "BadMessageId"),
    (400, "BadPriority"),
    (400, "BadTopic"),
    (400, "DeviceTokenNotForTopic"),
    (400, "DuplicateHeaders"),
    (400, "IdleTimeout"),
    (400, "InvalidPushType"),
    (400, "MissingDeviceToken"),
    (400, "MissingTopic"),
    (400, "PayloadEmpty"),
    (400, "TopicDisallowed"),
    (403, "BadCertificate"),
    (403, "BadCertificateEnvironment"),
    (403, "BadEnvironmentKeyIdInToken"),
    (403, "BadEnvironmentKeyInToken"),
    (403, "ExpiredProviderToken"),
    (403, "Forbidden"),
    (403, "InvalidProviderToken"),
    (403, "MissingProviderToken"),
    (403, "UnrelatedKeyIdInToken"),
    (404, "BadPath"),
    (405, "MethodNotAllowed"),
    (410, "ExpiredToken"),
    (410, "Unregistered"),
    (413, "PayloadTooLarge"),
    (429, "TooManyProviderTokenUpdates"),
    (429, "TooManyRequests"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
    (503, "Shutdown"),
];

/// HTTP/2's code for a stream that was not worked on (RFC 9113, section 8.7).
pub const REFUSED_STREAM: u32 = 0x7;

/// One answer, or an event in its place.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) action: Action,
    pub(super) delay: Option<Duration>,
    pub(super) taken: bool,
}

/// What happens to a push.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Status { status: u16, reason: Option<String>, headers: Vec<(String, String)>, body: Bytes },
    Reset(u32),
    GoAway(String),
    Close,
    Silence,
}

impl Answer {
    fn of(action: Action) -> Self {
        let taken = matches!(&action, Action::Status { status: 200, .. });
        Self { action, delay: None, taken }
    }

    /// 200: the phone is woken.
    pub fn accepted() -> Self {
        Self::of(Action::Status { status: 200, reason: None, headers: Vec::new(), body: Bytes::new() })
    }

    /// A status with a reason, Apple's or an unknown one.
    pub fn refused(status: u16, reason: &str) -> Self {
        let body = serde_json::json!({ "reason": reason }).to_string().into();
        Self::of(Action::Status { status, reason: Some(reason.to_owned()), headers: Vec::new(), body })
    }

    /// 410 `Unregistered`: the push token is dead since then, Unix milliseconds.
    pub fn unregistered(since_ms: i64) -> Self {
        Self::dead("Unregistered", since_ms)
    }

    /// 410 with a reason and since when, Unix milliseconds.
    pub fn dead(reason: &str, since_ms: i64) -> Self {
        let body = serde_json::json!({ "reason": reason, "timestamp": since_ms }).to_string();
        Self::refused(410, reason).body(body)
    }

    /// `RST_STREAM` with that code, [`REFUSED_STREAM`] for example.
    pub fn reset(code: u32) -> Self {
        Self::of(Action::Reset(code))
    }

    /// `GOAWAY` with that reason in its JSON, as Apple sends it: neither this push nor any later one of the connection is worked on, those
    /// before it are answered, and then the connection ends.
    pub fn go_away(reason: &str) -> Self {
        Self::of(Action::GoAway(reason.to_owned()))
    }

    /// The connection ends at once, without a word.
    pub fn close() -> Self {
        Self::of(Action::Close)
    }

    /// No answer ever.
    pub fn silence() -> Self {
        Self::of(Action::Silence)
    }

    /// Whether it is an answer that a new provider token would help against, so that one may be made early.
    pub(super) fn asks_for_a_token(&self) -> bool {
        let reason = match &self.action {
            Action::Status { reason, .. } => reason.as_deref(),
            _ => None,
        };
        matches!(reason, Some("ExpiredProviderToken" | "InvalidProviderToken"))
    }

    /// The same with one more header, `retry-after` for example. Without effect where there is no status.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Action::Status { headers, .. } = &mut self.action {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same with another body. Without effect where there is no status.
    #[must_use]
    pub fn body(mut self, text: impl Into<Bytes>) -> Self {
        if let Action::Status { body, .. } = &mut self.action {
            *body = text.into();
        }
        self
    }

    /// The same after a while, instead of after the time of [`FakeApns::latency`](super::FakeApns::latency).
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// The same, but the phone was woken all the same: an answer that is lost.
    #[must_use]
    pub fn though_taken(mut self) -> Self {
        self.taken = true;
        self
    }
}

/// An answer, and the pushes that it is for. Of several rules that fit a push, the one given last decides.
#[derive(Debug, Clone)]
pub struct Rule {
    answer: Answer,
    token: Option<String>,
    topic: Option<String>,
    every: u64,
    first: u64,
    times: u64,
    fitting: u64,
}

impl Rule {
    /// For every push, until told otherwise.
    pub fn always(answer: Answer) -> Self {
        Self { answer, token: None, topic: None, every: 1, first: 0, times: u64::MAX, fitting: 0 }
    }

    /// For the next `times` pushes.
    pub fn next(times: u64, answer: Answer) -> Self {
        Self { times, ..Self::always(answer) }
    }

    /// Only for this push token.
    #[must_use]
    pub fn for_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// Only for this topic.
    #[must_use]
    pub fn for_topic(self, topic: &str) -> Self {
        Self { topic: Some(topic.to_owned()), ..self }
    }

    /// Only for every n-th of those that fit: the n-th, the 2n-th and so on.
    #[must_use]
    pub fn every(self, n: u64) -> Self {
        Self { every: n.max(1), ..self }
    }

    /// Lets that many of those that fit pass first.
    #[must_use]
    pub fn behind(self, n: u64) -> Self {
        Self { first: n, ..self }
    }
}

/// A rule's name, to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(u64);

/// All rules that hold.
#[derive(Debug, Default)]
pub(super) struct Script {
    rules: Vec<(RuleId, Rule)>,
    next: u64,
}

impl Script {
    pub(super) fn add(&mut self, rule: Rule) -> RuleId {
        self.next += 1;
        let id = RuleId(self.next);
        self.rules.push((id, rule));
        id
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        self.rules.retain(|(found, _)| *found != id);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The answer for a push; rules that are used up leave.
    pub(super) fn answer(&mut self, token: &str, topic: &str) -> Option<Answer> {
        let mut found = None;
        for (id, rule) in self.rules.iter_mut().rev() {
            let token_fits = rule.token.as_deref().is_none_or(|wanted| wanted == token);
            let topic_fits = rule.topic.as_deref().is_none_or(|wanted| wanted == topic);
            if !token_fits || !topic_fits {
                continue;
            }
            rule.fitting += 1;
            let behind = rule.fitting.saturating_sub(rule.first);
            if behind > 0 && behind.is_multiple_of(rule.every) {
                rule.times -= 1;
                found = Some((*id, rule.answer.clone(), rule.times == 0));
                break;
            }
        }
        let (id, answer, over) = found?;
        if over {
            self.remove(id);
        }
        Some(answer)
    }
}
