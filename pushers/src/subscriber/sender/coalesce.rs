//! Coalescing: which pushes stand for the deliveries that are pending for a phone.

use std::collections::{BTreeMap, HashMap};

use honoken_domain::ids::{PassId, PushToken};
use honoken_projections::pass_holders::Holder;
use uuid::Uuid;

use crate::ledger::DeliveryState;
use crate::ledger::claims::Claim;
use crate::ledger::deliveries::{DeliveryResult, PendingDelivery};
use crate::ledger::phone_topic::PhoneTopic;
use crate::ports::Push;

/// One push, with the deliveries that it stands for.
#[derive(Debug)]
pub(super) struct Job {
    /// The phone and the topic.
    pub(super) key: PhoneTopic,
    /// The push itself.
    pub(super) push: Push,
    /// Of every pass, the newest state.
    pub(super) deliveries: Vec<PendingDelivery>,
    /// Whether it probes a lane whose circuit breaker is open, or a credential that is parked.
    pub(super) is_probe: bool,
}

/// The pushes to a phone.
#[derive(Debug, Default)]
pub(super) struct Coalesced {
    /// None when the phone needs no push.
    pub(super) jobs: Vec<Job>,
    /// Deliveries that no push is for.
    pub(super) superseded: Vec<DeliveryResult>,
}

/// The holder that a delivery is for.
pub(super) fn holder(delivery: &PendingDelivery) -> Holder {
    let key = &delivery.phone_topic;
    let pass = PassId {
        pass_type_identifier: key.pass_type_identifier.clone(),
        serial_number: delivery.serial_number.clone(),
    };
    Holder { pass, device: key.device_library_identifier.clone() }
}

/// Of several states of a pass the newest is pushed. `together`: one push stands for all passes of the phone, which asks for all of them.
pub(super) fn coalesce(
    claimed: &Claim,
    tokens: &HashMap<Holder, PushToken>,
    together: bool,
    now_ms: i64,
) -> Coalesced {
    let mut coalesced = Coalesced::default();
    let mut newest: BTreeMap<_, (&PendingDelivery, &PushToken)> = BTreeMap::new();
    let superseded = |delivery: &PendingDelivery| DeliveryResult {
        id: delivery.id,
        state: DeliveryState::Superseded,
        attempts: 0,
        error: None,
        apns_id: None,
        at_ms: now_ms,
    };
    for delivery in &claimed.pending {
        // The phone no longer holds the pass.
        let Some(token) = tokens.get(&holder(delivery)) else {
            coalesced.superseded.push(superseded(delivery));
            continue;
        };
        let key = (&delivery.serial_number, &delivery.cause);
        let older = match newest.get(&key) {
            Some((known, _)) if known.position > delivery.position => Some(delivery),
            Some((older, _)) => Some(*older),
            None => None,
        };
        coalesced.superseded.extend(older.map(superseded));
        if older.is_none_or(|older| older.id != delivery.id) {
            newest.insert(key, (delivery, token));
        }
    }
    let pushes = newest.into_values().collect::<Vec<_>>();
    let stands_for = if together { pushes.len().max(1) } else { 1 };
    coalesced.jobs = pushes.chunks(stands_for).filter_map(|pushes| job(&claimed.key, pushes)).collect();
    coalesced
}

fn job(key: &PhoneTopic, pushes: &[(&PendingDelivery, &PushToken)]) -> Option<Job> {
    // The newest one names the push.
    let (newest, token) = pushes.iter().max_by_key(|(delivery, _)| (delivery.position, delivery.id))?;
    let push =
        Push { topic: key.pass_type_identifier.clone(), token: (*token).clone(), apns_id: apns_id(newest) };
    let deliveries = pushes.iter().map(|(delivery, _)| (*delivery).clone()).collect();
    Some(Job { key: key.clone(), push, deliveries, is_probe: false })
}

/// The same for every attempt, in whichever process.
fn apns_id(delivery: &PendingDelivery) -> String {
    let PendingDelivery { phone_topic, serial_number, cause, position, .. } = delivery;
    let (topic, device) = (&phone_topic.pass_type_identifier, phone_topic.device_library_identifier.as_str());
    let name = format!("wallet:{topic}:{serial_number}:{}:{cause}:{device}", position.0);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}
