//! Carries one command out, answers it, and removes it from the stream.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishErrorKind;
use bytes::Bytes;
use honoken_domain::organization::Scope;
use honoken_domain::pass::Precondition;
use honoken_pushers::nats::stream::COMMAND_REFUSED;
use honoken_pushers::nats::{Nats, NatsError};
use honoken_telemetry::error_chain;

use super::command::{self, MESSAGE_ID, Order, REQUEST_ID, Received};
use super::lanes::Owner;
use super::refused;
use super::reply_subjects::{self, ReplySubjects};
use super::request;
use super::stream_message::{self, StreamMessage};
use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::manage::change::{Change, ChangeAnswer};
use crate::manage::replace_content;
use crate::state::AppState;

/// The name of such a command in the log output.
const NAME: &str = "pass.update_requested";

/// The longest wait before a command that could not be carried out is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Attempts to publish a refused command.
const PUBLISH_TRIES: usize = 3;

/// The time between two attempts.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Bytes of a message that are left free for its headers.
const HEADER_BYTES: usize = 4 * 1024;

/// The result of a command that is done: its answer, or the reason why it was refused.
type Answer = Result<ChangeAnswer, ApiError>;

/// Carries commands out, with what that needs.
#[derive(Clone, Copy)]
pub(super) struct CommandHandler<'a> {
    pub(super) app: &'a AppState,
    pub(super) nats: &'a Nats,
    pub(super) reply_subjects: &'a ReplySubjects,
}

impl CommandHandler<'_> {
    /// The owner of the lane that a command belongs in. Commands without a valid key share one lane.
    ///
    /// # Errors
    /// When a store cannot be asked for now. The error has been logged.
    pub(super) async fn owner_of(&self, message: &StreamMessage) -> Result<Owner, ApiError> {
        let Ok(key) = command::api_key(message) else { return Ok(Owner::Unauthenticated) };
        match Integrator::with_key(self.app, key).await {
            Ok(Some(integrator)) => Ok(Owner::Organization(integrator.organization_id)),
            Err(fault) if fault.is_temporary() => {
                let request_id = Received::of(message, self.app).request_id;
                request::run(&request_id, self.app, NAME, async { Err(fault) }).await
            }
            // The command is refused for that when its turn comes.
            Ok(None) | Err(_) => Ok(Owner::Unauthenticated),
        }
    }

    /// Carries a command out that was tried `tries` times before. Returns the time to wait before the next try, or `None` when the command
    /// is done.
    ///
    /// # Errors
    /// When NATS is unreachable. The command is then carried out once more, which changes nothing, and is answered at that time.
    pub(super) async fn carry_out(
        &self,
        message: &StreamMessage,
        tries: u32,
    ) -> Result<Option<Duration>, async_nats::Error> {
        let received = Received::of(message, self.app);
        let answer =
            request::run(&received.request_id, self.app, NAME, Box::pin(self.change(message, &received)))
                .await;
        match answer {
            Err(fault) if fault.is_temporary() => return Ok(Some(wait_after(&fault, tries))),
            Err(refusal) => {
                self.publish_refusal(message, &received, &refusal).await?;
                let problem = refused::problem(&refusal, self.payload_limit()).to_string().into();
                self.reply(message, &received, "application/problem+json", problem).await;
            }
            Ok(answer) => {
                let answer = serde_json::to_vec(&answer)?.into();
                self.reply(message, &received, "application/json", answer).await;
            }
        }
        stream_message::remove(self.nats, message.sequence).await?;
        Ok(None)
    }

    /// Does what `PUT /manage/v1/passes/{type}/{serial}/content` does, in the same order: checks the key, then the owner of the pass type,
    /// then the content.
    async fn change(&self, message: &StreamMessage, received: &Received) -> Answer {
        let key = command::api_key(message)?;
        let integrator = Integrator::with_key(self.app, key).await?.ok_or(ApiError::UnauthorizedSender)?;
        received.is_for_test.store(integrator.is_test, Ordering::Relaxed);
        self.app.rates.check_organization(&integrator.organization_id).await?;
        integrator.require(&[Scope::PassesWrite])?;
        let order = Order::read(&message.payload)?;
        let change = Change {
            app: self.app.clone(),
            integrator,
            request_id: received.request_id.clone(),
            id: order.id,
            precondition: Precondition::None,
            urgent: order.urgent,
        };
        let pass_type = change.own_pass_type().await?;
        let key = Some(received.key.clone());
        let answer = replace_content::replace(&change, pass_type, order.content, key).await;
        answer.map_err(|refusal| refusal.below("/content"))
    }

    /// The largest payload that NATS takes, less the bytes for headers.
    fn payload_limit(&self) -> usize {
        self.nats.client().max_payload().saturating_sub(HEADER_BYTES)
    }

    /// Publishes a refused command, and waits until it is stored, before the command is removed from the stream.
    async fn publish_refusal(
        &self,
        message: &StreamMessage,
        received: &Received,
        refusal: &ApiError,
    ) -> Result<(), async_nats::Error> {
        let limit = self.payload_limit();
        let message_id = received.message_id.as_deref();
        let request_id = &received.request_id.0;
        let document = refused::document(request_id, message_id, &message.payload, refusal, limit);
        let mut headers = headers(request_id, "application/json");
        // The message id makes JetStream store the refusal once, though the command may be carried out again.
        headers.insert(MESSAGE_ID, format!("refused:{}", received.key));
        let mut tries = 0;
        loop {
            let published = async {
                let sent = self.nats.jetstream().publish_with_headers(
                    COMMAND_REFUSED,
                    headers.clone(),
                    document.clone(),
                );
                sent.await?.await
            };
            let Err(fault) = published.await else { return Ok(()) };
            if !self.nats.is_connected() || fault.kind() == PublishErrorKind::StreamNotFound {
                return Err(NatsError::doing("a refused command cannot be published")(fault).into());
            }
            tries += 1;
            if tries == PUBLISH_TRIES {
                // The sender is answered all the same, and the commands behind this one go on.
                let error = error_chain(&fault);
                tracing::error!(request.id = request_id, error, "a refused command could not be published");
                return Ok(());
            }
            tokio::time::sleep(BACK_OFF).await;
        }
    }

    /// Sends the answer to all reply subjects of a command. Answers are not stored: a sender that has disconnected gets none.
    async fn reply(&self, message: &StreamMessage, received: &Received, content_type: &str, answer: Bytes) {
        let fingerprint = reply_subjects::fingerprint(&message.headers, &message.payload);
        for subject in self.reply_subjects.take(&fingerprint).iter() {
            let mut headers = headers(&received.request_id.0, content_type);
            if received.is_for_test.load(Ordering::Relaxed) {
                headers.insert("Honoken-Test", "true");
            }
            let sent =
                self.nats.client().publish_with_headers(subject.clone(), headers, answer.clone()).await;
            if let Err(fault) = sent {
                tracing::warn!(error = %fault, "the answer to a command over NATS could not be sent");
            }
        }
    }
}

fn headers(request_id: &str, content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(REQUEST_ID, request_id);
    headers.insert("Content-Type", content_type);
    headers
}

/// The time until a command is tried again: the time that the rate limit gives, else a time that doubles with every try. The commands
/// behind it in its lane wait as well, which keeps them in order.
fn wait_after(fault: &ApiError, tries: u32) -> Duration {
    if let ApiError::TooManyRequests { retry_after } = fault {
        return Duration::from_secs(*retry_after);
    }
    LONGEST_WAIT.min(Duration::from_millis(100) * 2_u32.pow(tries.min(8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_waits_longer_every_time_and_never_long() {
        let away = ApiError::Unavailable("the store".into());
        let waits: Vec<u128> = [0, 1, 2, 7, 99].map(|tries| wait_after(&away, tries).as_millis()).to_vec();
        assert_eq!(waits, [100, 200, 400, 10_000, 10_000]);
        let limited = ApiError::TooManyRequests { retry_after: 2 };
        assert_eq!(wait_after(&limited, 50), Duration::from_secs(2));
    }
}
