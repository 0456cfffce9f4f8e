//! Takes commands whenever it is this process's turn and the broker is there.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use honoken_event_store::EventLog;
use honoken_pushers::nats::Nats;
use honoken_pushers::nats::stream::UPDATE_REQUESTED;
use honoken_telemetry::error_chain;
use tokio_util::sync::CancellationToken;

use super::askers::Askers;
use super::session::Session;
use super::stored;
use super::turn::Turn;
use crate::state::AppState;

/// The durable consumer that all processes share.
const CONSUMER: &str = "commands";

/// Between two tries to reach the broker, and two questions whose turn it is.
const BACK_OFF: Duration = Duration::from_secs(1);

/// A process that stops gives its turn back within this, or it runs out.
const LAST_WORD: Duration = Duration::from_secs(2);

/// A command that nobody has given a sign of life about for so long is handed out again.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// How long the broker waits for a pull that nobody can answer, and how often it says that it is there meanwhile.
const PULL: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(2));

/// Carries the commands out that come over NATS.
#[derive(Debug)]
pub struct CommandConsumer {
    pub(super) app: AppState,
    pub(super) nats: Nats,
}

impl CommandConsumer {
    /// For the commands that come this way. The connection may not be there yet.
    pub fn new(app: AppState, nats: Nats) -> Self {
        Self { app, nats }
    }

    /// Carries commands out until `stop`; those that are being carried out then are finished. While the broker is away it waits.
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
        let mut turn = Turn::new(&self.app.ledger, self.app.log.epoch());
        let mut troubled = false;
        while !stop.is_cancelled() {
            let ours = stop.run_until_cancelled(async {
                self.nats.connected().await;
                turn.ask();
                turn.asked().await && turn.is_certain()
            });
            if ours.await == Some(true) {
                let carried_out = Box::pin(self.carries_out(stop, askers, &mut turn, &mut troubled)).await;
                if let Err(fault) = carried_out
                    && !std::mem::replace(&mut troubled, true)
                {
                    let error = error_chain(&*fault);
                    tracing::warn!(
                        error,
                        "commands over NATS cannot be taken; it is tried again until they can"
                    );
                }
                if tokio::time::timeout(LAST_WORD, turn.release()).await.is_err() {
                    turn = Turn::new(&self.app.ledger, self.app.log.epoch());
                }
            }
            stop.run_until_cancelled(tokio::time::sleep(BACK_OFF)).await;
        }
    }

    /// Carries commands out for as long as it is this process's turn and the broker is there; `Ok` when it was told to stop, or is another's.
    async fn carries_out(
        &self,
        stop: &CancellationToken,
        askers: &Askers,
        turn: &mut Turn,
        troubled: &mut bool,
    ) -> Result<(), async_nats::Error> {
        let consumer = self.nats.consumer(wanted()).await?;
        let done = consumer.cached_info().ack_floor.stream_sequence;
        stored::remove_up_to(&self.nats, done).await?;
        let hidden_before = stored::hidden_before(&self.nats, done + 1).await?;
        let bells = consumer.stream().max_messages_per_batch(1).expires(PULL.0).heartbeat(PULL.1);
        let bells = bells.messages().await?;
        if std::mem::take(troubled) {
            tracing::info!("commands over NATS are taken again");
        }
        Session::new(&self.app, &self.nats, askers, done + 1, hidden_before).run(stop, turn, bells).await
    }
}

/// How the consumer has to be: it hands out the first command that is not done with, and nothing else meanwhile.
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
