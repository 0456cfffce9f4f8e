//! The answer to a push: the test's where it has a rule, else Apple's.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::apns::answer::Answer;
use crate::apns::hpack::Head;
use crate::apns::provider_token::Verified;
use crate::apns::push::{self, Push};
use crate::apns::server_state::ServerState;

/// Status and reason of a refusal.
pub(super) type Refusal = (u16, &'static str);

/// Judges the pushes of one connection, and remembers the provider token that it has checked.
pub(super) struct Judge {
    server: Arc<ServerState>,
    certificate_topic: Option<String>,
    /// The token that was checked last, as it stood in the header.
    bearer: Vec<u8>,
    verified: Option<Verified>,
    /// The key that the first token of the connection was signed with; a connection belongs to one key.
    first_key: Option<usize>,
}

impl Judge {
    pub(super) fn new(server: Arc<ServerState>, certificate_topic: Option<String>) -> Self {
        Self { server, certificate_topic, bearer: Vec::new(), verified: None, first_key: None }
    }

    /// Apple's answer to a push, when no rule of the test says otherwise.
    pub(super) fn judge(&mut self, head: &Head, body: &[u8]) -> Result<(), Refusal> {
        if self.server.is_open() {
            return Ok(());
        }
        let push = Push::read(head, body)?;
        match (push.bearer, &self.certificate_topic) {
            (Some(bearer), _) => self.authorize(bearer, push.topic),
            (None, None) => Err((403, "MissingProviderToken")),
            (None, Some(topic)) if push.topic.is_some_and(|given| given != topic.as_bytes()) => {
                Err((400, "DeviceTokenNotForTopic"))
            }
            (None, Some(_)) => Ok(()),
        }
    }

    fn authorize(&mut self, bearer: &[u8], topic: Option<&[u8]>) -> Result<(), Refusal> {
        if self.bearer != bearer || self.verified.is_none() {
            self.bearer.clear();
            self.bearer.extend_from_slice(bearer);
            self.verified = None;
            let verified = self.server.verify(bearer).map_err(|reason| (403, reason))?;
            verified.is_current((self.server.options.now)()).map_err(|reason| (403, reason))?;
            self.server.note_moment(&verified).map_err(|reason| (429, reason))?;
            self.verified = Some(verified);
        }
        let Some(verified) = &self.verified else { return Err((403, "InvalidProviderToken")) };
        verified.is_current((self.server.options.now)()).map_err(|reason| (403, reason))?;
        if *self.first_key.get_or_insert(verified.key) != verified.key {
            return Err((403, "UnrelatedKeyIdInToken"));
        }
        let Some(topic) = topic else { return Err((400, "MissingTopic")) };
        let topics = self.server.options.keys[verified.key].topics.as_ref();
        if topics.is_some_and(|topics| !topics.iter().any(|allowed| allowed.as_bytes() == topic)) {
            return Err((400, "TopicDisallowed"));
        }
        Ok(())
    }

    /// The answer that the test has a rule for.
    pub(super) fn scripted(&self, head: &Head) -> Option<Answer> {
        if !self.server.scripted.load(Ordering::Relaxed) {
            return None;
        }
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let topic = head.get("apns-topic").map(<[u8]>::to_vec);
        let topic = topic.or_else(|| self.certificate_topic.clone().map(String::into_bytes));
        self.server.scripted_answer(&text(push::token(head)), &text(topic.as_deref()))
    }
}
