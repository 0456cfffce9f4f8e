//! The device: the passes that it holds, its requests, and its judgement of the answers.
//!
//! Every task of Wallet has a file: register (and unregister), list, get, log. A task file builds the request, reads
//! the answer with a pure function, and only then lets the phone act on it. The words of the complaints follow what
//! real devices have been seen to send.

mod archive;
mod complaint;
mod error;
mod get;
mod held;
mod install;
mod invalid;
pub(crate) mod list;
mod log;
mod log_time;
mod manifest;
mod package;
mod push_rate;
mod register;
pub(crate) mod task;
pub(crate) mod web_service;

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use self::complaint::{Complaint, Rule};
pub use self::error::PhoneError;
pub use self::get::Update;
pub use self::held::HeldPass;
pub use self::install::Installation;
pub use self::invalid::InvalidPass;
pub use self::package::Package;
pub use self::register::{Registration, TokenChange};
pub use self::web_service::{Joining, WebService};

use self::package::UpdateSource;
use self::push_rate::PushRate;
use crate::http::{Answer, HttpClient};

/// How old something must be before Wallet minds that it was asked about in vain.
const PATIENCE: Duration = Duration::from_mins(5);

/// When the phone minds being woken for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Always, so that a test need not wait for a mistake to show.
    #[default]
    Strict,
    /// As observed on devices: an unchanged pass and a spurious push only count when the local copy, or the stored
    /// tag, is at least 300 seconds old.
    AsObserved,
}

/// One iPhone.
///
/// It reads no clock: it lives at the beginning of 1970 until [`it_is`](Self::it_is) or
/// [`time_passes`](Self::time_passes) says otherwise.
pub struct Phone {
    device_library_identifier: String,
    push_token: String,
    client: HttpClient,
    joining: Joining,
    strictness: Strictness,
    now: SystemTime,
    passes: Vec<HeldPass>,
    tags: HashMap<WebService, Tag>,
    push_rates: HashMap<String, PushRate>,
    unregistered: HashMap<(WebService, String), SystemTime>,
    complaints: Vec<Complaint>,
    complaints_sent: usize,
}

/// The last `lastUpdated` of a web service.
struct Tag {
    text: String,
    stored_at: SystemTime,
}

impl Phone {
    /// A phone without passes. Real identifiers are 32 and real push tokens 64 lowercase hex digits, but the phone sends any text that it is
    /// given.
    pub fn new(device_library_identifier: impl Into<String>, push_token: impl Into<String>) -> Self {
        Self {
            device_library_identifier: device_library_identifier.into(),
            push_token: push_token.into(),
            client: HttpClient::new(),
            joining: Joining::default(),
            strictness: Strictness::default(),
            now: UNIX_EPOCH,
            passes: Vec::new(),
            tags: HashMap::new(),
            push_rates: HashMap::new(),
            unregistered: HashMap::new(),
            complaints: Vec::new(),
            complaints_sent: 0,
        }
    }

    /// Uses a client with other limits, or shares the connections of one.
    #[must_use]
    pub fn with_client(self, client: HttpClient) -> Self {
        Self { client, ..self }
    }

    /// Chooses how addresses are put together.
    #[must_use]
    pub fn with_joining(self, joining: Joining) -> Self {
        Self { joining, ..self }
    }

    /// Chooses how soon the phone complains.
    #[must_use]
    pub fn with_strictness(self, strictness: Strictness) -> Self {
        Self { strictness, ..self }
    }

    /// Sets the phone's clock.
    pub fn it_is(&mut self, now: SystemTime) {
        self.now = now;
    }

    /// Moves the phone's clock.
    ///
    /// # Panics
    ///
    /// When the time cannot be represented.
    pub fn time_passes(&mut self, time: Duration) {
        self.now += time;
    }

    /// The identifier the phone shows to servers, which is also its secret for the list.
    pub fn device_library_identifier(&self) -> &str {
        &self.device_library_identifier
    }

    /// The current push token.
    pub fn push_token(&self) -> &str {
        &self.push_token
    }

    /// Every pass on the phone, oldest first.
    pub fn passes(&self) -> &[HeldPass] {
        &self.passes
    }

    /// The pass with this serial number, when there is exactly one.
    pub fn pass(&self, serial_number: &str) -> Result<&HeldPass, PhoneError> {
        Ok(&self.passes[self.position(serial_number)?])
    }

    /// The update tag stored for a web service.
    pub fn tag(&self, web_service: &WebService) -> Option<&str> {
        self.tags.get(web_service).map(|tag| tag.text.as_str())
    }

    /// Replaces the stored update tag, or forgets it: a phone restored from a backup, or one that comes from an older
    /// service with tags of another kind.
    pub fn remembers_tag(&mut self, web_service: &WebService, tag: Option<&str>) {
        match tag {
            Some(tag) => self.stores_tag(web_service, tag.to_owned()),
            None => drop(self.tags.remove(web_service)),
        }
    }

    /// The cost of the pushes for a pass type so far: 0 when they were rare enough. With a high score a phone asks later, and in the end turns
    /// updates off.
    pub fn push_score(&self, pass_type_identifier: &str) -> f64 {
        self.push_rates.get(pass_type_identifier).map_or(0.0, |rate| rate.score())
    }

    /// Everything the phone found wrong so far.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }

    /// Passes on when the phone has nothing to complain about.
    ///
    /// # Panics
    ///
    /// With all complaints, if there is any.
    #[track_caller]
    pub fn assert_content(&self) {
        let told: Vec<String> = self.complaints.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "the phone complains {} time(s):\n{}", told.len(), told.join("\n"));
    }

    fn complains(&mut self, web_service: &WebService, rule: Rule, message: String, answer: Option<&Answer>) {
        let (web_service, evidence) = (web_service.clone(), answer.map(complaint::evidence));
        self.complaints.push(Complaint { rule, message, web_service, at: self.now, evidence });
    }

    fn stores_tag(&mut self, web_service: &WebService, text: String) {
        self.tags.insert(web_service.clone(), Tag { text, stored_at: self.now });
    }

    /// Whether something from `since` is old enough to complain that it was not renewed.
    fn is_impatient(&self, since: SystemTime) -> bool {
        self.strictness == Strictness::Strict || self.elapsed(since) >= PATIENCE
    }

    /// A clock that was set back counts as one that stood still.
    fn elapsed(&self, since: SystemTime) -> Duration {
        self.now.duration_since(since).unwrap_or_default()
    }

    fn position(&self, serial_number: &str) -> Result<usize, PhoneError> {
        let mut matching =
            self.passes.iter().enumerate().filter(|(_, pass)| pass.serial_number() == serial_number);
        match (matching.next(), matching.next()) {
            (Some((at, _)), None) => Ok(at),
            (None, _) => Err(PhoneError::NotHeld(serial_number.to_owned())),
            (Some(_), Some(_)) => Err(PhoneError::Ambiguous(serial_number.to_owned())),
        }
    }

    fn updates_of(&self, at: usize) -> Result<UpdateSource, PhoneError> {
        let pass = &self.passes[at];
        pass.updates.clone().ok_or_else(|| PhoneError::NoWebService(pass.serial_number().to_owned()))
    }

    /// The registered pass of a web service with this serial number.
    fn registered(&self, web_service: &WebService, serial_number: &str) -> Option<usize> {
        let held = |pass: &HeldPass| pass.serial_number() == serial_number && pass.is_of(web_service);
        self.passes.iter().position(|pass| pass.is_registered && held(pass))
    }

    /// The web services with registered passes, in the order in which the phone met them.
    fn web_services(&self) -> Vec<WebService> {
        let mut met: Vec<WebService> = Vec::new();
        for web_service in
            self.passes.iter().filter(|pass| pass.is_registered).filter_map(HeldPass::web_service)
        {
            if !met.contains(web_service) {
                met.push(web_service.clone());
            }
        }
        met
    }
}

// Identifier and push token are credentials, so they are not shown.
impl fmt::Debug for Phone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Phone")
            .field("passes", &self.passes)
            .field("complaints", &self.complaints)
            .finish_non_exhaustive()
    }
}
