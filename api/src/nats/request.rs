//! A request that comes over NATS.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use honoken_service::limits;
use honoken_telemetry::logging;
use honoken_telemetry::metrics::AnonymousLine;
use honoken_telemetry::request::{CurrentRequest, NO_ADDRESS};
use http::StatusCode;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::extractors::request_id::RequestId;
use crate::layers::panics::after_panic;
use crate::state::App;

/// Runs the work of a request, and logs one line about it. A panic becomes an answer too, and the work takes no longer than any request.
///
/// # Errors
/// Those of the work, 500 when it panics, 503 when it takes too long.
pub(super) async fn run<T>(
    id: &RequestId,
    app: &App,
    name: &'static str,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let current = CurrentRequest::new(id.0.clone(), NO_ADDRESS, app.anonymous_lines.clone());
    let worked = async {
        let started = Instant::now();
        let deadline = current.start(started, limits::REQUEST);
        let worked = tokio::time::timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await;
        let outcome = match worked {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(after_panic(&app.panicked, &*panic)),
            Err(_) => Err(ApiError::TimedOut),
        };
        if let Err(fault) = &outcome {
            fault.log();
        }
        let status = outcome.as_ref().map_or_else(ApiError::status, |_| StatusCode::OK).as_u16();
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let is_wanted = status >= 400 || logging::is_sampled(&id.0, app.options.sample_success_rate);
        if is_wanted && current.may_log(AnonymousLine::Request, 1) > 0 {
            tracing::info!(command = name, http.status = status, duration_ms, "{name} {status}");
        }
        outcome
    };
    current.clone().scope(worked).await
}
