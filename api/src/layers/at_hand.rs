//! What this crate keeps with the current request, besides what telemetry keeps: its admission, the memory reserved for its body, where its caller
//! stands under a limit, and whether it acts for a test organisation.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::error::ApiError;
use crate::layers::body_budget::{Budget, Reservation};
use crate::layers::load_shedding::Admission;
use crate::layers::window_limits::Standing;

/// What this crate keeps with a request while it is worked on.
#[derive(Debug)]
pub struct AtHand {
    /// Its permit.
    pub admission: Admission,
    /// `None` for a request without a body.
    pub body: Option<BodyRoom>,
    /// Where its caller stands under the limit that it was counted under, if any; the answer tells.
    pub standing: OnceLock<Standing>,
    /// Set when its caller acts for a test organisation; the answer tells.
    pub is_for_test: AtomicBool,
}

/// The budget that a body is charged to, and the bytes reserved so far.
#[derive(Debug)]
pub struct BodyRoom {
    budget: Arc<Budget>,
    client: IpAddr,
    reserved: Mutex<Option<Reservation>>,
}

tokio::task_local! {
    static AT_HAND: Arc<AtHand>;
}

/// The admission of the current request.
pub fn admission() -> Admission {
    AT_HAND.try_with(|at_hand| at_hand.admission.clone()).unwrap_or_default()
}

/// Notes that the current request was counted under a limit. No request is counted under two.
pub fn note_standing(standing: Standing) {
    // Without a current request there is no answer to tell it.
    let _ = AT_HAND.try_with(|at_hand| *at_hand.standing.get_or_init(|| standing));
}

/// Notes that the caller of the current request acts for a test organisation.
pub fn note_test_organization() {
    // Without a current request there is no answer to tell it.
    let _ = AT_HAND.try_with(|at_hand| at_hand.is_for_test.store(true, Ordering::Relaxed));
}

/// Reserves memory for the body of the current request, until the request is answered.
///
/// # Errors
/// 503 when no memory becomes free in time.
pub async fn reserve_body(bytes: usize) -> Result<(), ApiError> {
    let Ok(at_hand) = AT_HAND.try_with(Arc::clone) else { return Ok(()) };
    let Some(room) = &at_hand.body else { return Ok(()) };
    // A body that was read in order to be verified is read again by its handler, from where it is in memory.
    if room.reserved.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
        return Ok(());
    }
    let reservation = room.budget.clone().reserve(room.client, bytes).await.ok_or(ApiError::Overloaded)?;
    *room.reserved.lock().unwrap_or_else(PoisonError::into_inner) = Some(reservation);
    Ok(())
}

impl AtHand {
    /// Runs `work` with this as the current request.
    pub async fn scope<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        AT_HAND.scope(self, work).await
    }
}

impl BodyRoom {
    /// Nothing is reserved yet.
    pub fn new(budget: Arc<Budget>, client: IpAddr) -> Self {
        Self { budget, client, reserved: Mutex::new(None) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admission {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(admission())
    }
}
