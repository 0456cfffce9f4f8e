//! The stream `HONOKEN` and its consumers. Both are created where they are missing, at the start and whenever an operator has deleted them; where
//! they exist, an operator's choices (replicas, limits, placement) stay as they are.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{
    Config, ConsumerErrorKind, DiscardPolicy, RetentionPolicy, StorageType, Stream,
};

use super::connection::{Nats, NatsError};

/// The one stream.
pub const STREAM: &str = "HONOKEN";

/// The subject of changes of passes.
pub const CONTENT_CHANGED: &str = "honoken.pass.content_changed";

/// The subject of requests for changes, from other systems.
pub const UPDATE_REQUESTED: &str = "honoken.command.pass.update_requested";

/// The subject of refusals of such requests.
pub const COMMAND_REFUSED: &str = "honoken.command.refused";

/// The durable consumer of all pushers.
pub const PUSHER_CONSUMER: &str = "pusher";

/// Messages are kept for so long, read or not.
pub const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// No more is kept; the oldest go first.
pub const MAX_BYTES: i64 = 512 * 1024 * 1024;

/// A message with the same id is taken once within so long.
pub const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// A message that is neither acknowledged nor in progress for so long is handed out again.
pub const ACK_WAIT: Duration = Duration::from_secs(10);

/// Before a stream that was deleted is created anew: nats-server takes its files away after it has said that it is gone, and those of a new
/// stream of the same name with them, which then takes no messages, or hands none out.
const AFTER_DELETION: Duration = Duration::from_secs(1);

impl Nats {
    /// The stream: created if it is missing, and corrected where it does not take our messages.
    ///
    /// # Errors
    /// When the server is unreachable, or the stream cannot be used as it is.
    pub async fn stream(&self) -> Result<Stream, NatsError> {
        self.unless_interrupted(Box::pin(self.create_or_correct())).await?
    }

    async fn create_or_correct(&self) -> Result<Stream, NatsError> {
        let mut asked = self.jetstream().get_stream(STREAM).await;
        if asked.as_ref().is_err_and(is_missing) && self.stream_seen.load(Ordering::Relaxed) {
            tokio::time::sleep(AFTER_DELETION).await;
            asked = self.jetstream().get_stream(STREAM).await;
        }
        let stream = match asked {
            Ok(stream) => stream,
            Err(fault) if is_missing(&fault) => {
                let created = self.jetstream().get_or_create_stream(wanted()).await;
                let stream =
                    created.map_err(NatsError::doing("the JetStream stream HONOKEN could not be created"))?;
                tracing::info!("created the JetStream stream HONOKEN");
                stream
            }
            Err(fault) => {
                return Err(NatsError::doing("the JetStream stream HONOKEN could not be read")(fault));
            }
        };
        self.stream_seen.store(true, Ordering::Relaxed);
        self.correct(stream).await
    }

    /// A durable pull consumer of the stream, and the stream: created if they are missing. Another consumer of the same name is changed into
    /// this one where the server allows that.
    ///
    /// # Errors
    /// When the server is unreachable, or the consumer cannot be used as it is.
    pub async fn consumer(&self, wanted: pull::Config) -> Result<Consumer<pull::Config>, NatsError> {
        self.unless_interrupted(Box::pin(self.create_or_change(wanted))).await?
    }

    async fn create_or_change(&self, wanted: pull::Config) -> Result<Consumer<pull::Config>, NatsError> {
        let stream = self.create_or_correct().await?;
        let name = wanted.durable_name.clone().unwrap_or_default();
        match stream.get_consumer::<pull::Config>(&name).await {
            Ok(consumer) if serves(&consumer.cached_info().config, &wanted) => return Ok(consumer),
            // Missing, or different; other faults are found out by creating it.
            Ok(_) | Err(_) => {}
        }
        stream.create_consumer(wanted).await.map_err(|fault| match fault.kind() {
            ConsumerErrorKind::JetStream(refusal) if refusal.error_code() != ErrorCode::STREAM_NOT_FOUND => {
                NatsError::Unusable(format!(
                    "the consumer {name} of the JetStream stream HONOKEN has other settings than required and cannot be changed ({refusal}); delete it, and it is created anew"
                ))
            }
            _ => NatsError::doing("a consumer of the JetStream stream HONOKEN could not be created")(fault),
        })
    }

    /// Adds settings that the stream lacks to take our messages. Limits are only set where there are none.
    async fn correct(&self, stream: Stream) -> Result<Stream, NatsError> {
        let mut config = stream.cached_info().config.clone();
        if config.sealed || config.no_ack || config.mirror.is_some() {
            let why = "the JetStream stream HONOKEN is sealed, is a mirror, or does not acknowledge; delete it, and it is created anew";
            return Err(NatsError::Unusable(why.to_owned()));
        }
        let wanted = wanted();
        if config.storage != wanted.storage || config.retention != wanted.retention {
            tracing::warn!(
                "the JetStream stream HONOKEN keeps messages in {:?} by {:?} rather than in {:?} by {:?}, which only deleting it can change: requests for \
                 changes may be lost with the server, and other subscribers may miss changes",
                config.storage,
                config.retention,
                wanted.storage,
                wanted.retention
            );
        }
        for subject in wanted.subjects {
            if !config.subjects.iter().any(|has| covers(has, &subject)) {
                config.subjects.push(subject);
            }
        }
        if config.max_bytes <= 0 && config.max_messages <= 0 && config.max_age.is_zero() {
            (config.max_bytes, config.max_age) = (wanted.max_bytes, wanted.max_age);
        }
        config.duplicate_window = config.duplicate_window.max(wanted.duplicate_window);
        if !config.max_age.is_zero() {
            config.duplicate_window = config.duplicate_window.min(config.max_age);
        }
        if config == stream.cached_info().config {
            return Ok(stream);
        }
        tracing::info!(
            "changing the JetStream stream HONOKEN, so that it accepts all subjects and cannot grow without bound"
        );
        let changed = self.jetstream().update_stream(config).await;
        changed.map_err(NatsError::doing("the JetStream stream HONOKEN could not be changed"))?;
        self.jetstream()
            .get_stream(STREAM)
            .await
            .map_err(NatsError::doing("the JetStream stream HONOKEN could not be read"))
    }
}

fn wanted() -> Config {
    Config {
        name: STREAM.to_owned(),
        description: Some("Changes of passes, and requests for changes".to_owned()),
        subjects: [CONTENT_CHANGED, UPDATE_REQUESTED, COMMAND_REFUSED].map(str::to_owned).to_vec(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: MAX_AGE,
        max_bytes: MAX_BYTES,
        num_replicas: 1,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    }
}

fn is_missing(fault: &async_nats::jetstream::context::GetStreamError) -> bool {
    matches!(fault.kind(), GetStreamErrorKind::JetStream(refusal) if refusal.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Whether an existing consumer can be used.
fn serves(has: &async_nats::jetstream::consumer::Config, wanted: &pull::Config) -> bool {
    has.deliver_subject.is_none()
        && has.ack_policy == AckPolicy::Explicit
        && has.filter_subject == wanted.filter_subject
        && has.ack_wait == wanted.ack_wait
        && has.max_deliver <= 0
        && (wanted.max_ack_pending == 0 || has.max_ack_pending == wanted.max_ack_pending)
}

/// Whether a subject with wildcards stands for another one.
fn covers(pattern: &str, subject: &str) -> bool {
    let (mut patterns, mut tokens) = (pattern.split('.'), subject.split('.'));
    loop {
        match (patterns.next(), tokens.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(pattern), Some(token)) if pattern == "*" || pattern == token => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_what_it_covers() {
        for pattern in ["honoken.>", "honoken.pass.*", "honoken.*.content_changed", CONTENT_CHANGED] {
            assert!(covers(pattern, CONTENT_CHANGED), "{pattern}");
        }
        for pattern in ["honoken.*", "honoken.pass.content_changed.>", "other.>", ""] {
            assert!(!covers(pattern, CONTENT_CHANGED), "{pattern}");
        }
    }
}
