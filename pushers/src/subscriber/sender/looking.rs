//! Once a second: what other processes have done, what an operator has, whether the clock was set, and which ways are to be tried again.

use std::time::Duration;

use honoken_domain::ids::PassTypeIdentifier;
use honoken_telemetry::error_chain;

use super::{BACK_OFF, Event, Free, LOOK, NONE, PROBE, Work, free};
use crate::clock_jumps::ClockJumps;
use crate::ledger::clamp::Latest;
use crate::ledger::{Ledger, LedgerError, ParkedCredential, Part};
use crate::outcome::LONGEST_RETRY_AFTER;
use crate::ports::{Apns, Credentials, DeadTokens, NoCredential, Time};
use crate::subscriber::milliseconds;

/// How often times in the future are looked at that another process may have noted, or an earlier one.
const CLAMP: Duration = Duration::from_secs(10);

/// What was parked here less long ago may not have been seen yet where others look.
const NEWS: i64 = 5000;

const _: () = assert!(BACK_OFF[BACK_OFF.len() - 1].as_secs() * 6 / 5 <= LONGEST_RETRY_AFTER.as_secs());

/// What was found.
pub(super) struct Look {
    paused: bool,
    parked: Vec<ParkedCredential>,
    /// Topics with a parked credential that this sender may try.
    may_probe: Vec<PassTypeIdentifier>,
}

/// When times in the future are looked at, and which of them can have been meant.
pub(super) struct Clamping {
    jumps: ClockJumps,
    /// By the steady clock.
    next_ms: i64,
    /// At the start, and after the clock was set.
    thoroughly: bool,
    set_back: bool,
}

impl Clamping {
    pub(super) fn since_now(time: &dyn Time) -> Self {
        Self {
            jumps: ClockJumps::since_now(time),
            next_ms: time.steady_ms(),
            thoroughly: true,
            set_back: false,
        }
    }

    /// What is to be clamped now, if anything is, and whether thoroughly.
    fn due(&mut self, time: &dyn Time, window: Duration) -> Option<(Latest, bool)> {
        if let Some(jump_ms) = self.jumps.noticed(time) {
            let (seconds, direction) =
                ((jump_ms.abs() + 500) / 1000, if jump_ms < 0 { "back" } else { "forward" });
            tracing::warn!("the clock was set {direction} by {seconds} s: what is due is looked at anew");
            self.thoroughly = true;
            self.set_back |= jump_ms < 0;
        }
        if !self.thoroughly && time.steady_ms() < self.next_ms {
            return None;
        }
        let now_ms = time.unix_ms();
        let longest_ms = now_ms + milliseconds(LONGEST_RETRY_AFTER + LOOK);
        let latest = Latest {
            window_ends_ms: now_ms + milliseconds(window),
            // What has to rest is known here, and puts them back again.
            put_back_until_ms: if self.set_back { now_ms } else { longest_ms },
            rest_ends_ms: longest_ms,
            probe_at_ms: now_ms + milliseconds(PROBE),
        };
        Some((latest, self.thoroughly))
    }

    fn done(&mut self, time: &dyn Time) {
        (self.thoroughly, self.set_back) = (false, false);
        self.next_ms = time.steady_ms() + milliseconds(CLAMP);
    }
}

impl<A: Apns, C: Credentials, D: DeadTokens> Work<A, C, D> {
    pub(super) fn looks(&mut self) {
        if self.looking || self.stopping {
            return;
        }
        self.looking = true;
        let (ledger, credentials) = (self.ledger.clone(), self.ports.credentials.clone());
        let clamps = self.clamping.due(&*self.ports.time, self.settings.window);
        let (name, now_ms) = (self.name.clone(), self.now());
        self.asks(async move {
            let clamped = match clamps {
                Some((latest, thoroughly)) => ledger.clamp(latest, thoroughly).await.map(|_| true),
                None => Ok(false),
            };
            let look = look(&ledger, &*credentials, &name, now_ms).await;
            Event::Looked(clamped.and_then(|clamped| look.map(|look| (look, clamped))))
        });
    }

    pub(super) fn has_looked(&mut self, look: Result<(Look, bool), LedgerError>) {
        self.looking = false;
        let (Look { paused, parked, may_probe }, clamped) = match look {
            Ok(look) => look,
            Err(fault) => {
                tracing::warn!(
                    error = error_chain(&fault),
                    "cannot see what others do, tries again in {LOOK:?}"
                );
                return;
            }
        };
        if clamped {
            self.clamping.done(&*self.ports.time);
        }
        if paused && !self.paused {
            self.puts_back_all();
        }
        self.may_be_due |= self.paused && !paused;
        self.paused = paused;
        let (now_ms, steady_ms) = (self.now(), self.steady());
        self.parked.retain(|_, parked| (0..NEWS).contains(&(now_ms - parked.parked_at_ms)));
        let parked = parked.into_iter().filter(|parked| !self.freed.contains_key(&parked.topic));
        self.parked.extend(parked.map(|parked| (parked.topic.clone(), parked)));
        self.freed.retain(|_, is_known| !*is_known);
        let few = may_probe.iter().map(a_few);
        self.notes.free.extend(few);
        self.may_probe.retain(|topic| self.parked.contains_key(topic));
        self.may_probe.extend(may_probe);
        self.lines.retain(|_, line| !line.queue.is_empty() || !line.way.is_idle(steady_ms));
        self.tries_ways();
    }

    /// Makes a few phones due for every way whose rest is over. When those that were put back are due by themselves was a guess, or was noted
    /// before the clock was set.
    fn tries_ways(&mut self) {
        let (steady_ms, turn) = (self.steady(), any_turn());
        if self.paused {
            return;
        }
        let topics = self.lines.values().flat_map(|line| line.way.to_be_tried(steady_ms, turn));
        self.notes.free.extend(topics.map(|topic| a_few(&topic)));
    }
}

fn a_few(topic: &PassTypeIdentifier) -> Free {
    Free { topic: topic.clone(), credential: None, all: false }
}

/// Where to begin among many.
fn any_turn() -> usize {
    #[expect(clippy::disallowed_methods, reason = "decides nothing but which phone is tried first")]
    rand::random_range(0..10_000)
}

async fn look<C: Credentials>(
    ledger: &Ledger,
    credentials: &C,
    name: &str,
    now_ms: i64,
) -> Result<Look, LedgerError> {
    ledger.is_alive(name).await?;
    let paused = ledger.paused(Part::Pusher).await?.is_some();
    let mut look = Look { paused, parked: Vec::new(), may_probe: Vec::new() };
    for parked in ledger.parked_credentials().await? {
        let ParkedCredential { credential, topic, probe_at_ms, .. } = &parked;
        let is_same = match credentials.of(topic).await {
            Ok(now) => now.id() == *credential,
            Err(NoCredential::NotInstalled(_)) => credential == NONE,
            Err(NoCredential::NotSent(_)) => false,
            Err(NoCredential::Unavailable(_)) => true,
        };
        if !is_same {
            tracing::info!(pass.topic = %topic, "pushes of {topic} go on with another credential");
            free(ledger, Some(credential), topic, || now_ms).await?;
            continue;
        }
        let is_time = !paused && credential != NONE && *probe_at_ms <= now_ms;
        if is_time && ledger.may_probe(credential, topic, now_ms, now_ms + milliseconds(PROBE)).await? {
            look.may_probe.push(topic.clone());
        }
        look.parked.push(parked);
    }
    Ok(look)
}
