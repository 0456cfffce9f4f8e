//! Carries one command out, answers, and takes it out of the stream.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishErrorKind;
use bytes::Bytes;
use honoken_domain::pass::Precondition;
use honoken_pushers::nats::stream::COMMAND_REFUSED;
use honoken_pushers::nats::{Nats, NatsError};
use honoken_telemetry::error_chain;

use super::askers::{self, Askers};
use super::command::{self, MESSAGE_ID, Order, REQUEST_ID, Received};
use super::lanes::Owner;
use super::refused;
use super::request;
use super::stored::{self, Stored};
use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::manage::change::{Change, ChangeAnswer};
use crate::manage::replace_content;
use crate::state::AppState;

/// What the log calls such a command.
const NAME: &str = "pass.update_requested";

/// The longest that a command waits which could not be carried out for now.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Tries to have the broker take what was refused.
const TRIES: usize = 3;

/// Between two of them.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Room in a message for its headers.
const HEADERS: usize = 4 * 1024;

/// A command that will not come again: its answer, or why it was refused.
type Answer = Result<ChangeAnswer, ApiError>;

/// What it takes to carry a command out.
#[derive(Clone, Copy)]
pub(super) struct CarriesOut<'a> {
    pub(super) app: &'a AppState,
    pub(super) nats: &'a Nats,
    pub(super) askers: &'a Askers,
}

impl CarriesOut<'_> {
    /// Whose command it is. A key that is none has no lane of its own.
    ///
    /// # Errors
    /// When that cannot be found out for now; it is in the log then.
    pub(super) async fn owner_of(&self, message: &Stored) -> Result<Owner, ApiError> {
        let Ok(key) = command::api_key(message) else { return Ok(Owner::Stranger) };
        match Integrator::with_key(self.app, key).await {
            Ok(Some(integrator)) => Ok(Owner::Organization(integrator.organization_id)),
            Err(fault) if fault.is_temporary() => {
                let request_id = Received::of(message, self.app).request_id;
                request::works(&request_id, self.app, NAME, async { Err(fault) }).await
            }
            // It is refused for that when it is its turn.
            Ok(None) | Err(_) => Ok(Owner::Stranger),
        }
    }

    /// Carries a command out that was tried so often before. Gives how long it has to wait when it may succeed later; else it is done with.
    ///
    /// # Errors
    /// When the broker is away: then it is carried out once more, which changes nothing, and answered then.
    pub(super) async fn command(
        &self,
        message: &Stored,
        tries: u32,
    ) -> Result<Option<Duration>, async_nats::Error> {
        let received = Received::of(message, self.app);
        let answer =
            request::works(&received.request_id, self.app, NAME, self.change(message, &received)).await;
        match answer {
            Err(fault) if fault.is_temporary() => return Ok(Some(wait_after(&fault, tries))),
            Err(refusal) => {
                self.tell_refused(message, &received, &refusal).await?;
                let problem = refused::problem(&refusal, self.room()).to_string().into();
                self.reply(message, &received, "application/problem+json", problem).await;
            }
            Ok(answer) => {
                let answer = serde_json::to_vec(&answer)?.into();
                self.reply(message, &received, "application/json", answer).await;
            }
        }
        stored::remove(self.nats, message.sequence).await?;
        Ok(None)
    }

    /// As `PUT /manage/v1/passes/{type}/{serial}/content`, in the same order: who asks, whose pass it is, what is wanted.
    async fn change(&self, message: &Stored, received: &Received) -> Answer {
        let key = command::api_key(message)?;
        let integrator = Integrator::with_key(self.app, key).await?.ok_or(ApiError::UnauthorizedSender)?;
        self.app.rates.organization_asks(&integrator.organization_id).await?;
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

    /// The most bytes that the broker takes, but for headers.
    fn room(&self) -> usize {
        self.nats.client().max_payload().saturating_sub(HEADERS)
    }

    /// Has the broker store what was refused, before the command is let go of.
    async fn tell_refused(
        &self,
        message: &Stored,
        received: &Received,
        refusal: &ApiError,
    ) -> Result<(), async_nats::Error> {
        let limit = self.room();
        let message_id = received.message_id.as_deref();
        let request_id = &received.request_id.0;
        let document = refused::document(request_id, message_id, &message.payload, refusal, limit);
        let mut headers = headers(request_id, "application/json");
        // Refused once, told once, though it may be carried out again.
        headers.insert(MESSAGE_ID, format!("refused:{}", received.key));
        let mut tries = 0;
        loop {
            let told = async {
                let sent = self.nats.jetstream().publish_with_headers(
                    COMMAND_REFUSED,
                    headers.clone(),
                    document.clone(),
                );
                sent.await?.await
            };
            let Err(fault) = told.await else { return Ok(()) };
            if !self.nats.is_connected() || fault.kind() == PublishErrorKind::StreamNotFound {
                return Err(NatsError::doing("a refused command cannot be told")(fault).into());
            }
            tries += 1;
            if tries == TRIES {
                // Whoever asked is answered all the same, and the commands behind it go on.
                let error = error_chain(&fault);
                tracing::error!(request.id = request_id, error, "the broker takes no refused commands");
                return Ok(());
            }
            tokio::time::sleep(BACK_OFF).await;
        }
    }

    /// Answers those who wait. Answers are not stored: whoever has gone has gone.
    async fn reply(&self, message: &Stored, received: &Received, content_type: &str, answer: Bytes) {
        let fingerprint = askers::fingerprint(&message.headers, &message.payload);
        for subject in self.askers.of(&fingerprint).iter() {
            let headers = headers(&received.request_id.0, content_type);
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

/// When a command is tried again: when the limit allows it, else later every time. Those behind it in its lane wait as well, which keeps them
/// in order.
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
