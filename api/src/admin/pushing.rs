//! The state of pushing, and what an operator can do about it.

use axum::Json;
use axum::extract::State;
use honoken_domain::rfc3339;
use honoken_event_store::EventLog;
use honoken_pushers::ledger::{LedgerError, ParkedCredential, Part, Paused};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::openapi::examples;
use crate::openapi::tags::ADMIN;
use crate::state::{App, AppState};

/// How waking phones goes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = examples::pushing)]
pub struct Pushing {
    relay: Relay,
    pusher: PartState,
    deliveries: Deliveries,
    /// APNs keys and certificates that APNs refuses, each for a pass type. Nothing is sent with them.
    parked_credentials: Vec<RefusedByApns>,
    /// How many messages can never succeed.
    parked_messages: u64,
}

/// Whether an operator has paused it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = examples::paused)]
pub struct PartState {
    paused: bool,
    /// Since when.
    #[schema(format = DateTime, required = true)]
    since: Option<String>,
    /// By whom.
    #[schema(required = true)]
    by: Option<String>,
}

/// The way from the log to messages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RelayState)]
struct Relay {
    #[serde(flatten)]
    #[schema(inline)]
    part: PartState,
    /// Up to where in the log changes were handed on.
    position: u64,
    /// Events behind that.
    lag: u64,
}

/// What waits.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WaitingDeliveries)]
struct Deliveries {
    pending: u64,
    /// When the first phone was to be woken, or will be.
    #[schema(format = DateTime, required = true)]
    oldest_due_at: Option<String>,
}

/// A key or certificate that APNs refuses.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ParkedCredential)]
struct RefusedByApns {
    /// Which one; no secret.
    credential: String,
    pass_type_identifier: String,
    /// APNs' reason, or what to do.
    reason: String,
    #[schema(format = DateTime)]
    parked_at: String,
    /// When one push is tried again.
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
    operation_id = "getPushing", summary = "See how waking phones goes",
    responses((status = 200, body = Pushing, description = "What is paused, what waits, and what is in the way.")),
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
/// Nothing more is said about changes, by any process, until it is resumed. Changes and reads go on, and nothing is lost.
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    post, path = "/relay/pause", tag = ADMIN,
    operation_id = "pauseRelay", summary = "Stop telling of changes",
    responses((status = 200, body = PartState, description = "It is paused.")),
)]
pub async fn pause_relay(State(app): State<AppState>) -> Result<Json<PartState>, ApiError> {
    pause(&app, Part::Relay).await
}

/// `POST /admin/relay/resume`
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    post, path = "/relay/resume", tag = ADMIN,
    operation_id = "resumeRelay", summary = "Tell of changes again",
    responses((status = 200, body = PartState, description = "It goes on where it was.")),
)]
pub async fn resume_relay(State(app): State<AppState>) -> Result<Json<PartState>, ApiError> {
    resume(&app, Part::Relay).await
}

/// `POST /admin/pusher/pause`
///
/// No process wakes a phone until it is resumed. Pushes that are on their way are finished. Nothing is lost.
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    post, path = "/pusher/pause", tag = ADMIN,
    operation_id = "pausePusher", summary = "Stop waking phones",
    responses((status = 200, body = PartState, description = "It is paused.")),
)]
pub async fn pause_pusher(State(app): State<AppState>) -> Result<Json<PartState>, ApiError> {
    pause(&app, Part::Pusher).await
}

/// `POST /admin/pusher/resume`
///
/// Credentials that are parked are tried again as well.
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    post, path = "/pusher/resume", tag = ADMIN,
    operation_id = "resumePusher", summary = "Wake phones again",
    responses((status = 200, body = PartState, description = "It goes on.")),
)]
pub async fn resume_pusher(State(app): State<AppState>) -> Result<Json<PartState>, ApiError> {
    resume(&app, Part::Pusher).await
}

async fn pause(app: &App, part: Part) -> Result<Json<PartState>, ApiError> {
    if app.ledger.pause(part, "operator", app.clock.unix_ms()).await? {
        tracing::warn!("an operator has paused the {}", part.as_str());
    }
    Ok(Json(app.ledger.paused(part).await?.into()))
}

async fn resume(app: &App, part: Part) -> Result<Json<PartState>, ApiError> {
    if app.ledger.resume(part, app.clock.unix_ms()).await? {
        tracing::info!("an operator has resumed the {}", part.as_str());
    }
    Ok(Json(app.ledger.paused(part).await?.into()))
}
