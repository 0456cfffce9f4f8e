//! From messages to the ledger.
//!
//! A message is done when every phone that it concerns is in the ledger, and before any phone has been pushed to. Until then it is held, and handed
//! out again if this process dies: deliveries that are in the ledger already stay as they are.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use honoken_domain::ids::PassId;
use honoken_event_store::Position;
use honoken_projections::pass_holders::{Holder, Holders, PassState};
use honoken_projections::{QueryError, ReadModel, WALLET};
use honoken_telemetry::error_chain;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Settings;
use crate::feed::{Feed, FeedError, Received};
use crate::ledger::enqueue::DeliveryRequest;
use crate::ledger::{Ledger, LedgerError, ParkedMessage, Part};
use crate::message::PassContentChanged;
use crate::ports::{Clock, IdSource};

/// How often it looks whether it is paused, and how long it waits for a data store that is unavailable.
const POLL: Duration = Duration::from_secs(1);

/// How often the feed is told that a message is being worked on.
const IN_PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// A message about a state that the read model does not show is handed out again so often at the most; the sweep publishes it again when it is
/// shown.
const MAX_ATTEMPTS: u64 = 30;

/// Reads messages from a feed, and writes the pushes that they ask for into the ledger.
pub struct FanOut<F> {
    ledger: Ledger,
    read_model: ReadModel,
    feed: F,
    time: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    settings: Settings,
}

/// A pass whose phones are to be pushed to, and the messages about it.
struct Change<R> {
    state: PassState,
    urgent: bool,
    receipts: Vec<R>,
}

/// Why messages could not be worked on now.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    ReadModel(#[from] QueryError),
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl<F: Feed> FanOut<F> {
    /// Does nothing until it [runs](Self::run).
    pub fn new(
        ledger: Ledger,
        read_model: ReadModel,
        feed: F,
        time: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        settings: Settings,
    ) -> Self {
        Self { ledger, read_model, feed, time, ids, settings }
    }

    /// Works until it is stopped, and gives the feed back. It can be stopped, or dropped, at any time: messages that were not done are handed
    /// out again.
    pub async fn run(mut self, stop: CancellationToken) -> F {
        stop.run_until_cancelled(async {
            let mut pauses = self.ledger.pauses();
            loop {
                if let Err(fault) = self.step(&mut pauses).await {
                    tracing::warn!(
                        error = error_chain(&fault),
                        "cannot read the phones that hold a pass; retrying in {POLL:?}"
                    );
                    tokio::time::sleep(POLL).await;
                }
            }
        })
        .await;
        self.feed
    }

    /// Waits for messages, and works on them.
    async fn step(&mut self, pauses: &mut watch::Receiver<()>) -> Result<(), Fault> {
        if self.ledger.paused(Part::Pusher).await?.is_some() {
            let _either = tokio::time::timeout(POLL, pauses.changed()).await;
            return Ok(());
        }
        let limit = usize::try_from(self.settings.batch_size).unwrap_or(usize::MAX).max(1);
        let received = {
            let ledger = self.ledger.clone();
            let mut received = pin!(self.feed.next(limit));
            loop {
                tokio::select! {
                    received = &mut received => break received?,
                    () = tokio::time::sleep(POLL) => {}
                    _ = pauses.changed() => {}
                }
                if ledger.paused(Part::Pusher).await?.is_some() {
                    return Ok(());
                }
            }
        };
        self.work_on(received).await
    }

    async fn work_on(&mut self, received: Vec<Received<F::Receipt>>) -> Result<(), Fault> {
        let mut messages = Vec::with_capacity(received.len());
        for Received { message, request_id, attempt, receipt } in received {
            match message {
                Ok(message) => messages.push((message, attempt, receipt)),
                Err(payload) => self.park(payload, request_id, receipt).await?,
            }
        }
        let passes: Vec<_> = messages.iter().map(|(message, ..)| pass_of(message)).collect();
        let looked = async {
            let states = self.read_model.pass_states(&passes).await?;
            Ok::<_, QueryError>((states, Position(self.read_model.checkpoint(WALLET).await?.0)))
        };
        let (states, shown) = match looked.await {
            Ok(looked) => looked,
            Err(fault) => {
                self.nak_all(messages.into_iter().map(|(.., receipt)| receipt)).await?;
                return Err(fault.into());
            }
        };
        let mut changes: HashMap<PassId, Change<F::Receipt>> = HashMap::new();
        for ((message, attempt, receipt), pass) in messages.into_iter().zip(passes) {
            let state = states.get(&pass);
            match state {
                Some(state) if state.etag == message.etag => {
                    let change = changes.entry(pass).or_insert_with(|| Change {
                        state: state.clone(),
                        urgent: false,
                        receipts: Vec::new(),
                    });
                    change.urgent |= message.urgent;
                    change.receipts.push(receipt);
                }
                _ if is_behind(state, shown, &message) && attempt <= MAX_ATTEMPTS => {
                    self.feed.nak(receipt, POLL).await?;
                }
                // Superseded, or not shown: then it is published again when it is.
                _ => self.feed.ack(receipt).await?,
            }
        }
        self.enqueue(changes).await
    }

    /// Writes the pushes of changes into the ledger, and acknowledges the messages of each pass that is done.
    async fn enqueue(&mut self, mut changes: HashMap<PassId, Change<F::Receipt>>) -> Result<(), Fault> {
        let mut holders = Holders::of(changes.keys().cloned().collect());
        let mut confirmed = Instant::now();
        while !changes.is_empty() {
            let done = match self.enqueue_page(&mut holders, &changes).await {
                Ok(done) => done,
                Err(fault) => {
                    let receipts = changes.into_values().flat_map(|change| change.receipts);
                    self.nak_all(receipts).await?;
                    return Err(fault);
                }
            };
            for pass in done {
                for receipt in changes.remove(&pass).into_iter().flat_map(|change| change.receipts) {
                    self.feed.ack(receipt).await?;
                }
            }
            if confirmed.elapsed() >= IN_PROGRESS_EVERY {
                for receipt in changes.values().flat_map(|change| &change.receipts) {
                    self.feed.in_progress(receipt).await?;
                }
                confirmed = Instant::now();
            }
        }
        Ok(())
    }

    /// Writes the next page of phones into the ledger. Gives the passes that are done with it.
    async fn enqueue_page(
        &self,
        holders: &mut Holders,
        changes: &HashMap<PassId, Change<F::Receipt>>,
    ) -> Result<Vec<PassId>, Fault> {
        let page = self.read_model.next_holders(holders).await?;
        let mut requests: HashMap<PassId, DeliveryRequest> = HashMap::new();
        for Holder { pass, device } in page {
            let Some(change) = changes.get(&pass) else { continue };
            let request = requests.entry(pass.clone()).or_insert_with(|| DeliveryRequest {
                pass,
                etag: change.state.etag.clone(),
                position: change.state.update_tag,
                cause: String::new(),
                urgent: change.urgent,
                devices: Vec::new(),
            });
            request.devices.push(device);
        }
        let done = changes.iter().filter(|(pass, _)| holders.are_done_with(pass));
        let done: Vec<_> = done.map(|(pass, change)| (pass.clone(), change.state.update_tag)).collect();
        let requests: Vec<_> = requests.into_values().collect();
        self.ledger.enqueue(&requests, &done, self.time.unix_ms()).await?;
        Ok(done.into_iter().map(|(pass, _)| pass).collect())
    }

    async fn nak_all(&mut self, receipts: impl IntoIterator<Item = F::Receipt>) -> Result<(), FeedError> {
        for receipt in receipts {
            self.feed.nak(receipt, POLL).await?;
        }
        Ok(())
    }

    /// Keeps a payload that is no message where an operator sees it.
    async fn park(
        &mut self,
        payload: String,
        request_id: Option<String>,
        receipt: F::Receipt,
    ) -> Result<(), Fault> {
        let why = serde_json::from_str::<PassContentChanged>(&payload).err();
        let why = why.map_or_else(|| "it is too long".to_owned(), |fault| fault.to_string());
        tracing::error!(request_id, "a message can never be processed and is parked");
        let message = ParkedMessage {
            id: self.ids.uuid(),
            payload,
            reason: format!("it is not a message about a change of a pass: {why}"),
            request_id,
            parked_at_ms: self.time.unix_ms(),
        };
        if let Err(fault) = self.ledger.park_message(&message).await {
            self.feed.nak(receipt, POLL).await?;
            return Err(fault.into());
        }
        Ok(self.feed.term(receipt).await?)
    }
}

fn pass_of(message: &PassContentChanged) -> PassId {
    PassId {
        pass_type_identifier: message.pass_type_identifier.clone(),
        serial_number: message.serial_number.clone(),
    }
}

/// Whether the read model has not come to the message yet. A message that it has come to and does not show is parked, or superseded.
fn is_behind(state: Option<&PassState>, shown: Position, message: &PassContentChanged) -> bool {
    shown.0 < message.position && state.is_none_or(|state| state.update_tag.0 < message.position)
}
