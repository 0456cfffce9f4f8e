//! What a phone asks of its registration, and what APNs says about it.

use strum::IntoStaticStr;

use crate::ids::{PushToken, SerialNumber, UnixSeconds};

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RegistrationCommand {
    /// Tell this device when that pass changes.
    Register {
        /// The pass.
        serial_number: SerialNumber,
        /// Where to reach the device, for all its passes of this type.
        push_token: PushToken,
        /// The time of the request.
        at: UnixSeconds,
    },
    /// Tell this device when that pass changes, since another service did so before. Nothing happens when the phone has said otherwise by
    /// itself: a phone's own word is newer than what another service knows of it.
    Import {
        /// The pass.
        serial_number: SerialNumber,
        /// Where the other service reached the device.
        push_token: PushToken,
        /// The time of the import.
        at: UnixSeconds,
    },
    /// Stop telling it.
    Unregister {
        /// The pass.
        serial_number: SerialNumber,
    },
    /// Stop telling the device about any pass of this type, for APNs says that its push token is dead. Nothing happens when it has told us of
    /// another token, or has spoken since.
    ForgetToken {
        /// The token that is dead.
        push_token: PushToken,
        /// Since when, Unix milliseconds, where APNs says so (410). What the device said in the same second counts as later.
        since_ms: Option<i64>,
        /// The time at which that was heard.
        at: UnixSeconds,
    },
    /// State everything that is known in one event, since an earlier one cannot be read.
    Repair,
}
