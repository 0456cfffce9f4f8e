//! The configuration of connections.

use std::num::NonZeroU32;

/// How many connections one address may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// `HONOKEN_CONNECTIONS_PER_ADDRESS`; default: half of all.
    pub per_address: Option<NonZeroU32>,
    /// Behind proxies, each of whose connections serves many clients, an address has no limit.
    pub behind_proxies: bool,
}

impl Connections {
    /// How many of all connections one address may have.
    pub fn per_address_of(self, all: usize) -> Option<usize> {
        let most = self.per_address.map_or(all / 2, |most| most.get() as usize);
        (!self.behind_proxies).then_some(most)
    }
}
