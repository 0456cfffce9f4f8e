//! Phones that were put back, and need not wait any longer: they are made due in the ledger.

use std::sync::Arc;

use honoken_domain::ids::PassTypeIdentifier;

use crate::ledger::{Ledger, LedgerError};

/// Phones of which one is to be pushed to, as a probe.
const A_FEW: u32 = 16;

/// Phones that one statement makes due, when all are.
const AT_ONCE: u32 = 5000;

/// The phones of a topic are to be made due.
pub(super) struct MakeDue {
    topic: PassTypeIdentifier,
    /// A parked credential that is released first.
    release: Option<Arc<str>>,
    phones: Phones,
}

enum Phones {
    All,
    /// For a probe.
    AFew,
}

impl MakeDue {
    /// APNs is available.
    pub(super) fn all(topic: PassTypeIdentifier) -> Self {
        Self { topic, release: None, phones: Phones::All }
    }

    /// APNs takes a parked credential again.
    pub(super) fn release(topic: PassTypeIdentifier, credential: Arc<str>) -> Self {
        Self { topic, release: Some(credential), phones: Phones::All }
    }

    /// Something has to be probed.
    pub(super) fn a_few(topic: PassTypeIdentifier) -> Self {
        Self { topic, release: None, phones: Phones::AFew }
    }

    pub(super) fn topic(&self) -> &PassTypeIdentifier {
        &self.topic
    }

    /// Whether it releases a credential.
    pub(super) fn releases(&self) -> bool {
        self.release.is_some()
    }

    pub(super) async fn carry_out(
        &self,
        ledger: &Ledger,
        now_ms: impl Fn() -> i64,
    ) -> Result<(), LedgerError> {
        match self.phones {
            Phones::All => make_all_due(ledger, self.release.as_deref(), &self.topic, now_ms).await,
            Phones::AFew => ledger.make_due(&self.topic, A_FEW, now_ms()).await.map(drop),
        }
    }
}

/// Releases a parked credential, if one is named, and makes all phones of a topic due.
pub(super) async fn make_all_due(
    ledger: &Ledger,
    release: Option<&str>,
    topic: &PassTypeIdentifier,
    now_ms: impl Fn() -> i64,
) -> Result<(), LedgerError> {
    if let Some(credential) = release {
        ledger.free_credential(credential, topic).await?;
    }
    while ledger.make_due(topic, AT_ONCE, now_ms()).await? == u64::from(AT_ONCE) {}
    Ok(())
}
