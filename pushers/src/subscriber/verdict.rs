//! Whether a push token is dead that APNs only calls wrong.
//!
//! 400 `BadDeviceToken` and `DeviceTokenNotForTopic` are what a wrong certificate or host leads to as well, for every phone. So such an answer
//! counts only when it came twice and others of the topic succeeded meanwhile, and not at all when many of the last answers were such.

use std::collections::VecDeque;
use std::time::Duration;

use super::milliseconds;

/// Answers that are remembered.
const ANSWERS: usize = 50;

/// So many are an accident.
const FEW: usize = 5;

/// The last answers of one topic to one credential.
#[derive(Debug, Default)]
pub(super) struct Answers {
    credential: String,
    /// `true`: such an answer.
    last: VecDeque<bool>,
    success_ms: Option<i64>,
}

/// What such an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The token is dead.
    Dead,
    /// Nobody knows yet.
    Unknown,
    /// The credential or the topic is wrong.
    Configuration,
}

/// Answers to pushes that were sent together come one after the other.
const TOGETHER: Duration = Duration::from_secs(2);

impl Answers {
    /// Forgets what was answered to another credential.
    pub(super) fn to(&mut self, credential: &str) -> &mut Self {
        if self.credential != credential {
            *self = Self { credential: credential.to_owned(), ..Self::default() };
        }
        self
    }

    /// A push was accepted.
    pub(super) fn accepted(&mut self, now_ms: i64) {
        self.success_ms = Some(now_ms);
        self.note(false);
    }

    /// A token was called wrong. `before_ms` is when it was tried before.
    pub(super) fn called_wrong(&mut self, before_ms: Option<i64>) -> Verdict {
        self.note(true);
        let wrong = self.last.iter().filter(|wrong| **wrong).count();
        if wrong > FEW && wrong * 5 > self.last.len() {
            return Verdict::Configuration;
        }
        match (self.success_ms, before_ms) {
            (Some(success), Some(before)) if success >= before - milliseconds(TOGETHER) => Verdict::Dead,
            _ => Verdict::Unknown,
        }
    }

    fn note(&mut self, wrong: bool) {
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
        assert_eq!(answers.called_wrong(None), Verdict::Unknown);
        assert_eq!(answers.called_wrong(Some(1000)), Verdict::Unknown, "nothing has succeeded");
        answers.accepted(5000);
        assert_eq!(answers.called_wrong(Some(1000)), Verdict::Dead);
        assert_eq!(answers.called_wrong(None), Verdict::Unknown, "for the first time");
        assert_eq!(
            answers.called_wrong(Some(7001)),
            Verdict::Unknown,
            "what succeeded, succeeded long before"
        );
        assert_eq!(answers.to("another").called_wrong(Some(1000)), Verdict::Unknown);
    }

    #[test]
    fn many_of_them_are_a_mistake_of_ours() {
        let mut answers = Answers::default();
        for _ in 0..40 {
            answers.accepted(0);
        }
        for _ in 0..10 {
            assert_eq!(answers.called_wrong(Some(0)), Verdict::Dead, "one of five");
        }
        assert_eq!(answers.called_wrong(Some(0)), Verdict::Configuration, "more than one of five");
    }
}
