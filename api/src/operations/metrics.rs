//! `/metrics`: the counters, and the values that can be read at once. It asks no store, so it answers while they are unavailable.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_database::Pool;
use honoken_event_store::EventLog;
use honoken_telemetry::metrics::{CONTENT_TYPE, ConnectionState, Metric, Store, WithinDays};
use http::header;

use crate::error::ApiError;
use crate::openapi::tags::RUNNING;
use crate::state::{App, AppState};

/// `GET /metrics`
///
/// Counters, gauges and histograms; none of them names a pass, a device or a caller. With `HONOKEN_METRICS_LISTEN` they are answered at that address
/// only.
///
/// # Errors
/// 500 when a figure cannot be written.
#[utoipa::path(
    get, path = "/metrics", tag = RUNNING,
    operation_id = "metrics", summary = "Get the metrics for Prometheus",
    responses((status = 200, description = "Prometheus's text format.", content_type = "text/plain; version=0.0.4", body = String, example = json!("honoken_requests_panicked_total 0\n"))),
)]
pub async fn handler(State(app): State<AppState>) -> Result<Response, ApiError> {
    update_gauges(&app);
    let text = app.metrics.render().map_err(|fault| ApiError::Internal(fault.into()))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// Updates the gauges.
fn update_gauges(app: &App) {
    let head = app.log.head().borrow().0;
    let progress = app.projector.progress().borrow().clone();
    let set = |metric, value: u64| app.metrics.gauge(metric, &[]).set(value.cast_signed());
    // Another process may have projected events that this one does not know yet.
    set(Metric::LogHead, head.max(progress.position.0));
    set(Metric::ProjectionPosition, progress.position.0);
    set(Metric::ProjectionLag, head.saturating_sub(progress.position.0));
    set(Metric::ProjectionParked, progress.parked.len() as u64);
    let (position, seconds_left) = app.read_model.rebuild_in_this_process();
    set(Metric::RebuildPosition, position);
    set(Metric::RebuildLeft, seconds_left);
    set(Metric::PassesCacheSize, app.built_passes.cached_bytes());
    let count = |metric, more: u64| app.metrics.counter(metric, &[]).inc_by(more);
    count(Metric::ReadModelQuestions, app.read_model.take_questions());
    count(Metric::PassRowsLookedFor, app.read_model.take_rows_looked_for());
    let now = app.clock.unix_seconds();
    for within in WithinDays::ALL {
        let ending = app.built_passes.signers().ending_within(within.days(), now);
        let gauge = app.metrics.gauge(Metric::CertificatesEnding, &[(*within).into()]);
        gauge.set(i64::try_from(ending).unwrap_or(i64::MAX));
    }
    for (queue, waiting) in app.waiting() {
        app.metrics
            .gauge(Metric::RequestsWaiting, &[queue.into()])
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
    if let Some(pool) = app.log.pool() {
        pool_use(app, Store::Log, pool);
    }
    pool_use(app, Store::ReadModel, app.read_model.pool());
}

fn pool_use(app: &App, store: Store, Pool { open, idle, limit }: Pool) {
    let connections = |state: ConnectionState, count: u32| {
        app.metrics.gauge(Metric::StoreConnections, &[store.into(), state.into()]).set(count.into());
    };
    connections(ConnectionState::Idle, idle);
    connections(ConnectionState::Used, open.saturating_sub(idle));
    app.metrics.gauge(Metric::StoreConnectionsLimit, &[store.into()]).set(limit.into());
}
