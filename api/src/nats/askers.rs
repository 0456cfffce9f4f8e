//! Who waits for the answer to a command.
//!
//! JetStream stores a message without its reply subject, and sends its own acknowledgement there. So the same subject is listened to beside the
//! stream, where messages come as they were sent: the two are recognised as one by the digest of what they hold. Every process listens, since
//! none knows which will carry a command out. Two messages that hold the same are one here: all who wait get each answer.

use std::sync::Arc;

use async_nats::{HeaderMap, Message, Subject, Subscriber};
use futures::StreamExt;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::limits;

/// Messages taken in before somebody else gets a turn: well below what the runtime gives a task at a time.
const IN_A_ROW: u64 = 32;

/// By what a message is known, whichever way it came.
pub(super) type Fingerprint = [u8; 32];

/// Those who are remembered, the latest ones.
pub(super) struct Askers {
    known: Cache<Fingerprint, Arc<[Subject]>>,
    heard: Notify,
}

impl Askers {
    /// Nobody yet.
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
        Self { known, heard: Notify::new() }
    }

    /// Ends when a message has come since it was last asked. The stream may not have it yet.
    pub(super) async fn hears(&self) {
        self.heard.notified().await;
    }

    /// Listens for as long as there is a connection. Poll this before whatever asks [`Askers::of`]: a message comes here first and is
    /// stored then, so who sent it is known by the time that it has been carried out.
    pub(super) async fn listen(&self, mut heard: Subscriber) {
        let mut in_a_row: u64 = 0;
        while let Some(message) = heard.next().await {
            self.note(message);
            in_a_row += 1;
            if in_a_row.is_multiple_of(IN_A_ROW) {
                // However many ask, what they ask for is worked on as well.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Who asked what is known by this; asked about once only.
    pub(super) fn of(&self, fingerprint: &Fingerprint) -> Arc<[Subject]> {
        self.known.remove(fingerprint).unwrap_or_default()
    }

    fn note(&self, message: Message) {
        self.heard.notify_one();
        let Some(reply) = message.reply.filter(may_be_answered) else { return };
        let fingerprint = fingerprint(&message.headers.unwrap_or_default(), &message.payload);
        let mut subjects = self.known.get(&fingerprint).unwrap_or_default().to_vec();
        // Who sends the same message on and on waits for the latest answers only.
        if subjects.len() == limits::SAME_REPLY_SUBJECTS {
            subjects.remove(0);
        }
        subjects.push(reply);
        self.known.insert(fingerprint, subjects.into());
    }
}

/// Whether an answer may be sent there. Whoever may send commands chooses the subject and we publish on it, so it must be none by which the
/// service or the broker is told something.
fn may_be_answered(subject: &Subject) -> bool {
    let text = subject.as_str();
    text.len() <= limits::REPLY_SUBJECT
        && subject.is_valid()
        && !text.starts_with('$')
        && !text.starts_with("honoken.")
        && !text.split('.').any(|token| token == "*" || token == ">")
}

/// The digest of headers and payload. The length of each part stands before it, so that no two messages make one text.
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
