//! The state of pushing, and what an operator can do about it.

use axum::Json;
use axum::extract::State;
use honoken_domain::rfc3339;
use honoken_event_store::EventLog;
use honoken_pushers::ledger::{LedgerError, ParkedCredential, Part, Paused};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::operator::Operator;
use crate::error::ApiError;
use crate::openapi::examples;
use crate::openapi::tags::ADMIN;
use crate::state::{App, AppState};

/// The state of pushing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = examples::pushing)]
pub struct Pushing {
    relay: Relay,
    pusher: PartState,
    deliveries: Deliveries,
    /// APNs keys and certificates that APNs refuses, each for a pass type. No push is sent with them.
    parked_credentials: Vec<RefusedByApns>,
    /// The number of parked messages.
    parked_messages: u64,
}

/// Whether an operator has paused it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = examples::paused)]
pub struct PartState {
    paused: bool,
    /// The time of the pause.
    #[schema(format = DateTime, required = true)]
    since: Option<String>,
    /// The operator who paused it.
    #[schema(required = true)]
    by: Option<String>,
}

/// The way from the event log to messages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RelayState)]
struct Relay {
    #[serde(flatten)]
    #[schema(inline)]
    part: PartState,
    /// The position in the event log up to which changes were published.
    position: u64,
    /// The number of events after that position.
    lag: u64,
}

/// The pending pushes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WaitingDeliveries)]
struct Deliveries {
    pending: u64,
    /// The time at which the first phone is due.
    #[schema(format = DateTime, required = true)]
    oldest_due_at: Option<String>,
}

/// A key or certificate that APNs refuses.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ParkedCredential)]
struct RefusedByApns {
    /// The name of the key or certificate; no secret.
    credential: String,
    pass_type_identifier: String,
    /// The reason that APNs gave, or the remedy.
    reason: String,
    #[schema(format = DateTime)]
    parked_at: String,
    /// The time at which one push is tried again.
    #[schema(format = DateTime)]
    probe_at: String,
}

impl From<ParkedCredential> for RefusedByApns {
    fn from(parked: ParkedCredential) -> Self {
        Self {
            credential: parked.credential,
            pass_type_identifier: parked.topic.to_string(),
            reason: parked.reason,
            parked_at: rfc3339::milliseconds(parked.parked_at_ms),
            probe_at: rfc3339::milliseconds(parked.probe_at_ms),
        }
    }
}

impl From<Option<Paused>> for PartState {
    fn from(paused: Option<Paused>) -> Self {
        let (since, by) = paused.map(|paused| (rfc3339::milliseconds(paused.at_ms), paused.by)).unzip();
        Self { paused: since.is_some(), since, by }
    }
}

impl From<LedgerError> for ApiError {
    fn from(fault: LedgerError) -> Self {
        Self::Unavailable(fault.into())
    }
}

/// `GET /admin/pushing`
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    get, path = "/pushing", tag = ADMIN,
    operation_id = "getPushing", summary = "Get the state of pushing",
    responses((status = 200, body = Pushing, description = "The paused parts, the pending pushes and the obstacles.")),
)]
pub async fn state(State(app): State<AppState>) -> Result<Json<Pushing>, ApiError> {
    let ledger = &app.ledger;
    let figures = ledger.figures().await?;
    let position = ledger.fed(app.feed).await?.unwrap_or_default().0;
    let head = app.log.head().borrow().0.max(position);
    let relay = Relay {
        part: ledger.paused(Part::Relay).await?.into(),
        position,
        lag: head.saturating_sub(position),
    };
    let credentials = ledger.parked_credentials().await?;
    Ok(Json(Pushing {
        relay,
        pusher: ledger.paused(Part::Pusher).await?.into(),
        deliveries: Deliveries {
            pending: figures.pending,
            oldest_due_at: figures.oldest_due_ms.map(rfc3339::milliseconds),
        },
        parked_credentials: credentials.into_iter().map(RefusedByApns::from).collect(),
        parked_messages: figures.parked_messages,
    }))
}

/// `POST /admin/relay/pause`
///
/// No process publishes messages about changes until publishing is resumed. Changes and reads go on, and no message is lost.
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    post, path = "/relay/pause", tag = ADMIN,
    operation_id = "pauseRelay", summary = "Pause publishing",
    responses((status = 200, body = PartState, description = "The part is paused.")),
)]
pub async fn pause_relay(
    State(app): State<AppState>,
    operator: Operator,
) -> Result<Json<PartState>, ApiError> {
    pause(&app, Part::Relay, &operator).await
}

/// `POST /admin/relay/resume`
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    post, path = "/relay/resume", tag = ADMIN,
    operation_id = "resumeRelay", summary = "Resume publishing",
    responses((status = 200, body = PartState, description = "Publishing goes on where it stopped.")),
)]
pub async fn resume_relay(State(app): State<AppState>) -> Result<Json<PartState>, ApiError> {
    resume(&app, Part::Relay).await
}

/// `POST /admin/pusher/pause`
///
/// No process wakes a phone until pushing is resumed. Pushes in flight are finished. No push is lost.
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    post, path = "/pusher/pause", tag = ADMIN,
    operation_id = "pausePusher", summary = "Pause pushing",
    responses((status = 200, body = PartState, description = "The part is paused.")),
)]
pub async fn pause_pusher(
    State(app): State<AppState>,
    operator: Operator,
) -> Result<Json<PartState>, ApiError> {
    pause(&app, Part::Pusher, &operator).await
}

/// `POST /admin/pusher/resume`
///
/// Credentials that are parked are tried again as well.
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    post, path = "/pusher/resume", tag = ADMIN,
    operation_id = "resumePusher", summary = "Resume pushing",
    responses((status = 200, body = PartState, description = "The part goes on.")),
)]
pub async fn resume_pusher(State(app): State<AppState>) -> Result<Json<PartState>, ApiError> {
    resume(&app, Part::Pusher).await
}

async fn pause(app: &App, part: Part, operator: &Operator) -> Result<Json<PartState>, ApiError> {
    if app.ledger.pause(part, &operator.name, app.clock.unix_ms()).await? {
        tracing::warn!("the operator {} has paused the {}", operator.name, part.as_str());
    }
    Ok(Json(app.ledger.paused(part).await?.into()))
}

async fn resume(app: &App, part: Part) -> Result<Json<PartState>, ApiError> {
    if app.ledger.resume(part, app.clock.unix_ms()).await? {
        tracing::info!("an operator has resumed the {}", part.as_str());
    }
    Ok(Json(app.ledger.paused(part).await?.into()))
}
