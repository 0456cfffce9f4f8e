//! Takes messages one at a time, carries them out, answers, and only then lets go of them.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryFutureExt};
use honoken_domain::pass::Precondition;
use honoken_event_store::error_chain;
use honoken_pushers::nats::stream::{COMMAND_REFUSED, STREAM, UPDATE_REQUESTED};
use honoken_pushers::nats::{Nats, NatsError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::askers::{self, Askers};
use super::command::{self, MESSAGE_ID, Order, REQUEST_ID, Received};
use super::refused;
use crate::app::AppState;
use crate::auth::Integrator;
use crate::error::ApiError;
use crate::manage::change::{Change, ChangeAnswer};
use crate::manage::replace_content;

/// The durable consumer that all processes share.
const CONSUMER: &str = "commands";

/// What the log calls such a command.
const NAME: &str = "pass.update_requested";

/// Between two tries to reach the broker, and to have it take what was refused.
const BACK_OFF: Duration = Duration::from_secs(1);

/// The longest that a command waits which could not be carried out for now.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A command that nobody has given a sign of life about for so long is handed out again: its process is dead, and those behind it wait.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// Between two signs that a command is still being worked on.
const SIGN: Duration = Duration::from_millis(1_500);

/// How long the broker waits for a pull that nobody can answer, and how often it says that it is there meanwhile.
const PULL: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(2));

/// Tries to have the broker take what was refused.
const TRIES: usize = 3;

/// Room in a message for its headers.
const HEADERS: usize = 4 * 1024;

/// Carries the commands out that come over NATS.
#[derive(Debug)]
pub struct CommandConsumer {
    app: AppState,
    nats: Nats,
}

/// A command that will not come again: its answer, or why it was refused.
type Answer = Result<ChangeAnswer, ApiError>;

impl CommandConsumer {
    /// For the commands that come this way. The connection may not be there yet.
    pub fn new(app: AppState, nats: Nats) -> Self {
        Self { app, nats }
    }

    /// Carries commands out until `stop`; one that is being carried out then is finished. While the broker is away it waits.
    pub async fn run(self, stop: CancellationToken) {
        let askers = Askers::new();
        // Before the first message is taken: who asks from here on is known. It is asked for again whenever the connection is.
        let heard = match self.nats.client().subscribe(UPDATE_REQUESTED).await {
            Ok(heard) => heard,
            Err(fault) => return tracing::error!(error = %fault, "commands over NATS are not taken"),
        };
        let listening = async {
            askers.listen(heard).await;
            // Nobody asks any more once the connection has ended for good, and what is under way ends by itself.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = listening => {}
            () = self.carries_on(&stop, &askers) => {}
        }
    }

    async fn carries_on(&self, stop: &CancellationToken, askers: &Askers) {
        let mut troubled = false;
        loop {
            let connected = stop.run_until_cancelled(self.nats.connected()).await;
            if connected.is_none() {
                return;
            }
            let Err(fault) = Box::pin(self.carries_out(stop, askers, &mut troubled)).await else { return };
            if !std::mem::replace(&mut troubled, true) {
                let error = error_chain(&*fault);
                tracing::warn!(error, "commands over NATS cannot be taken; it is tried again until they can");
            }
            let waited = stop.run_until_cancelled(tokio::time::sleep(BACK_OFF)).await;
            if waited.is_none() {
                return;
            }
        }
    }

    /// Carries commands out for as long as the broker hands them out; `Ok` when it was told to stop.
    async fn carries_out(
        &self,
        stop: &CancellationToken,
        askers: &Askers,
        troubled: &mut bool,
    ) -> Result<(), async_nats::Error> {
        let consumer = self.nats.consumer(wanted()).await?;
        self.remove_what_is_left(consumer.cached_info().ack_floor.stream_sequence).await?;
        let pulled = consumer.stream().max_messages_per_batch(1).expires(PULL.0).heartbeat(PULL.1);
        let mut messages = pulled.messages().await?;
        if std::mem::take(troubled) {
            tracing::info!("commands over NATS are taken again");
        }
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                message = messages.next() => message.ok_or("the broker hands out nothing more")??,
            };
            with_signs_of_life(&message, Box::pin(self.handle(&message, askers))).await?;
        }
        // One that came in this very moment is for somebody else, at once.
        if let Some(Some(Ok(message))) = messages.next().now_or_never() {
            message.ack_with(AckKind::Nak(None)).await?;
        }
        Ok(())
    }

    /// Carries one message out. On an error the broker hands it out again.
    async fn handle(&self, message: &Message, askers: &Askers) -> Result<(), async_nats::Error> {
        let received = Received::of(message, &self.app)?;
        match self.answer(message, &received).await {
            Err(fault) if fault.is_temporary() => {
                let wait = wait_after(&fault, message.info()?.delivered);
                return message.ack_with(AckKind::Nak(Some(wait))).await;
            }
            Err(refusal) => {
                self.tell_refused(message, &received, &refusal).await?;
                let problem = refused::problem(&refusal, self.room()).to_string().into();
                self.reply(message, askers, &received, "application/problem+json", problem).await;
            }
            Ok(answer) => {
                let answer = serde_json::to_vec(&answer)?.into();
                self.reply(message, askers, &received, "application/json", answer).await;
            }
        }
        self.nats.unless_interrupted(message.double_ack()).await??;
        let stream = self.nats.jetstream().get_stream_no_info(STREAM).await?;
        self.remove(&stream, message.info()?.stream_sequence).await;
        Ok(())
    }

    async fn answer(&self, message: &Message, received: &Received) -> Answer {
        received.request_id.works(&self.app, NAME, self.carry_out(message, received)).await
    }

    /// As `PUT /manage/v1/passes/{type}/{serial}/content`, in the same order: who asks, whose pass it is, what is wanted.
    async fn carry_out(&self, message: &Message, received: &Received) -> Answer {
        let key = command::api_key(message)?;
        let integrator = Integrator::with_key(&self.app, key).await?.ok_or(ApiError::UnauthorizedSender)?;
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
        message: &Message,
        received: &Received,
        refusal: &ApiError,
    ) -> Result<(), async_nats::Error> {
        let limit = self.room();
        let message_id = received.message_id.as_deref();
        let request_id = &received.request_id.0;
        let document = refused::document(request_id, message_id, &message.payload, refusal, limit);
        let mut headers = headers(request_id, "application/json");
        // Refused once, told once, though it may be handed out again.
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
    async fn reply(
        &self,
        message: &Message,
        askers: &Askers,
        received: &Received,
        content_type: &str,
        answer: Bytes,
    ) {
        let fingerprint = askers::fingerprint(message.headers.as_ref(), &message.payload);
        for subject in askers.of(&fingerprint).iter() {
            let headers = headers(&received.request_id.0, content_type);
            let sent =
                self.nats.client().publish_with_headers(subject.clone(), headers, answer.clone()).await;
            if let Err(fault) = sent {
                tracing::warn!(error = %fault, "the answer to a command over NATS could not be sent");
            }
        }
    }

    /// Takes a message out of the stream that is done with, since an API key is in it, and since it must not come again if the consumer is ever
    /// made anew. Whether it could be.
    async fn remove(&self, stream: &Stream<()>, sequence: u64) -> bool {
        let removed = stream.delete_message(sequence).map_err(NatsError::doing("it cannot be deleted"));
        let removed = self.nats.unless_interrupted(removed).await.flatten();
        if let Err(fault) = &removed {
            let error = error_chain(fault);
            tracing::warn!(error, "a command that is done with stays in the stream, with the API key in it");
        }
        removed.is_ok()
    }

    /// Takes what was done with up to here out of the stream, where a crash came before it was removed. One by one: a purge has the broker
    /// forget which message was handed out and not acknowledged.
    async fn remove_what_is_left(&self, done: u64) -> Result<(), async_nats::Error> {
        let stream = self.nats.jetstream().get_stream_no_info(STREAM).await?;
        while let Ok(left) = stream.get_first_raw_message_by_subject(UPDATE_REQUESTED, 1).await
            && left.sequence <= done
            && self.remove(&stream, left.sequence).await
        {}
        Ok(())
    }
}

/// Works on a message, and tells the broker that it is being worked on.
async fn with_signs_of_life(
    message: &Message,
    work: impl Future<Output = Result<(), async_nats::Error>>,
) -> Result<(), async_nats::Error> {
    let mut work = std::pin::pin!(work);
    let mut signs = tokio::time::interval(SIGN);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    signs.reset();
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = signs.tick() => message.ack_with(AckKind::Progress).await?,
        }
    }
}

/// How the consumer has to be: one message at a time in all processes together, for as long as it takes.
fn wanted() -> pull::Config {
    pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        description: Some("Requests for changes, carried out in order".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: 1,
        filter_subject: UPDATE_REQUESTED.to_owned(),
        ..pull::Config::default()
    }
}

fn headers(request_id: &str, content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(REQUEST_ID, request_id);
    headers.insert("Content-Type", content_type);
    headers
}

/// When a command is tried again: when the limit allows it, else later every time. Those behind it wait as well, which keeps them in order.
fn wait_after(fault: &ApiError, delivered: i64) -> Duration {
    if let ApiError::TooManyRequests { retry_after } = fault {
        return Duration::from_secs(*retry_after);
    }
    let doublings = u32::try_from(delivered.saturating_sub(1)).unwrap_or_default().min(8);
    LONGEST_WAIT.min(Duration::from_millis(100) * 2_u32.pow(doublings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_waits_longer_every_time_and_never_long() {
        let away = ApiError::Unavailable("the store".into());
        let waits: Vec<u128> =
            [1, 2, 3, 8, 100].map(|delivered| wait_after(&away, delivered).as_millis()).to_vec();
        assert_eq!(waits, [100, 200, 400, 10_000, 10_000]);
        let limited = ApiError::TooManyRequests { retry_after: 2 };
        assert_eq!(wait_after(&limited, 50), Duration::from_secs(2));
    }
}
