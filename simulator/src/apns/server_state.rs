//! The state of a server, which the test and all connections share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::answer::{Answer, Script};
use super::control::Control;
use super::options::Options;
use super::provider_token::Verified;
use super::record::{Received, Seen};

/// The options of a server, the wishes of its test, and everything that its connections have seen.
pub(super) struct ServerState {
    pub(super) options: Options,
    pub(super) started: tokio::time::Instant,
    pub(super) script: Mutex<Script>,
    /// Whether the script has rules; read for every push, so that the lock is taken only when it has.
    pub(super) scripted: AtomicBool,
    pub(super) received: Mutex<Vec<Received>>,
    pub(super) count: watch::Sender<u64>,
    /// Counts everything that happens.
    pub(super) changes: watch::Sender<u64>,
    pub(super) connections: Mutex<Connections>,
    pub(super) begun: AtomicU64,
    pub(super) violations: Mutex<Vec<String>>,
    /// The newest moment that tokens of each key were made at.
    moments: Mutex<HashMap<usize, i64>>,
    pub(super) latency_us: AtomicU64,
    pub(super) holds: AtomicBool,
    pub(super) max_streams: AtomicU32,
    pub(super) answers_pings: AtomicBool,
    pub(super) refuses: AtomicBool,
    made_ids: AtomicU64,
}

/// All connections so far, and the way to reach those that are open.
#[derive(Default)]
pub(super) struct Connections {
    pub(super) seen: Vec<Seen>,
    open: HashMap<u64, UnboundedSender<Control>>,
}

impl ServerState {
    pub(super) fn new(options: Options) -> Self {
        Self {
            started: tokio::time::Instant::now(),
            script: Mutex::default(),
            scripted: AtomicBool::new(false),
            received: Mutex::default(),
            count: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            connections: Mutex::default(),
            begun: AtomicU64::new(0),
            violations: Mutex::default(),
            moments: Mutex::default(),
            latency_us: AtomicU64::new(0),
            holds: AtomicBool::new(false),
            max_streams: AtomicU32::new(options.max_streams),
            answers_pings: AtomicBool::new(true),
            refuses: AtomicBool::new(false),
            made_ids: AtomicU64::new(0),
            options,
        }
    }

    /// Whether every client may push anything.
    pub(super) fn is_open(&self) -> bool {
        self.options.keys.is_empty() && self.options.client_authorities.is_none()
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_micros(self.latency_us.load(Ordering::Relaxed))
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Gives an instruction to every open connection.
    pub(super) fn tell(&self, control: &Control) {
        for connection in lock(&self.connections).open.values() {
            // One that has just ended needs to know nothing.
            let _ = connection.send(control.clone());
        }
    }

    /// A handshake is complete. Returns the number of the connection.
    pub(super) fn connected(
        &self,
        control: UnboundedSender<Control>,
        certificate: Option<String>,
        certificate_topic: Option<String>,
    ) -> u64 {
        let mut connections = lock(&self.connections);
        let number = connections.seen.len() as u64 + 1;
        connections.open.insert(number, control);
        connections.seen.push(Seen { number, certificate, certificate_topic, ..Seen::default() });
        drop(connections);
        self.changed();
        number
    }

    pub(super) fn disconnected(&self, number: u64) {
        lock(&self.connections).open.remove(&number);
        self.connection(number, |seen| seen.over = true);
    }

    /// Changes the record of one connection.
    pub(super) fn connection(&self, number: u64, change: impl FnOnce(&mut Seen)) {
        let mut connections = lock(&self.connections);
        if let Some(seen) = connections.seen.iter_mut().find(|seen| seen.number == number) {
            change(seen);
        }
        drop(connections);
        self.changed();
    }

    pub(super) fn violation(&self, text: &str) {
        lock(&self.violations).push(text.to_owned());
        self.changed();
    }

    pub(super) fn verify(&self, bearer: &[u8]) -> Result<Verified, &'static str> {
        let token = std::str::from_utf8(bearer).map_err(|_| "InvalidProviderToken")?;
        Verified::read(token, &self.options.keys)
    }

    /// Several servers may share a key, but they must not make tokens all the time.
    pub(super) fn note_moment(&self, verified: &Verified) -> Result<(), &'static str> {
        let mut moments = lock(&self.moments);
        let newest = moments.entry(verified.key).or_insert(verified.iat);
        if verified.too_soon_after(*newest) {
            return Err("TooManyProviderTokenUpdates");
        }
        *newest = verified.iat.max(*newest);
        Ok(())
    }

    pub(super) fn scripted_answer(&self, token: &str, topic: &str) -> Option<Answer> {
        let mut script = lock(&self.script);
        let answer = script.answer(token, topic);
        if script.is_empty() {
            self.scripted.store(false, Ordering::Relaxed);
        }
        if answer.as_ref().is_some_and(Answer::asks_for_a_token) {
            lock(&self.moments).clear();
        }
        answer
    }

    /// Counts pushes, and numbers and keeps those that are recorded.
    pub(super) fn arrived(&self, count: u64, recorded: &mut Vec<Received>) {
        let mut received = lock(&self.received);
        self.count.send_modify(|counted| {
            for (number, one) in (*counted + 1..).zip(recorded.iter_mut()) {
                one.number = number;
            }
            *counted += count;
        });
        received.append(recorded);
        drop(received);
        self.changed();
    }

    /// Pushes that were not worked on after all woke no phone.
    pub(super) fn forget_wakes(&self, connection: u64, streams: &[u32]) {
        let mut received = lock(&self.received);
        for one in received.iter_mut().rev().filter(|one| one.connection == connection) {
            if streams.contains(&one.stream) {
                one.woke = false;
                one.status = None;
            }
        }
    }

    pub(super) fn new_apns_id(&self) -> String {
        let number = self.made_ids.fetch_add(1, Ordering::Relaxed);
        format!("00000000-0000-4000-8000-{number:012x}")
    }
}

/// A test that has panicked elsewhere still wants the record of this server.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
