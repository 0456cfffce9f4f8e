//! Inspects passes for callers, a bounded number at a time: an inspection unpacks an archive that may have been made to hurt.

use std::sync::Arc;

use bytes::Bytes;
use honoken_pkpass::reader::{self, Inspected, Inspection, Trust};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::ApiError;
use crate::limits;

/// How passes are inspected.
#[derive(Debug, Clone)]
pub struct Options {
    /// `HONOKEN_PUBLIC_DOCTOR`: whether passes are inspected without credentials.
    pub is_public: bool,
    /// Where the chain of a pass may end.
    pub trust: Trust,
}

/// Permits for inspections. Integrators have their own, so that visitors cannot keep them out.
#[derive(Debug)]
pub struct Doctor {
    integrators: Arc<Semaphore>,
    visitors: Arc<Semaphore>,
}

impl Default for Doctor {
    fn default() -> Self {
        Self {
            integrators: Arc::new(Semaphore::new(limits::INSPECTIONS_AT_WORK)),
            visitors: Arc::new(Semaphore::new(limits::PUBLIC_INSPECTIONS_AT_WORK)),
        }
    }
}

impl Doctor {
    /// Inspects a pass of an integrator.
    ///
    /// # Errors
    /// 503 when too many are being inspected.
    pub async fn for_integrator(&self, bytes: Bytes, trust: &Trust) -> Result<Inspection, ApiError> {
        let trust = trust.clone();
        at_work(&self.integrators, move || reader::inspect_trusting(&bytes, &trust)).await
    }

    /// Inspects a pass, a bundle or a `pass.json` of a visitor.
    ///
    /// # Errors
    /// 503 when too many are being inspected.
    pub async fn for_visitor(&self, bytes: Bytes, trust: &Trust) -> Result<Inspected, ApiError> {
        let trust = trust.clone();
        at_work(&self.visitors, move || reader::inspect_file(&bytes, &trust)).await
    }
}

/// Works on a thread where other requests do not wait for it.
async fn at_work<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let permit = timeout(limits::TURN, permits.clone().acquire_owned()).await;
    let permit =
        permit.map_err(|_| ApiError::Overloaded)?.map_err(|fault| ApiError::Internal(fault.into()))?;
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        // Held until the thread is done, also when the request has ended before.
        drop(permit);
        done
    });
    done.await.map_err(|fault| ApiError::Internal(fault.into()))
}
