//! Which certificate signs which pass type. Parsed once, when the service starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use honoken_domain::ids::{PassTypeIdentifier, UnixSeconds};
use honoken_pkpass::SigningIdentity;

/// The signing identities, by pass type.
#[derive(Debug, Clone, Default)]
pub struct Signers(BTreeMap<PassTypeIdentifier, Arc<SigningIdentity>>);

/// Expiry is announced this long before it happens.
const WARN_BEFORE_SECONDS: i64 = 30 * 24 * 60 * 60;

impl Signers {
    /// Adds the identity of a pass type and says in the log when its certificate expires soon.
    #[must_use]
    pub fn with(
        mut self,
        pass_type_identifier: PassTypeIdentifier,
        identity: SigningIdentity,
        now: UnixSeconds,
    ) -> Self {
        // Whichever ends first ends the signing.
        let ends = identity.not_after().min(identity.intermediate_not_after());
        let left = ends.unix_timestamp() - now.0;
        if left < WARN_BEFORE_SECONDS {
            tracing::warn!(
                pass.r#type = %pass_type_identifier,
                "the certificate of {pass_type_identifier}, or the intermediate that issued it, expires {ends}"
            );
        }
        self.0.insert(pass_type_identifier, Arc::new(identity));
        self
    }

    /// The identity that signs passes of this type.
    pub fn get(&self, pass_type_identifier: &PassTypeIdentifier) -> Option<&Arc<SigningIdentity>> {
        self.0.get(pass_type_identifier)
    }
}
