//! What a phone asks of its registration.

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
    /// Stop telling it.
    Unregister {
        /// The pass.
        serial_number: SerialNumber,
    },
}
