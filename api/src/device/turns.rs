//! The requests of one device take turns, and its push token is written once a second at most.
//!
//! A request with another token than the one that was written within the last second waits until that second is over. Then the newest token
//! of the device is written, and all waiting requests are answered, since an older token is out of date. So a device that sends a new token
//! a thousand times a second causes one event a second, with its last token. No request holds the turn while it waits, so a registration
//! with the known token is never delayed.
//!
//! Each process counts for itself. Memory is bounded: it holds the devices that have written within the last second, and the waiting
//! requests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use honoken_domain::ids::{PushToken, RegistrationId, SerialNumber};
use honoken_domain::registration::{Registration, RegistrationEvent};
use honoken_event_store::Committed;
use honoken_telemetry::metrics::Queue;
use honoken_telemetry::request::{Spent, timed};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::layers::at_hand;

/// The least time between two writes of a device's push token.
const PACE: Duration = Duration::from_secs(1);

/// The most requests of one device at a time.
const MOST_OF_A_DEVICE: usize = 1024;

/// The most requests that wait, of all devices together.
const MOST_WAITING: usize = 4096;

/// The most devices that are remembered: more than can write within a second.
const MOST: usize = 65_536;

/// Below this number of devices, none is removed.
const FEW: usize = 1024;

/// The turns of all devices.
#[derive(Debug)]
pub struct Turns {
    devices: Mutex<HashMap<RegistrationId, Arc<Device>>>,
    /// The number of devices at which those without a recent write are removed.
    tidy_at: AtomicUsize,
    waiting: Semaphore,
}

/// The newest token of a device, and what was written of it.
#[derive(Debug, Default)]
pub struct Device {
    newest: Mutex<Option<SentToken>>,
    written: tokio::sync::Mutex<Written>,
}

/// A push token that a device has sent.
#[derive(Debug, Clone)]
pub struct SentToken {
    /// Its number, in the order of arrival.
    number: u64,
    /// The token.
    pub push_token: PushToken,
}

/// What this process has written for a device. The request that holds its lock has the turn.
#[derive(Debug, Default)]
pub struct Written {
    /// The last command that registered, and its result.
    last: Option<(SentToken, Arc<Committed<Registration>>)>,
    /// The last token that was written to the event log, and when.
    token: Option<(PushToken, Instant)>,
}

/// The next step of a request that has the turn.
#[derive(Debug)]
pub enum Next {
    /// Register with this token.
    Register(SentToken),
    /// Nothing: its token, or a newer one, is on disk.
    Done(Arc<Committed<Registration>>),
    /// Release the turn until then.
    Wait(Instant),
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            devices: Mutex::default(),
            tidy_at: AtomicUsize::new(FEW),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }
}

impl Turns {
    /// The shared state of a device's requests; `None` when there are too many of them.
    ///
    /// # Errors
    /// 503 when there are too many devices.
    pub fn of(&self, id: &RegistrationId) -> Result<Option<Arc<Device>>, ApiError> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = devices.get(id) {
            // The map itself holds one reference.
            return Ok((Arc::strong_count(device) <= MOST_OF_A_DEVICE).then(|| device.clone()));
        }
        if devices.len() >= self.tidy_at.load(Ordering::Relaxed) {
            devices.retain(|_, device| Arc::strong_count(device) > 1 || device.has_just_written());
            let left = devices.len();
            devices.shrink_to(2 * left);
            self.tidy_at.store((2 * left).clamp(FEW, MOST), Ordering::Relaxed);
            if left >= MOST {
                return Err(ApiError::Overloaded);
            }
        }
        Ok(Some(devices.entry(id.clone()).or_default().clone()))
    }

    /// How many requests wait until a push token may be written again.
    pub fn waiting(&self) -> (Queue, usize) {
        (Queue::PushToken, MOST_WAITING - self.waiting.available_permits())
    }

    /// Waits until a moment, without holding a permit.
    ///
    /// # Errors
    /// 503 when too many wait already, or no permit is free afterwards.
    pub async fn wait_until(&self, then: Instant) -> Result<(), ApiError> {
        let permit = self.waiting.try_acquire().map_err(|_| ApiError::Overloaded)?;
        let admission = at_hand::admission();
        admission.release();
        timed(Spent::Waiting, tokio::time::sleep_until(then)).await;
        drop(permit);
        Ok(admission.acquire().await?)
    }
}

impl Device {
    /// Records a token that the device sends, as the newest one.
    pub fn record_token(&self, push_token: PushToken) -> SentToken {
        let mut newest = self.newest();
        let number = newest.as_ref().map_or(1, |newest| newest.number + 1);
        let sent = SentToken { number, push_token };
        *newest = Some(sent.clone());
        sent
    }

    /// Waits for the turn, which a request holds no longer than a command takes.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, Written> {
        self.written.lock().await
    }

    /// The next step of the request that has the turn, for its token and the pass that it sent it for.
    pub fn next(&self, written: &Written, sent: &SentToken, serial_number: &SerialNumber) -> Next {
        if let Some((last, committed)) = &written.last
            && sent.number <= last.number
        {
            return if committed.aggregate.holds(serial_number) {
                Next::Done(committed.clone())
            } else {
                Next::Register(last.clone())
            };
        }
        let newest = self.newest().clone().unwrap_or_else(|| sent.clone());
        match written.recent_token() {
            Some((token, _)) if sent.push_token == *token => Next::Register(sent.clone()),
            Some((token, at)) if newest.push_token != *token => Next::Wait(*at + PACE),
            _ => Next::Register(newest),
        }
    }

    fn newest(&self) -> MutexGuard<'_, Option<SentToken>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another token has to wait. Called only for a device without a request, whose turn is free.
    fn has_just_written(&self) -> bool {
        self.written.try_lock().is_ok_and(|written| written.recent_token().is_some())
    }
}

impl Written {
    /// Records what is about to be written: when the caller disconnects in the middle of it, it is written all the same.
    pub fn expect(&mut self, push_token: &PushToken, events: &[RegistrationEvent]) {
        if events.iter().any(holds_a_token) {
            self.token = Some((push_token.clone(), Instant::now()));
        }
    }

    /// Records what a command has written.
    pub fn note(&mut self, sent: SentToken, committed: Arc<Committed<Registration>>) {
        self.expect(&sent.push_token, &committed.events);
        self.last = Some((sent, committed));
    }

    /// Until when another token than the one that was written last has to wait; `None` when it need not.
    pub fn pause_before(&self, push_token: &PushToken) -> Option<Instant> {
        self.recent_token().filter(|(token, _)| token != push_token).map(|(_, at)| *at + PACE)
    }

    /// The token that was written last, while another one still has to wait.
    fn recent_token(&self) -> Option<&(PushToken, Instant)> {
        self.token.as_ref().filter(|(_, at)| *at + PACE > Instant::now())
    }
}

fn holds_a_token(event: &RegistrationEvent) -> bool {
    match event {
        RegistrationEvent::DeviceRegistered { .. } | RegistrationEvent::PushTokenChanged { .. } => true,
        RegistrationEvent::PushTokenConfirmed { .. }
        | RegistrationEvent::DeviceUnregistered { .. }
        | RegistrationEvent::Repaired { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use honoken_domain::ids::UnixSeconds;
    use honoken_domain::registration::RegistrationCommand;
    use honoken_domain::snapshot::Snapshot;
    use honoken_event_store::Position;

    use super::*;

    fn id(number: usize) -> RegistrationId {
        RegistrationId::parse(&format!("pass.com.example/phone-{number}")).unwrap()
    }

    fn serial(text: &str) -> SerialNumber {
        SerialNumber::parse(text).unwrap()
    }

    fn token(text: &str) -> PushToken {
        PushToken::parse(text).unwrap()
    }

    fn apply<A: Snapshot>(aggregate: &mut A, event: &A::Event) {
        aggregate.apply(event.clone());
    }

    /// Takes the turn and the next step, and returns the written token.
    async fn goes_on(device: &Device, sent: &SentToken, pass: &str) -> Result<String, Instant> {
        let mut written = device.turn().await;
        match device.next(&written, sent, &serial(pass)) {
            Next::Wait(then) => Err(then),
            Next::Done(_) => Ok("done".to_owned()),
            Next::Register(newest) => {
                let mut aggregate =
                    written.last.as_ref().map(|(_, last)| (*last.aggregate).clone()).unwrap_or_default();
                let command = RegistrationCommand::Register {
                    serial_number: serial(pass),
                    push_token: newest.push_token.clone(),
                    at: UnixSeconds(1),
                };
                let events = aggregate.decide(command);
                for event in &events {
                    apply(&mut aggregate, event);
                }
                let committed = Committed {
                    aggregate_id: id(1).aggregate_id(),
                    aggregate: Arc::new(aggregate),
                    events,
                    position: Position(1),
                };
                let text = newest.push_token.as_str().to_owned();
                written.note(newest, Arc::new(committed));
                Ok(text)
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_token_waits_for_the_end_of_the_second_and_the_newest_is_written() {
        let device = Device::default();
        let started = Instant::now();
        assert_eq!(goes_on(&device, &device.record_token(token("a")), "A").await, Ok("a".to_owned()));
        let (b, c) = (device.record_token(token("b")), device.record_token(token("c")));
        for sent in [&b, &c] {
            assert_eq!(goes_on(&device, sent, "A").await, Err(started + PACE));
        }
        tokio::time::advance(PACE).await;
        assert_eq!(goes_on(&device, &b, "A").await, Ok("c".to_owned()), "b is out of date");
        assert_eq!(goes_on(&device, &c, "A").await, Ok("done".to_owned()));
        assert_eq!(goes_on(&device, &device.record_token(token("d")), "A").await, Err(started + 2 * PACE));
    }

    #[tokio::test(start_paused = true)]
    async fn the_known_token_waits_for_nobody_and_takes_the_place_of_those_that_wait() {
        let device = Device::default();
        goes_on(&device, &device.record_token(token("a")), "A").await.unwrap();
        let b = device.record_token(token("b"));
        assert!(goes_on(&device, &b, "A").await.is_err());
        assert_eq!(goes_on(&device, &device.record_token(token("a")), "B").await, Ok("a".to_owned()));
        assert_eq!(goes_on(&device, &b, "A").await, Ok("done".to_owned()), "a was sent later");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waited_registers_its_own_pass_with_the_token_that_was_written() {
        let device = Device::default();
        goes_on(&device, &device.record_token(token("a")), "A").await.unwrap();
        let (b, c) = (device.record_token(token("b")), device.record_token(token("c")));
        tokio::time::advance(PACE).await;
        assert_eq!(goes_on(&device, &c, "A").await, Ok("c".to_owned()));
        device.record_token(token("d"));
        assert_eq!(goes_on(&device, &b, "B").await, Ok("c".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_in_the_middle_of_its_command_has_written() {
        let device = Device::default();
        let sent = device.record_token(token("a"));
        let event = RegistrationEvent::PushTokenChanged {
            push_token: token("a"),
            changed_at: UnixSeconds(1),
            imported: false,
        };
        device.turn().await.expect(&sent.push_token, &[event]);
        assert!(goes_on(&device, &device.record_token(token("b")), "A").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn only_devices_that_have_just_written_are_remembered() {
        let turns = Turns::default();
        for number in 0..4 * FEW {
            let device = turns.of(&id(number)).unwrap().unwrap();
            goes_on(&device, &device.record_token(token("a")), "A").await.unwrap();
        }
        assert_eq!(turns.devices.lock().unwrap().len(), 4 * FEW);
        tokio::time::advance(PACE).await;
        for number in 0..4 * FEW {
            turns.of(&id(4 * FEW + number)).unwrap().unwrap();
        }
        let devices = turns.devices.lock().unwrap();
        assert!(devices.len() <= FEW && !devices.contains_key(&id(0)), "{} are left", devices.len());
    }

    #[tokio::test(start_paused = true)]
    async fn the_requests_of_a_device_are_bounded() {
        let turns = Turns::default();
        let held: Vec<_> = (0..MOST_OF_A_DEVICE).map(|_| turns.of(&id(1)).unwrap().unwrap()).collect();
        assert!(turns.of(&id(1)).unwrap().is_none());
        assert!(turns.of(&id(2)).unwrap().is_some());
        drop(held);
        assert!(turns.of(&id(1)).unwrap().is_some());
    }
}
