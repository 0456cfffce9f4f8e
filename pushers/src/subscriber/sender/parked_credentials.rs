//! Credentials that APNs refuses for a topic, and topics without a credential: nothing is sent to these topics, but a probe now and then.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use honoken_domain::ids::PassTypeIdentifier;

use super::back_off;
use crate::ledger::ParkedCredential;
use crate::subscriber::milliseconds;

/// A credential that APNs refuses is probed so often.
pub(super) const PROBE_EVERY: Duration = Duration::from_mins(15);

/// The name that stands for a credential where none is installed.
pub(super) const NOT_INSTALLED: &str = "none";

/// A credential that was parked here less long ago may be missing still from the answer of the ledger.
const NEWS_MS: i64 = 5000;

#[derive(Default)]
pub(super) struct ParkedCredentials {
    by_topic: HashMap<PassTypeIdentifier, ParkedCredential>,
    /// Topics whose next push may be the probe.
    may_probe: HashSet<PassTypeIdentifier>,
    /// Topics whose credential works again. The answer of the ledger may be older, until it has been told and asked again.
    released: HashMap<PassTypeIdentifier, Release>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    Begun,
    /// The ledger knows.
    Written,
}

/// The result of parking a credential.
pub(super) struct Parking {
    /// When the credential is probed, Unix milliseconds.
    pub(super) probe_at_ms: i64,
    /// For the ledger, if it is news.
    pub(super) news: Option<ParkedCredential>,
}

impl ParkedCredentials {
    /// When a credential is probed, Unix milliseconds, if it is parked for the topic.
    pub(super) fn probe_at(&self, topic: &PassTypeIdentifier, credential: &str) -> Option<i64> {
        let parked = self.by_topic.get(topic).filter(|parked| parked.credential == credential)?;
        Some(parked.probe_at_ms)
    }

    /// Takes the right to probe, if there is one.
    pub(super) fn take_probe(&mut self, topic: &PassTypeIdentifier) -> bool {
        self.may_probe.remove(topic)
    }

    /// Keeps a credential from being used for a topic.
    pub(super) fn park(
        &mut self,
        topic: &PassTypeIdentifier,
        credential: &str,
        reason: &str,
        now_ms: i64,
    ) -> Parking {
        if let Some(probe_at_ms) = self.probe_at(topic, credential).filter(|at| *at > now_ms) {
            return Parking { probe_at_ms, news: None };
        }
        let parked = ParkedCredential {
            credential: credential.to_owned(),
            topic: topic.clone(),
            reason: reason.to_owned(),
            parked_at_ms: now_ms,
            probe_at_ms: now_ms + milliseconds(PROBE_EVERY),
        };
        self.by_topic.insert(topic.clone(), parked.clone());
        Parking { probe_at_ms: parked.probe_at_ms, news: Some(parked) }
    }

    /// APNs takes a credential for a topic. Gives whether it was parked.
    pub(super) fn release(&mut self, topic: &PassTypeIdentifier, credential: &str) -> bool {
        if self.probe_at(topic, credential).is_none() {
            return false;
        }
        self.by_topic.remove(topic);
        self.released.insert(topic.clone(), Release::Begun);
        true
    }

    /// The ledger knows that the credential of a topic is released.
    pub(super) fn release_written(&mut self, topic: PassTypeIdentifier) {
        self.released.insert(topic, Release::Written);
    }

    /// The ledger has answered: the credentials that are parked, and the topics that this sender may probe.
    pub(super) fn refresh(
        &mut self,
        parked: Vec<ParkedCredential>,
        may_probe: Vec<PassTypeIdentifier>,
        now_ms: i64,
    ) {
        self.by_topic.retain(|_, parked| (0..NEWS_MS).contains(&(now_ms - parked.parked_at_ms)));
        let parked = parked.into_iter().filter(|parked| !self.released.contains_key(&parked.topic));
        self.by_topic.extend(parked.map(|parked| (parked.topic.clone(), parked)));
        self.released.retain(|_, release| *release == Release::Begun);
        self.may_probe.retain(|topic| self.by_topic.contains_key(topic));
        self.may_probe.extend(may_probe);
    }
}

/// When a phone is looked at again whose credential is parked. Such phones are made due when the credential is released; phones that are missed
/// there are found soon.
pub(super) fn put_back_until(probe_at_ms: i64, now_ms: i64) -> i64 {
    let until_ms = probe_at_ms.clamp(now_ms + 1000, now_ms + milliseconds(PROBE_EVERY / 5));
    until_ms + back_off::spread(PROBE_EVERY / 30)
}
