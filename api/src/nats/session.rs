//! Takes commands while this process holds the lease and NATS is reachable: reads the stream, and lets every lane carry out one command
//! after the other.
//!
//! The consumer serves as a wake-up only: it hands out one command, which says that there is something to read, and the acknowledgement of
//! that command records up to where all commands are done. The commands themselves are read from the stream.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{AckKind, Message};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use honoken_pushers::nats::{Nats, NatsError};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::carry_out::CommandHandler;
use super::lanes::{End, Lanes, Owner};
use super::reply_subjects::ReplySubjects;
use super::stream_message::StreamMessage;
use super::turn::Turn;
use crate::state::AppState;

/// Commands that are carried out at the same time, each of another lane.
const MAX_IN_PROGRESS: usize = 16;

/// The time between two reads of the stream without a notification, between two checks of the lease, and between two signs of life to NATS.
const TICK: Duration = Duration::from_secs(1);

/// The subscription receives a message this long before the stream has stored it.
const STORAGE_DELAY: Duration = Duration::from_millis(20);

/// The wait before a store is asked again for the owner of a command.
const BACK_OFF: Duration = Duration::from_secs(1);

/// The result of reading the stream from a number on.
struct Read {
    from: u64,
    found: Found,
}

enum Found {
    Command(StreamMessage, Owner),
    /// No command before this number.
    NoneBefore(u64),
    /// A command whose owner cannot be found out for now.
    Unknown,
}

/// The lane of a command that ended, and the time until its next try, if there is one.
type Ended = (Owner, Result<Option<Duration>, async_nats::Error>);

pub(super) struct Session<'a> {
    handler: CommandHandler<'a>,
    lanes: Lanes,
    /// Messages before this number are read one by one.
    hidden_before: u64,
    in_progress: FuturesUnordered<BoxFuture<'a, Ended>>,
    reading: Option<BoxFuture<'a, Result<Read, NatsError>>>,
    /// The command that was read last, for its lane to use without reading it again.
    prefetched: Option<StreamMessage>,
    /// Whether the stream may have a new command.
    may_have_new: bool,
    /// When the stream is read again, since a received message may not have been stored at once.
    look_again_at: Option<Instant>,
    /// Whether new commands are read before those that lanes are behind with.
    new_first: bool,
    /// When reading is tried again after a failure, or when there was no lane.
    retry_read_at: Option<Instant>,
    /// The command that the consumer has handed out, not acknowledged yet.
    notification: Option<Message>,
}

impl<'a> Session<'a> {
    /// A session for which every command before `first` is done.
    pub(super) fn new(
        app: &'a AppState,
        nats: &'a Nats,
        reply_subjects: &'a ReplySubjects,
        first: u64,
        hidden_before: u64,
    ) -> Self {
        Self {
            handler: CommandHandler { app, nats, reply_subjects },
            lanes: Lanes::from(first),
            hidden_before,
            in_progress: FuturesUnordered::new(),
            reading: None,
            prefetched: None,
            may_have_new: true,
            look_again_at: None,
            new_first: true,
            retry_read_at: None,
            notification: None,
        }
    }

    /// Runs until `stop`, or until another process holds the lease; commands in progress are finished then.
    pub(super) async fn run(
        mut self,
        stop: &CancellationToken,
        turn: &mut Turn,
        mut notifications: pull::Stream,
    ) -> Result<(), async_nats::Error> {
        let outcome = self.work(stop, turn, &mut notifications).await;
        // Their results need not be recorded: a command that is not done is still in the stream.
        while self.in_progress.next().await.is_some() {}
        if let (Ok(()), Some(notification)) = (&outcome, self.notification.take()) {
            // Lets another process have it at once.
            notification.ack_with(AckKind::Nak(None)).await?;
        }
        outcome
    }

    async fn work(
        &mut self,
        stop: &CancellationToken,
        turn: &mut Turn,
        notifications: &mut pull::Stream,
    ) -> Result<(), async_nats::Error> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = Instant::now();
            self.expire_timers(now);
            if turn.is_certain() {
                self.start_commands();
                self.start_reading();
            }
            let reply_subjects = self.handler.reply_subjects;
            let next = self.next_timer(now);
            let (in_progress, reading) = (&mut self.in_progress, &mut self.reading);
            // Rare events come first, so that frequent ones do not starve them.
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                is_ours = turn.asked() => if !is_ours {
                    tracing::info!("another process now carries out commands over NATS");
                    return Ok(());
                },
                _ = ticks.tick() => {
                    self.may_have_new = true;
                    turn.ask();
                    if let Some(notification) = &self.notification {
                        notification.ack_with(AckKind::Progress).await?;
                    }
                }
                read = poll_optional(reading) => self.on_read(read?),
                Some((owner, ended)) = in_progress.next() => self.on_ended(owner, ended?),
                notification = notifications.next() => {
                    self.notification = Some(notification.ok_or("NATS ended the pull subscription")??);
                    self.may_have_new = true;
                }
                () = reply_subjects.arrived() => {
                    self.may_have_new = true;
                    self.look_again_at = Some(Instant::now() + STORAGE_DELAY);
                }
                () = tokio::time::sleep_until(next.unwrap_or(now)), if next.is_some() => {}
            }
            self.acknowledge_when_done().await?;
        }
    }

    /// The next time at which a timer expires. An overdue one is left out: it waits for another event, and that comes.
    fn next_timer(&self, now: Instant) -> Option<Instant> {
        let moments = [self.lanes.next_due(), self.look_again_at, self.retry_read_at].into_iter().flatten();
        moments.filter(|at| *at > now).min()
    }

    fn expire_timers(&mut self, now: Instant) {
        self.may_have_new |= self.look_again_at.take_if(|at| *at <= now).is_some();
        self.retry_read_at.take_if(|at| *at <= now);
    }

    /// Starts the next command of every lane that can.
    fn start_commands(&mut self) {
        while self.in_progress.len() < MAX_IN_PROGRESS
            && let Some((sequence, owner)) = self.lanes.next_command(Instant::now())
        {
            let handler = self.handler;
            let prefetched = self.prefetched.take_if(|stored| stored.sequence == sequence);
            let tries = self.lanes.tries(&owner);
            let in_progress = async move {
                let message = match prefetched {
                    Some(message) => Ok(Some(message)),
                    None => StreamMessage::numbered(handler.nats, sequence).await,
                };
                let ended = match message {
                    Ok(Some(message)) => handler.carry_out(&message, tries).await,
                    // The message was removed from outside, or by the limits of the stream.
                    Ok(None) => Ok(None),
                    Err(fault) => Err(fault.into()),
                };
                (owner, ended)
            };
            self.in_progress.push(in_progress.boxed());
        }
    }

    fn on_ended(&mut self, owner: Owner, wait: Option<Duration>) {
        let end = wait.map_or(End::Done, |wait| End::RetryAt(Instant::now() + wait));
        self.lanes.finish(owner, end);
    }

    /// Starts reading on in the stream: new commands and commands that lanes are behind with, in turns.
    fn start_reading(&mut self) {
        if self.reading.is_some() || self.retry_read_at.is_some() {
            return;
        }
        let behind = self.lanes.behind();
        let from = match behind {
            Some(behind) if !(self.may_have_new && self.new_first) => behind,
            _ if self.may_have_new => self.lanes.frontier(),
            _ => return,
        };
        self.new_first = !self.new_first;
        let handler = self.handler;
        let hidden_before =
            if from < self.lanes.frontier() { self.lanes.frontier() } else { self.hidden_before };
        self.reading = Some(read(handler, from, hidden_before).boxed());
    }

    fn on_read(&mut self, Read { from, found }: Read) {
        self.reading = None;
        let (to, command) = match found {
            Found::Command(message, owner) => (message.sequence, Some((message, owner))),
            Found::NoneBefore(to) => (to, None),
            Found::Unknown => {
                self.retry_read_at = Some(Instant::now() + BACK_OFF);
                return;
            }
        };
        if command.is_none() && from == self.lanes.frontier() && to == from {
            self.may_have_new = false;
        }
        let owner = command.as_ref().map(|(_, owner)| owner.clone());
        if !self.lanes.record(from, to, owner) {
            self.retry_read_at = Some(Instant::now() + BACK_OFF);
            return;
        }
        self.prefetched = command.map(|(message, _)| message);
    }

    /// Acknowledges the notification when every command up to it is done, so that the consumer hands out the next one.
    async fn acknowledge_when_done(&mut self) -> Result<(), async_nats::Error> {
        let Some(notification) = &self.notification else { return Ok(()) };
        if self.lanes.are_done_up_to(notification.info()?.stream_sequence) {
            notification.ack().await?;
            self.notification = None;
        }
        Ok(())
    }
}

/// Reads the stream from a number on, message by message up to `hidden_before`.
async fn read(handler: CommandHandler<'_>, from: u64, hidden_before: u64) -> Result<Read, NatsError> {
    let message = if from < hidden_before {
        StreamMessage::first_between(handler.nats, from, hidden_before).await?
    } else {
        StreamMessage::first_from(handler.nats, from).await?.ok_or(from)
    };
    let found = match message {
        Ok(message) => match handler.owner_of(&message).await {
            Ok(owner) => Found::Command(message, owner),
            Err(_) => Found::Unknown,
        },
        Err(none_before) => Found::NoneBefore(none_before),
    };
    Ok(Read { from, found })
}

/// Waits for the future, or for ever when there is none.
async fn poll_optional<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
