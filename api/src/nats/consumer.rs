//! Takes commands while this process holds the lease and NATS is reachable.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::future::BoxFuture;
use honoken_event_store::EventLog;
use honoken_pushers::nats::Nats;
use honoken_pushers::nats::stream::UPDATE_REQUESTED;
use honoken_telemetry::error_chain;
use tokio_util::sync::CancellationToken;

use super::reply_subjects::ReplySubjects;
use super::session::Session;
use super::stream_message;
use super::turn::Turn;
use crate::state::AppState;

/// The durable consumer that all processes share.
const CONSUMER: &str = "commands";

/// The time between two attempts to reach NATS, and between two requests for the lease.
const BACK_OFF: Duration = Duration::from_secs(1);

/// The longest that a stopping process takes to release the lease; otherwise the lease runs out.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// A command whose process gave no sign of life for this long is handed out again.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// How long NATS keeps a pull request open that it has no message for, and how often it sends a heartbeat meanwhile.
const PULL_LIMITS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(2));

/// Carries out the commands that come over NATS.
#[derive(Debug)]
pub struct CommandConsumer {
    pub(super) app: AppState,
    pub(super) nats: Nats,
}

impl CommandConsumer {
    /// A consumer over this connection, which need not be established yet.
    pub fn new(app: AppState, nats: Nats) -> Self {
        Self { app, nats }
    }

    /// Carries commands out until `stop`, and then finishes those in progress. While NATS is unreachable it waits.
    pub fn run(self, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(self.carry_out_until(stop))
    }

    async fn carry_out_until(self, stop: CancellationToken) {
        let reply_subjects = ReplySubjects::new();
        // Subscribed before the first message is taken, so that no reply subject is missed from then on. The client subscribes again
        // whenever it reconnects.
        let messages = match self.nats.client().subscribe(UPDATE_REQUESTED).await {
            Ok(messages) => messages,
            Err(fault) => return tracing::error!(error = %fault, "commands over NATS are not carried out"),
        };
        let listening = async {
            reply_subjects.listen(messages).await;
            // No more messages arrive once the connection has ended for good, and the commands in progress end by themselves.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = listening => {}
            () = self.run_in_turns(&stop, &reply_subjects) => {}
        }
    }

    async fn run_in_turns(&self, stop: &CancellationToken, reply_subjects: &ReplySubjects) {
        let mut turn = Turn::new(&self.app.ledger, self.app.log.epoch());
        let mut has_failed = false;
        while !stop.is_cancelled() {
            let ours = stop.run_until_cancelled(async {
                self.nats.connected().await;
                turn.ask();
                turn.asked().await && turn.is_certain()
            });
            if ours.await == Some(true) {
                let carried_out =
                    Box::pin(self.carry_out_commands(stop, reply_subjects, &mut turn, &mut has_failed)).await;
                if let Err(fault) = carried_out
                    && !std::mem::replace(&mut has_failed, true)
                {
                    let error = error_chain(&*fault);
                    tracing::warn!(error, "commands over NATS cannot be carried out; retrying");
                }
                if tokio::time::timeout(RELEASE_LIMIT, turn.release()).await.is_err() {
                    turn = Turn::new(&self.app.ledger, self.app.log.epoch());
                }
            }
            stop.run_until_cancelled(tokio::time::sleep(BACK_OFF)).await;
        }
    }

    /// Carries commands out while this process holds the lease and NATS is reachable. Returns `Ok` when it was told to stop, or another
    /// process holds the lease.
    async fn carry_out_commands(
        &self,
        stop: &CancellationToken,
        reply_subjects: &ReplySubjects,
        turn: &mut Turn,
        has_failed: &mut bool,
    ) -> Result<(), async_nats::Error> {
        let consumer = self.nats.consumer(consumer_config()).await?;
        let done = consumer.cached_info().ack_floor.stream_sequence;
        stream_message::remove_up_to(&self.nats, done).await?;
        let hidden_before = stream_message::hidden_before(&self.nats, done + 1).await?;
        let notifications =
            consumer.stream().max_messages_per_batch(1).expires(PULL_LIMITS.0).heartbeat(PULL_LIMITS.1);
        let notifications = notifications.messages().await?;
        if std::mem::take(has_failed) {
            tracing::info!("commands over NATS are carried out again");
        }
        Session::new(&self.app, &self.nats, reply_subjects, done + 1, hidden_before)
            .run(stop, turn, notifications)
            .await
    }
}

/// The configuration of the consumer: it hands out the first command that is not done, and no other meanwhile.
fn consumer_config() -> pull::Config {
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
