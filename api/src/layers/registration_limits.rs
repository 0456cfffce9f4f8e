//! Limits on how much the holder of one pass's token can make the event log grow. Each limit here bounds events; a request that writes none
//! is not counted.
//!
//! Push tokens are not limited here: a device writes one once a second at most, see [`crate::device::turns`].

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use honoken_domain::ids::{DeviceLibraryIdentifier, PassId};

use crate::layers::keyed_limit::KeyedLimit;

/// New devices of one pass from one client address in a minute, unless configured otherwise.
pub const REGISTRATIONS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).expect("it is not zero");

/// How often a device may register for a pass or unregister from it at once, and after that once a second.
const REGISTRATION_CHANGES: NonZeroU32 = NonZeroU32::new(30).expect("it is not zero");

/// The limits on what devices write.
#[derive(Debug)]
pub struct RegistrationLimits {
    new_devices: Option<KeyedLimit>,
    known_devices: Option<KeyedLimit>,
    registration_changes: KeyedLimit,
}

impl RegistrationLimits {
    /// Limits with so many new devices in a minute for a pass and a client address; without a number only the limit for each device
    /// applies.
    pub fn new(new_devices: Option<NonZeroU32>) -> Self {
        // A phone rarely has a new token, so the default is enough for a large number of phones; a higher configured number raises this
        // limit too.
        let known_devices = new_devices.map(|most| most.max(REGISTRATIONS_PER_MINUTE));
        let per_minute = |most| KeyedLimit::new(Quota::per_minute(most));
        let once_a_second = Quota::per_second(NonZeroU32::MIN).allow_burst(REGISTRATION_CHANGES);
        Self {
            new_devices: new_devices.map(per_minute),
            known_devices: known_devices.map(per_minute),
            registration_changes: KeyedLimit::new(once_a_second),
        }
    }

    /// Counts a device that is new to a pass.
    ///
    /// # Errors
    /// The time to wait.
    pub fn check_new_device(&self, pass: &PassId, client: Option<IpAddr>) -> Result<(), Duration> {
        take(self.new_devices.as_ref(), pass, client)
    }

    /// Counts a write for a device that the pass knows: another push token, or the confirmation of the same one.
    ///
    /// # Errors
    /// The time to wait.
    pub fn check_known_device(&self, pass: &PassId, client: Option<IpAddr>) -> Result<(), Duration> {
        take(self.known_devices.as_ref(), pass, client)
    }

    /// Counts a registration for a pass that the device was not registered for, or an unregistration from one that it was.
    ///
    /// # Errors
    /// The time to wait.
    pub fn check_registration_change(
        &self,
        pass: &PassId,
        device: &DeviceLibraryIdentifier,
    ) -> Result<(), Duration> {
        self.registration_changes.take(&(pass, device))
    }
}

fn take(limit: Option<&KeyedLimit>, pass: &PassId, client: Option<IpAddr>) -> Result<(), Duration> {
    match (limit, client) {
        (Some(limit), Some(client)) => limit.take(&(pass, client)),
        _ => Ok(()),
    }
}
