//! What can have happened between a device and a pass type. The JSON of these types is a promise: `fixtures/events/`.

use std::collections::BTreeSet;

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::ids::{PushToken, SerialNumber, UnixSeconds};

/// The stored name of [`RegistrationEvent::Repaired`].
pub const REPAIRED: &str = "RegistrationRepaired";

/// A fact about a registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RegistrationEvent {
    /// The device holds this pass from here on.
    #[serde(rename = "DeviceRegistered", rename_all = "camelCase")]
    DeviceRegistered {
        /// The pass.
        serial_number: SerialNumber,
        /// Where the device is reached, for all its passes of this type.
        push_token: PushToken,
        /// When it asked.
        registered_at: UnixSeconds,
        /// Whether another service said so in its place: then it has said nothing itself.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        imported: bool,
    },
    /// The device is reached elsewhere from here on, for all its passes of this type.
    #[serde(rename = "PushTokenChanged", rename_all = "camelCase")]
    PushTokenChanged {
        /// The new token.
        push_token: PushToken,
        /// When it told us.
        changed_at: UnixSeconds,
        /// Whether another service said so in its place.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        imported: bool,
    },
    /// The device told us again that it is reached where we know it to be.
    #[serde(rename = "PushTokenConfirmed", rename_all = "camelCase")]
    PushTokenConfirmed {
        /// When it told us.
        confirmed_at: UnixSeconds,
    },
    /// The device is told about this pass no longer.
    #[serde(rename = "DeviceUnregistered", rename_all = "camelCase")]
    DeviceUnregistered {
        /// The pass.
        serial_number: SerialNumber,
        /// Why, where the device did not ask for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<UnregistrationCause>,
    },
    /// Everything that is known of the registration, so that no earlier event is needed: one of them cannot be read.
    #[serde(rename = "RegistrationRepaired", rename_all = "camelCase")]
    Repaired {
        /// Where the device is reached; `None` when that is not known.
        push_token: Option<PushToken>,
        /// Whether the device itself said so.
        token_is_its_own: bool,
        /// The passes that it holds.
        serial_numbers: BTreeSet<SerialNumber>,
        /// The passes that were imported for it, held or not.
        imported: BTreeSet<SerialNumber>,
        /// When the device last said where it is reached.
        last_word: UnixSeconds,
    },
}

/// Why a device was unregistered that did not ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnregistrationCause {
    /// APNs says that its push token is dead.
    PushTokenDead,
}

impl DomainEvent for RegistrationEvent {
    fn event_type(&self) -> String {
        match self {
            Self::DeviceRegistered { .. } => "DeviceRegistered",
            Self::PushTokenChanged { .. } => "PushTokenChanged",
            Self::PushTokenConfirmed { .. } => "PushTokenConfirmed",
            Self::DeviceUnregistered { .. } => "DeviceUnregistered",
            Self::Repaired { .. } => REPAIRED,
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
