//! How much the holder of one pass's token can make the log grow: each limit here bounds events, and no request that writes none is counted.
//!
//! A push token is not limited but written once a second at most: [`crate::device::turns`].

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use honoken_domain::ids::{DeviceLibraryIdentifier, PassId};

use crate::layers::keyed_limit::KeyedLimit;

/// New devices of one pass from one client address in a minute, where nothing else is said.
pub const REGISTRATIONS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).expect("it is no zero");

/// So often a device may register for a pass or unregister from it at once, and after that once a second.
const TIMES: NonZeroU32 = NonZeroU32::new(30).expect("it is no zero");

/// The limits on what devices write.
#[derive(Debug)]
pub struct RegistrationLimits {
    new_devices: Option<KeyedLimit>,
    known_devices: Option<KeyedLimit>,
    to_and_fro: KeyedLimit,
}

impl RegistrationLimits {
    /// With so many new devices in a minute for a pass and a client address; without a number only what holds for each device is limited.
    pub fn new(new_devices: Option<NonZeroU32>) -> Self {
        // A phone hardly ever has news of its own, so the default is enough for a large number of them; and who asks for more gets more.
        let known_devices = new_devices.map(|most| most.max(REGISTRATIONS_PER_MINUTE));
        let per_minute = |most| KeyedLimit::new(Quota::per_minute(most));
        let once_a_second = Quota::per_second(NonZeroU32::MIN).allow_burst(TIMES);
        Self {
            new_devices: new_devices.map(per_minute),
            known_devices: known_devices.map(per_minute),
            to_and_fro: KeyedLimit::new(once_a_second),
        }
    }

    /// A device that is new to a pass comes from an address.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn new_device(&self, pass: &PassId, client: Option<IpAddr>) -> Result<(), Duration> {
        take(self.new_devices.as_ref(), pass, client)
    }

    /// Something of a device is written that the pass knows: another push token, or that it is the same.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn known_device(&self, pass: &PassId, client: Option<IpAddr>) -> Result<(), Duration> {
        take(self.known_devices.as_ref(), pass, client)
    }

    /// A device registers for a pass that it was not registered for, or unregisters from one that it was.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn to_and_fro(&self, pass: &PassId, device: &DeviceLibraryIdentifier) -> Result<(), Duration> {
        self.to_and_fro.take(&(pass, device))
    }
}

fn take(limit: Option<&KeyedLimit>, pass: &PassId, client: Option<IpAddr>) -> Result<(), Duration> {
    match (limit, client) {
        (Some(limit), Some(client)) => limit.take(&(pass, client)),
        _ => Ok(()),
    }
}
