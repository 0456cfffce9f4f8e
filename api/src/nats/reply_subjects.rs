//! The subjects on which senders wait for the answers to their commands.
//!
//! JetStream stores a message without its reply subject, and sends its own acknowledgement there. So this process also subscribes to the
//! command subject itself, where messages arrive as they were sent. The digest of headers and payload tells which stored message and which
//! received message are the same. Every process subscribes, because no process knows which one will carry a command out. Two messages with
//! the same digest count as one here: each answer goes to the reply subjects of both.

use std::sync::Arc;

use async_nats::{HeaderMap, Message, Subject, Subscriber};
use futures::StreamExt;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::limits;

/// Messages that are handled before the task yields: well below the number that the runtime gives a task at a time.
const YIELD_AFTER: u64 = 32;

/// Identifies a message, whether it came from the stream or from the subscription.
pub(super) type Fingerprint = [u8; 32];

/// The reply subjects of the latest commands, by fingerprint.
pub(super) struct ReplySubjects {
    known: Cache<Fingerprint, Arc<[Subject]>>,
    arrivals: Notify,
}

impl ReplySubjects {
    /// Knows no reply subject yet.
    pub(super) fn new() -> Self {
        let known = Cache::builder()
            .max_capacity(limits::REPLY_SUBJECTS)
            .weigher(|_, subjects: &Arc<[Subject]>| {
                let bytes: usize = subjects.iter().map(|subject| subject.len() + size_of::<Subject>()).sum();
                u32::try_from(size_of::<Fingerprint>() + bytes).unwrap_or(u32::MAX)
            })
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(limits::REPLY)
            .build();
        Self { known, arrivals: Notify::new() }
    }

    /// Completes when a message has arrived since the last call. The stream may not have stored it yet.
    pub(super) async fn arrived(&self) {
        self.arrivals.notified().await;
    }

    /// Reads the subscription for as long as there is a connection. Poll this before the code that calls [`ReplySubjects::take`]: a message
    /// arrives here before it is stored, so its reply subject is known by the time that the command has been carried out.
    pub(super) async fn listen(&self, mut messages: Subscriber) {
        let mut handled: u64 = 0;
        while let Some(message) = messages.next().await {
            self.remember(message);
            handled += 1;
            if handled.is_multiple_of(YIELD_AFTER) {
                // Lets the task that carries commands out run as well, however many messages arrive.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Removes and returns the reply subjects of the message with this fingerprint.
    pub(super) fn take(&self, fingerprint: &Fingerprint) -> Arc<[Subject]> {
        self.known.remove(fingerprint).unwrap_or_default()
    }

    fn remember(&self, message: Message) {
        self.arrivals.notify_one();
        let Some(reply) = message.reply.filter(may_be_answered) else { return };
        let fingerprint = fingerprint(&message.headers.unwrap_or_default(), &message.payload);
        let mut subjects = self.known.get(&fingerprint).unwrap_or_default().to_vec();
        // A sender that repeats the same message waits for the latest answers only.
        if subjects.len() == limits::SAME_REPLY_SUBJECTS {
            subjects.remove(0);
        }
        subjects.push(reply);
        self.known.insert(fingerprint, subjects.into());
    }
}

/// Whether an answer may be sent to this subject. The sender of a command chooses the subject and this process publishes on it, so a
/// subject on which the service or NATS itself takes commands is refused.
fn may_be_answered(subject: &Subject) -> bool {
    let text = subject.as_str();
    text.len() <= limits::REPLY_SUBJECT
        && subject.is_valid()
        && !text.starts_with('$')
        && !text.starts_with("honoken.")
        && !text.split('.').any(|token| token == "*" || token == ">")
}

/// The digest of headers and payload. The length of each part comes before it, so that no two different messages give the same bytes.
pub(super) fn fingerprint(headers: &HeaderMap, payload: &[u8]) -> Fingerprint {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    };
    let mut named: Vec<(&str, &str)> = headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name.as_ref(), value.as_str())))
        .collect();
    // The values of one name keep their order.
    named.sort_by_key(|(name, _)| *name);
    for (name, value) in named {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    part(payload);
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, *value);
        }
        headers
    }

    #[test]
    fn a_message_is_known_by_all_it_holds_and_by_nothing_else() {
        let known = |pairs: &[(&str, &str)], payload: &str| fingerprint(&headers(pairs), payload.as_bytes());
        let one = known(&[("A", "1"), ("B", "2")], "payload");
        assert_eq!(one, known(&[("B", "2"), ("A", "1")], "payload"));
        for other in [
            known(&[("A", "1"), ("B", "2")], "other"),
            known(&[("A", "1")], "payload"),
            known(&[("A", "1"), ("B", "3")], "payload"),
            known(&[("A", "1B"), ("B", "2")], "payload"),
            known(&[("A", "1"), ("A", "2")], "payload"),
        ] {
            assert_ne!(one, other);
        }
        assert_ne!(known(&[("A", "1"), ("A", "2")], ""), known(&[("A", "2"), ("A", "1")], ""));
    }

    #[test]
    fn nobody_has_us_speak_where_the_service_or_the_broker_listens() {
        assert!(
            may_be_answered(&Subject::from("_INBOX.a.b")) && may_be_answered(&Subject::from("answers.7"))
        );
        let long = "a".repeat(limits::REPLY_SUBJECT + 1);
        for subject in [
            "honoken.pass.content_changed",
            "$JS.API.STREAM.DELETE.HONOKEN",
            "$SYS.x",
            "a.*",
            "a.>",
            "",
            "a..b",
            "a b",
            &long,
        ] {
            assert!(!may_be_answered(&Subject::from(subject)), "{subject}");
        }
    }
}
