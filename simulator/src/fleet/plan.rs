//! The plan of a fleet: the passes, the phones, and their pace.

use std::fmt;
use std::time::Duration;

use ::http::HeaderValue;

use crate::http::Trust;
use crate::phone::{Package, WebService};

/// The plan of a fleet.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The passes, given out in turn: one for all phones, or some for each.
    pub passes: Vec<FleetPass>,
    /// How many phones.
    pub count: u64,
    /// How many of them ask at the same time, over a connection each.
    pub concurrency: usize,
    /// How often each asks for its list after it has arrived, as phones do that are woken.
    pub rounds: u64,
    /// Whether they stay registered.
    pub keep: bool,
    /// How long each request may take.
    pub timeout: Duration,
    /// The root certificates that are trusted for `https`.
    pub trust: Option<Trust>,
}

/// A pass as far as asking for it goes.
#[derive(Clone)]
pub struct FleetPass {
    pub(super) web_service: WebService,
    pub(super) serial_number: String,
    pub(super) authorization: HeaderValue,
}

/// How far a fleet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Steps of single phones that are done: arriving, each round, leaving.
    pub done: u64,
    /// All steps.
    pub of: u64,
}

impl FleetPass {
    /// A pass, at its own web service or at another one. `None` for a pass without one.
    pub fn new(package: &Package, web_service_url: Option<&str>) -> Option<Self> {
        let updates = package.updates.as_ref()?;
        let url = web_service_url.unwrap_or(&updates.web_service.url);
        Some(Self {
            web_service: WebService::new(url, package.pass_type_identifier()),
            serial_number: package.serial_number().to_owned(),
            authorization: updates.authorization.clone(),
        })
    }
}

// The token is inside, so the pass is named and the token not shown.
impl fmt::Debug for FleetPass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FleetPass")
            .field("web_service", &self.web_service)
            .field("serial_number", &self.serial_number)
            .finish_non_exhaustive()
    }
}
