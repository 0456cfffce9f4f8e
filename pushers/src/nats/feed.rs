//! From the stream to the push subscriber: a durable pull consumer, which several processes may share. Every message is acknowledged by itself;
//! one that is not is handed out again after a while, for ever: a message that can never succeed is parked in the ledger and terminated here.

use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::pull::{Batch, Config};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::message::{Acker, Message};
use futures::StreamExt;
use tokio::time::Instant;

use super::connection::{Nats, NatsError};
use super::message_headers::REQUEST_ID;
use super::stream::{ACK_WAIT, CONTENT_CHANGED, PUSHER_CONSUMER};
use crate::feed::{Feed, FeedError, Received};
use crate::message::PassContentChanged;

/// Messages handed out and not acknowledged, in all processes: a crash can delay as many by [`ACK_WAIT`].
const MAX_ACK_PENDING: i64 = 5_000;

/// A request for messages expires after so long without one, and is made again in case it was lost.
const EXPIRES: Duration = Duration::from_secs(5);

/// A request that does not wait is answered in less.
const PROMPT: Duration = Duration::from_secs(1);

/// Bytes of a message that are shown when it cannot be read.
const SHOWN: usize = 4096;

/// The message to acknowledge.
pub struct Receipt(Acker);

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receipt")
    }
}

/// The messages of the stream.
#[derive(Debug)]
pub struct JetStreamFeed {
    nats: Nats,
    consumer: Option<Consumer<Config>>,
    /// The pull request that has not been answered to its end. It outlives a call that is given up, and so do the messages that came.
    pull: Option<Pull>,
    came: Vec<Message>,
    /// Whether there was nothing at the last pull, so that the next one waits.
    idle: bool,
}

struct Pull {
    batch: Batch,
    /// Whether it waits for one message, rather than taking those that there are.
    waits: bool,
    /// An answer is no longer to be expected.
    until: Instant,
}

impl std::fmt::Debug for Pull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pull").field("waits", &self.waits).finish_non_exhaustive()
    }
}

impl JetStreamFeed {
    /// The messages of the stream on `nats`. Stream and consumer are created when they are needed.
    pub fn new(nats: Nats) -> Self {
        Self { nats, consumer: None, pull: None, came: Vec::new(), idle: false }
    }

    /// Waits until a message came, and takes along those that there are beside it. No message is asked for beyond that: one that is handed out and not worked on
    /// would be handed out again.
    async fn fill(&mut self, limit: usize) -> Result<(), NatsError> {
        loop {
            let Some(pull) = &mut self.pull else {
                if self.came.len() >= limit {
                    return Ok(());
                }
                match self.pull(limit - self.came.len()).await {
                    Ok(()) | Err(NatsError::Interrupted) => continue,
                    Err(fault) => return Err(fault),
                }
            };
            let answer = tokio::select! {
                biased;
                answer = pull.batch.next() => answer,
                // A consumer that was deleted does not answer.
                () = tokio::time::sleep_until(pull.until) => {
                    self.consumer = None;
                    None
                }
                () = self.nats.interrupted() => {
                    self.pull = None;
                    if self.came.is_empty() {
                        continue;
                    }
                    return Ok(());
                }
            };
            match answer {
                Some(Ok(message)) => self.came.push(message),
                Some(Err(fault)) => {
                    // The consumer or the stream was deleted, or another server leads them now.
                    (self.pull, self.consumer) = (None, None);
                    return Err(NatsError::doing("messages could not be read from the stream HONOKEN")(
                        fault,
                    ));
                }
                None => {
                    let waited = pull.waits;
                    self.pull = None;
                    if waited && self.came.is_empty() {
                        // A consumer that no longer exists does not answer at all.
                        self.consumer = None;
                    }
                    self.idle = self.came.is_empty();
                    if !self.idle && !waited {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Asks for messages: for one, and waits for it, when there were none; else for those that there are.
    async fn pull(&mut self, limit: usize) -> Result<(), NatsError> {
        self.nats.connected().await;
        let consumer = match &self.consumer {
            Some(consumer) => consumer,
            None => self.consumer.insert(Box::pin(self.nats.consumer(consumer())).await?),
        };
        let waits = self.idle && self.came.is_empty();
        let answer_limit = if waits { EXPIRES + PROMPT } else { PROMPT };
        let batch = if waits {
            consumer.batch().max_messages(1).expires(EXPIRES).messages().await
        } else {
            consumer.fetch().max_messages(limit).messages().await
        };
        let batch = batch.map_err(NatsError::doing("messages could not be requested from NATS"))?;
        self.pull = Some(Pull { batch, waits, until: Instant::now() + answer_limit });
        Ok(())
    }
}

impl Feed for JetStreamFeed {
    type Receipt = Receipt;

    async fn next(&mut self, limit: usize) -> Result<Vec<Received<Receipt>>, FeedError> {
        self.fill(limit.max(1)).await.map_err(|fault| failed("asking NATS for messages", fault))?;
        Ok(std::mem::take(&mut self.came).into_iter().map(received).collect())
    }

    async fn ack(&mut self, receipt: Receipt) -> Result<(), FeedError> {
        acknowledge(&receipt, AckKind::Ack).await
    }

    async fn in_progress(&mut self, receipt: &Receipt) -> Result<(), FeedError> {
        acknowledge(receipt, AckKind::Progress).await
    }

    async fn nak(&mut self, receipt: Receipt, after: Duration) -> Result<(), FeedError> {
        acknowledge(&receipt, AckKind::Nak(Some(after))).await
    }

    async fn term(&mut self, receipt: Receipt) -> Result<(), FeedError> {
        acknowledge(&receipt, AckKind::Term).await
    }
}

/// The broker's word on it is not waited for: if the acknowledgement is lost, the message comes again.
async fn acknowledge(receipt: &Receipt, kind: AckKind) -> Result<(), FeedError> {
    let doing = "acknowledging a message of NATS";
    match tokio::time::timeout(EXPIRES, receipt.0.ack_with(kind)).await {
        Ok(answered) => answered.map_err(|fault| FeedError { doing, source: fault }),
        Err(late) => Err(failed(doing, late)),
    }
}

fn failed(doing: &'static str, fault: impl std::error::Error + Send + Sync + 'static) -> FeedError {
    FeedError { doing, source: Box::new(fault) }
}

fn received(message: Message) -> Received<Receipt> {
    let attempt = message.info().map_or(1, |info| u64::try_from(info.delivered).unwrap_or(1));
    let request_id = message.headers.as_ref().and_then(|headers| headers.get(REQUEST_ID));
    let request_id = request_id.map(|id| id.as_str().to_owned());
    let parsed = serde_json::from_slice::<PassContentChanged>(&message.payload)
        .map_err(|_| unreadable(&message.payload));
    let (_, acker) = message.split();
    Received { message: parsed, request_id, attempt, receipt: Receipt(acker) }
}

/// The beginning of a payload that is no message, for an operator.
fn unreadable(payload: &[u8]) -> String {
    String::from_utf8_lossy(&payload[..payload.len().min(SHOWN)]).into_owned()
}

fn consumer() -> Config {
    Config {
        durable_name: Some(PUSHER_CONSUMER.to_owned()),
        description: Some("Wakes the phones that hold a changed pass".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: MAX_ACK_PENDING,
        filter_subject: CONTENT_CHANGED.to_owned(),
        ..Config::default()
    }
}
