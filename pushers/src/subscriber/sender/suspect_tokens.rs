//! Push tokens that APNs calls wrong, and whether they are dead.
//!
//! 400 `BadDeviceToken` and `DeviceTokenNotForTopic` are the answers to a wrong certificate or host as well, for every phone. So such an answer
//! counts only when it came twice and others of the topic succeeded meanwhile, and not at all when many of the last answers were such.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use honoken_domain::ids::PassTypeIdentifier;

use crate::subscriber::milliseconds;

/// Answers that are remembered of a topic.
const ANSWERS: usize = 50;

/// So many are an accident.
const FEW: usize = 5;

/// More topics than any installation has. Those that are forgotten beyond these are learned again.
const MAX_TOPICS: usize = 10_000;

/// Answers to pushes that were sent together come one after the other.
const TOGETHER: Duration = Duration::from_secs(2);

/// The last answers of every topic.
#[derive(Debug, Default)]
pub(super) struct SuspectTokens {
    by_topic: HashMap<PassTypeIdentifier, Answers>,
}

/// The meaning of an answer that calls a token wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Diagnosis {
    /// The token is dead.
    Dead,
    /// More answers are needed.
    Unknown,
    /// The credential or the topic is wrong.
    Misconfigured,
}

impl SuspectTokens {
    /// A push was accepted.
    pub(super) fn accepted(&mut self, topic: &PassTypeIdentifier, credential: &str, now_ms: i64) {
        self.answers(topic, credential).accepted(now_ms);
    }

    /// A token was called wrong. `before_ms` is when it was tried before.
    pub(super) fn called_wrong(
        &mut self,
        topic: &PassTypeIdentifier,
        credential: &str,
        before_ms: Option<i64>,
    ) -> Diagnosis {
        self.answers(topic, credential).called_wrong(before_ms)
    }

    fn answers(&mut self, topic: &PassTypeIdentifier, credential: &str) -> &mut Answers {
        if self.by_topic.len() > MAX_TOPICS {
            self.by_topic.clear();
        }
        self.by_topic.entry(topic.clone()).or_default().to(credential)
    }
}

/// The last answers of one topic to one credential.
#[derive(Debug, Default)]
struct Answers {
    credential: String,
    /// `true`: the token was called wrong.
    last: VecDeque<bool>,
    success_ms: Option<i64>,
}

impl Answers {
    /// Forgets the answers to another credential.
    fn to(&mut self, credential: &str) -> &mut Self {
        if self.credential != credential {
            *self = Self { credential: credential.to_owned(), ..Self::default() };
        }
        self
    }

    fn accepted(&mut self, now_ms: i64) {
        self.success_ms = Some(now_ms);
        self.add(false);
    }

    fn called_wrong(&mut self, before_ms: Option<i64>) -> Diagnosis {
        self.add(true);
        let wrong = self.last.iter().filter(|wrong| **wrong).count();
        if wrong > FEW && wrong * 5 > self.last.len() {
            return Diagnosis::Misconfigured;
        }
        match (self.success_ms, before_ms) {
            (Some(success), Some(before)) if success >= before - milliseconds(TOGETHER) => Diagnosis::Dead,
            _ => Diagnosis::Unknown,
        }
    }

    fn add(&mut self, wrong: bool) {
        if self.last.len() == ANSWERS {
            self.last.pop_front();
        }
        self.last.push_back(wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_dead_when_it_is_called_wrong_twice_while_others_succeed() {
        let mut answers = Answers::default();
        assert_eq!(answers.called_wrong(None), Diagnosis::Unknown);
        assert_eq!(answers.called_wrong(Some(1000)), Diagnosis::Unknown, "nothing has succeeded");
        answers.accepted(5000);
        assert_eq!(answers.called_wrong(Some(1000)), Diagnosis::Dead);
        assert_eq!(answers.called_wrong(None), Diagnosis::Unknown, "for the first time");
        assert_eq!(
            answers.called_wrong(Some(7001)),
            Diagnosis::Unknown,
            "what succeeded, succeeded long before"
        );
        assert_eq!(answers.to("another").called_wrong(Some(1000)), Diagnosis::Unknown);
    }

    #[test]
    fn many_of_them_are_a_mistake_of_ours() {
        let mut answers = Answers::default();
        for _ in 0..40 {
            answers.accepted(0);
        }
        for _ in 0..10 {
            assert_eq!(answers.called_wrong(Some(0)), Diagnosis::Dead, "one of five");
        }
        assert_eq!(answers.called_wrong(Some(0)), Diagnosis::Misconfigured, "more than one of five");
    }
}
