//! Takes commands for as long as it is this process's turn and the broker is there: reads the stream, and lets every lane carry out one command
//! after the other.
//!
//! The consumer is a bell: it hands out a command, which says that there is something to read, and its acknowledgement says up to where all is
//! done. What is to be done is read from the stream itself.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{AckKind, Message};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use honoken_pushers::nats::{Nats, NatsError};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::askers::Askers;
use super::carry_out::CarriesOut;
use super::lanes::{End, Lanes, Owner};
use super::stored::Stored;
use super::turn::Turn;
use crate::state::AppState;

/// Commands that are carried out at once, each of another lane.
const AT_WORK: usize = 16;

/// Between two looks at the stream without having heard of anything, at whose turn it is, and signs of life to the broker.
const TICK: Duration = Duration::from_secs(1);

/// A message is heard of a moment before the stream has it.
const STORED: Duration = Duration::from_millis(20);

/// Before a store is asked again whose command it is.
const BACK_OFF: Duration = Duration::from_secs(1);

/// What was found in the stream from a number on.
struct Read {
    from: u64,
    found: Found,
}

enum Found {
    Command(Stored, Owner),
    /// None before this number.
    NoneBefore(u64),
    /// It cannot be found out for now whose it is.
    Unknown,
}

/// What became of the command of a lane, or of a try.
type Ended = (Owner, Result<Option<Duration>, async_nats::Error>);

pub(super) struct Session<'a> {
    carries_out: CarriesOut<'a>,
    lanes: Lanes,
    /// What is before this number is read message by message.
    hidden_before: u64,
    working: FuturesUnordered<BoxFuture<'a, Ended>>,
    reading: Option<BoxFuture<'a, Result<Read, NatsError>>>,
    /// What was read last, if its lane has nothing before it.
    at_hand: Option<Stored>,
    /// There may be something new, now or then.
    rang: bool,
    rings_at: Option<Instant>,
    /// Whether something new comes before what lanes are behind with.
    new_first: bool,
    reads_at: Option<Instant>,
    /// What the consumer has handed out.
    bell: Option<Message>,
}

impl<'a> Session<'a> {
    /// Everything before `first` is done with.
    pub(super) fn new(
        app: &'a AppState,
        nats: &'a Nats,
        askers: &'a Askers,
        first: u64,
        hidden_before: u64,
    ) -> Self {
        Self {
            carries_out: CarriesOut { app, nats, askers },
            lanes: Lanes::from(first),
            hidden_before,
            working: FuturesUnordered::new(),
            reading: None,
            at_hand: None,
            rang: true,
            rings_at: None,
            new_first: true,
            reads_at: None,
            bell: None,
        }
    }

    /// Works until `stop`, or until it is another process's turn; what is being carried out then is finished.
    pub(super) async fn run(
        mut self,
        stop: &CancellationToken,
        turn: &mut Turn,
        mut bells: pull::Stream,
    ) -> Result<(), async_nats::Error> {
        let outcome = self.works(stop, turn, &mut bells).await;
        // What these lead to is found again: it is in the stream, or not any more.
        while self.working.next().await.is_some() {}
        if let (Ok(()), Some(bell)) = (&outcome, self.bell.take()) {
            // Somebody else may have it at once.
            bell.ack_with(AckKind::Nak(None)).await?;
        }
        outcome
    }

    async fn works(
        &mut self,
        stop: &CancellationToken,
        turn: &mut Turn,
        bells: &mut pull::Stream,
    ) -> Result<(), async_nats::Error> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = Instant::now();
            self.is_time(now);
            if turn.is_certain() {
                self.begins();
                self.reads();
            }
            let askers = self.carries_out.askers;
            let next = self.next_moment(now);
            let (working, reading) = (&mut self.working, &mut self.reading);
            // What comes seldom first, so that what comes all the time does not keep it away.
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                is_ours = turn.asked() => if !is_ours {
                    tracing::info!("another process takes commands over NATS from here on");
                    return Ok(());
                },
                _ = ticks.tick() => {
                    self.rang = true;
                    turn.ask();
                    if let Some(bell) = &self.bell {
                        bell.ack_with(AckKind::Progress).await?;
                    }
                }
                read = of(reading) => self.has_read(read?),
                Some((owner, ended)) = working.next() => self.ended(owner, ended?),
                bell = bells.next() => {
                    self.bell = Some(bell.ok_or("the broker hands out nothing more")??);
                    self.rang = true;
                }
                () = askers.hears() => {
                    self.rang = true;
                    self.rings_at = Some(Instant::now() + STORED);
                }
                () = tokio::time::sleep_until(next.unwrap_or(now)), if next.is_some() => {}
            }
            self.answers_the_bell().await?;
        }
    }

    /// When there is something to do although nothing happens. What is overdue waits for something else, which happens.
    fn next_moment(&self, now: Instant) -> Option<Instant> {
        let moments = [self.lanes.next_due(), self.rings_at, self.reads_at].into_iter().flatten();
        moments.filter(|at| *at > now).min()
    }

    fn is_time(&mut self, now: Instant) {
        self.rang |= self.rings_at.take_if(|at| *at <= now).is_some();
        self.reads_at.take_if(|at| *at <= now);
    }

    /// Lets every lane begin that can.
    fn begins(&mut self) {
        while self.working.len() < AT_WORK
            && let Some((sequence, owner)) = self.lanes.begin(Instant::now())
        {
            let carries_out = self.carries_out;
            let at_hand = self.at_hand.take_if(|stored| stored.sequence == sequence);
            let tries = self.lanes.tries(&owner);
            let working = async move {
                let message = match at_hand {
                    Some(message) => Ok(Some(message)),
                    None => Stored::numbered(carries_out.nats, sequence).await,
                };
                let ended = match message {
                    Ok(Some(message)) => carries_out.command(&message, tries).await,
                    // Somebody has removed it, or the limits of the stream have.
                    Ok(None) => Ok(None),
                    Err(fault) => Err(fault.into()),
                };
                (owner, ended)
            };
            self.working.push(working.boxed());
        }
    }

    fn ended(&mut self, owner: Owner, wait: Option<Duration>) {
        let end = wait.map_or(End::Done, |wait| End::Later(Instant::now() + wait));
        self.lanes.ended(owner, end);
    }

    /// Reads on in the stream, in turns what is new and what lanes are behind with.
    fn reads(&mut self) {
        if self.reading.is_some() || self.reads_at.is_some() {
            return;
        }
        let behind = self.lanes.behind();
        let from = match behind {
            Some(behind) if !(self.rang && self.new_first) => behind,
            _ if self.rang => self.lanes.frontier(),
            _ => return,
        };
        self.new_first = !self.new_first;
        let carries_out = self.carries_out;
        let hidden_before =
            if from < self.lanes.frontier() { self.lanes.frontier() } else { self.hidden_before };
        self.reading = Some(read(carries_out, from, hidden_before).boxed());
    }

    fn has_read(&mut self, Read { from, found }: Read) {
        self.reading = None;
        let (to, command) = match found {
            Found::Command(message, owner) => (message.sequence, Some((message, owner))),
            Found::NoneBefore(to) => (to, None),
            Found::Unknown => {
                self.reads_at = Some(Instant::now() + BACK_OFF);
                return;
            }
        };
        if command.is_none() && from == self.lanes.frontier() && to == from {
            self.rang = false;
        }
        let owner = command.as_ref().map(|(_, owner)| owner.clone());
        if !self.lanes.found(from, to, owner) {
            self.reads_at = Some(Instant::now() + BACK_OFF);
            return;
        }
        self.at_hand = command.map(|(message, _)| message);
    }

    /// Lets go of the bell when everything up to what it was rung for is done with, so that it rings for the next.
    async fn answers_the_bell(&mut self) -> Result<(), async_nats::Error> {
        let Some(bell) = &self.bell else { return Ok(()) };
        if self.lanes.are_done_up_to(bell.info()?.stream_sequence) {
            bell.ack().await?;
            self.bell = None;
        }
        Ok(())
    }
}

/// Reads on from a number, message by message up to another one.
async fn read(carries_out: CarriesOut<'_>, from: u64, hidden_before: u64) -> Result<Read, NatsError> {
    let message = if from < hidden_before {
        Stored::first_between(carries_out.nats, from, hidden_before).await?
    } else {
        Stored::first_from(carries_out.nats, from).await?.ok_or(from)
    };
    let found = match message {
        Ok(message) => match carries_out.owner_of(&message).await {
            Ok(owner) => Found::Command(message, owner),
            Err(_) => Found::Unknown,
        },
        Err(none_before) => Found::NoneBefore(none_before),
    };
    Ok(Read { from, found })
}

/// The answer to what is being asked; never where nothing is.
async fn of<T>(asking: &mut Option<BoxFuture<'_, T>>) -> T {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}
