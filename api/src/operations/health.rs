//! Whether the process is alive, and whether it can do its work.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_event_store::EventLog;
use honoken_projections::WALLET;
use honoken_service::signers::{self, Count};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::openapi::problems::NotReady;
use crate::openapi::tags::RUNNING;
use crate::state::AppState;

/// The health of the process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
struct Body {
    #[schema(example = "ready", pattern = "^(live|ready)$")]
    status: &'static str,
}

/// The health of the process, and the certificates that it signs with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
struct Ready {
    #[schema(example = "ready", pattern = "^ready$")]
    status: &'static str,
    certificates: Certificates,
    /// The end of a certificate, once it is within sixty days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "a certificate expires on 2027-05-14 17:30:00 UTC, in 13 days")]
    note: Option<String>,
}

/// The number of certificates, by whether they sign.
#[derive(Debug, Serialize, ToSchema)]
struct Certificates {
    /// Certificates that sign.
    usable: usize,
    /// The signing certificates that expire within thirty days.
    expiring: usize,
    /// Certificates that are expired, not valid yet, or sealed under an encryption key that this process does not have.
    unusable: usize,
}

impl From<Count> for Certificates {
    fn from(Count { usable, expiring, unusable }: Count) -> Self {
        Self { usable, expiring, unusable }
    }
}

/// How many events the read model may be behind the event log while the service counts as ready: a burst is not an outage.
const ACCEPTABLE_LAG: u32 = 1000;

/// `GET /health/live`: the process answers.
#[utoipa::path(
    get, path = "/health/live", tag = RUNNING,
    operation_id = "live", summary = "Ask whether the process answers",
    responses((status = 200, body = Body, description = "The process answers.", example = json!({"status": "live"}))),
)]
pub async fn live() -> Response {
    Json(Body { status: "live" }).into_response()
}

/// `GET /health/ready`: log and read model answer, the log takes changes, and the read model follows it. The stores are asked each time, so that a
/// process whose connections are gone does not say so from memory; whether the log takes changes is what became of the last one, and of what
/// the writer tried since.
///
/// # Errors
/// 503 when it is not so.
#[utoipa::path(
    get, path = "/health/ready", tag = RUNNING,
    operation_id = "ready", summary = "Ask whether the process can do its work",
    responses((
        status = 200, body = Ready, description = "The process can do its work.",
        example = json!({"status": "ready", "certificates": {"usable": 1, "expiring": 0, "unusable": 0}}),
    ), NotReady),
)]
pub async fn ready(State(app): State<AppState>) -> Result<Response, ApiError> {
    let is_projected = app.read_model.is_projected().await?;
    if app.log.is_damaged() || app.read_model.is_damaged() || app.ledger.is_damaged() {
        return Err(ApiError::Unavailable("a file was found damaged".into()));
    }
    if app.log.refuses_writes() {
        return Err(ApiError::LogRefusesWrites);
    }
    if !is_projected {
        return Err(ApiError::NoProjector);
    }
    let projected = app.read_model.checkpoint(WALLET).await?;
    let far_behind = app.log.has_more_than(ACCEPTABLE_LAG, projected).await?;
    if far_behind {
        return Err(ApiError::Unavailable(
            format!("the read model is more than {ACCEPTABLE_LAG} events behind the event log").into(),
        ));
    }
    // An unusable certificate is reported but does not make the process unready: the others sign, and phones ask for more than passes.
    let (signers, now) = (app.built_passes.signers(), app.clock.unix_seconds());
    let note = signers.first_end(now).map(|end| {
        format!("a certificate expires on {}, in {} days", signers::date(end), signers::days_left(end, now))
    });
    Ok(Json(Ready { status: "ready", certificates: signers.count(now).into(), note }).into_response())
}
