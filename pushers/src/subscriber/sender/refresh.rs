//! Once a second: the changes of other processes and of an operator, and whether the clock was set.

use std::time::Duration;

use honoken_domain::ids::PassTypeIdentifier;

use super::make_due::make_all_due;
use super::parked_credentials::{NOT_INSTALLED, PROBE_EVERY};
use crate::clock_jumps::ClockJumps;
use crate::ledger::future_times::{Latest, Scope};
use crate::ledger::{Ledger, LedgerError, ParkedCredential, Part};
use crate::outcome::LONGEST_RETRY_AFTER;
use crate::ports::{Clock, Credentials, NoCredential};
use crate::subscriber::milliseconds;

/// How often it is done, which also keeps this sender alive.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// How often times in the future are corrected that another process may have stored, or an earlier one.
const CORRECT_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Refresh {
    correction: Correction,
    running: bool,
}

/// The answer of the ledger.
pub(super) struct Refreshed {
    pub(super) paused: bool,
    pub(super) parked: Vec<ParkedCredential>,
    /// Topics with a parked credential that this sender may probe.
    pub(super) may_probe: Vec<PassTypeIdentifier>,
    /// Whether times in the future were corrected.
    pub(super) corrected: bool,
}

/// Which stored times are too far in the future.
pub(super) struct FutureTimes {
    latest: Latest,
    scope: Scope,
}

/// When stored times are corrected: `docs/decisions/0045-a-clock-that-is-set.md`.
struct Correction {
    jumps: ClockJumps,
    /// By the steady clock.
    next_ms: i64,
    /// At the start, and after the clock was set.
    thoroughly: bool,
    set_back: bool,
}

impl Refresh {
    pub(super) fn new(time: &dyn Clock) -> Self {
        let correction = Correction {
            jumps: ClockJumps::since_now(time),
            next_ms: time.steady_ms(),
            thoroughly: true,
            set_back: false,
        };
        Self { correction, running: false }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Begins a refresh. Gives the stored times that are to be corrected this time, if any; [`ended`](Self::ended) follows.
    pub(super) fn begin(&mut self, time: &dyn Clock, window: Duration) -> Option<FutureTimes> {
        self.running = true;
        self.correction.begin(time, window)
    }

    pub(super) fn ended(&mut self, corrected: bool, time: &dyn Clock) {
        self.running = false;
        if corrected {
            self.correction.ended(time);
        }
    }
}

impl Correction {
    fn begin(&mut self, time: &dyn Clock, window: Duration) -> Option<FutureTimes> {
        if let Some(jump_ms) = self.jumps.take_jump(time) {
            let (seconds, direction) =
                ((jump_ms.abs() + 500) / 1000, if jump_ms < 0 { "back" } else { "forward" });
            tracing::warn!("the clock was set {direction} by {seconds} s: stored times are checked again");
            self.thoroughly = true;
            self.set_back |= jump_ms < 0;
        }
        if !self.thoroughly && time.steady_ms() < self.next_ms {
            return None;
        }
        let now_ms = time.unix_ms();
        let longest_ms = now_ms + milliseconds(LONGEST_RETRY_AFTER + EVERY);
        let latest = Latest {
            window_ends_ms: now_ms + milliseconds(window),
            // The circuit breakers that are open are known here, and put the phones back again.
            put_back_until_ms: if self.set_back { now_ms } else { longest_ms },
            back_off_ends_ms: longest_ms,
            probe_at_ms: now_ms + milliseconds(PROBE_EVERY),
        };
        let scope = if self.thoroughly { Scope::Everything } else { Scope::Pending };
        Some(FutureTimes { latest, scope })
    }

    fn ended(&mut self, time: &dyn Clock) {
        (self.thoroughly, self.set_back) = (false, false);
        self.next_ms = time.steady_ms() + milliseconds(CORRECT_EVERY);
    }
}

/// Corrects stored times, keeps this sender alive, and asks whether it is paused and which credentials are parked.
pub(super) async fn refresh(
    ledger: &Ledger,
    credentials: &impl Credentials,
    sender: &str,
    now_ms: i64,
    future_times: Option<FutureTimes>,
) -> Result<Refreshed, LedgerError> {
    let corrected = match future_times {
        Some(FutureTimes { latest, scope }) => ledger.correct_future_times(latest, scope).await.map(|_| true),
        None => Ok(false),
    };
    // Also when that has failed: a sender that is not kept alive loses its claims.
    let looked = look(ledger, credentials, sender, now_ms).await;
    Ok(Refreshed { corrected: corrected?, ..looked? })
}

async fn look(
    ledger: &Ledger,
    credentials: &impl Credentials,
    sender: &str,
    now_ms: i64,
) -> Result<Refreshed, LedgerError> {
    ledger.keep_alive(sender).await?;
    let paused = ledger.paused(Part::Pusher).await?.is_some();
    let mut found = Refreshed { paused, parked: Vec::new(), may_probe: Vec::new(), corrected: false };
    for parked in ledger.parked_credentials().await? {
        let ParkedCredential { credential, topic, probe_at_ms, .. } = &parked;
        let is_same = match credentials.of(topic).await {
            Ok(now) => now.id() == *credential,
            Err(NoCredential::NotInstalled(_)) => credential == NOT_INSTALLED,
            Err(NoCredential::NotSent(_)) => false,
            Err(NoCredential::Unavailable(_)) => true,
        };
        if !is_same {
            tracing::info!(pass.topic = %topic, "pushes of {topic} go on with another credential");
            make_all_due(ledger, Some(credential), topic, || now_ms).await?;
            continue;
        }
        let is_time = !paused && credential != NOT_INSTALLED && *probe_at_ms <= now_ms;
        let next_probe_ms = now_ms + milliseconds(PROBE_EVERY);
        if is_time && ledger.may_probe(credential, topic, now_ms, next_probe_ms).await? {
            found.may_probe.push(topic.clone());
        }
        found.parked.push(parked);
    }
    Ok(found)
}
