//! The progress of the projections and of their rebuilds, and operators' wishes for these.

use axum::Json;
use axum::extract::{Request, State};
use honoken_domain::rfc3339;
use honoken_event_store::EventLog;
use honoken_projections::{Copy, CopyComparison, CopyError, CopyState, VERSION, WALLET};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::limits;
use crate::openapi::examples;
use crate::openapi::problems::{Conflict, NotFound, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// All projections.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = examples::projections)]
pub struct Projections {
    #[schema(value_type = Vec<Projection>)]
    projections: [Projection; 1],
}

/// A projection: how far it is, and what is done with the copies of its tables.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = examples::projection)]
pub struct Projection {
    name: &'static str,
    /// The version of the tables that are read.
    version: i64,
    position: u64,
    head: u64,
    parked: u64,
    /// The file, or the schema on a server, that has the tables that are read.
    place: String,
    /// The rebuild that is at work.
    #[schema(required = true)]
    rebuild: Option<Rebuild>,
    /// The last rebuild that took over.
    #[schema(required = true)]
    last_rebuild: Option<LastRebuild>,
    /// The tables that were read before, to go back to.
    #[schema(required = true)]
    kept: Option<Kept>,
}

/// A rebuild at work.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Rebuild {
    id: String,
    /// `filling`: from the beginning of the event log. `catchingUp`: at its end, which moves. `ready`: could take over. `paused`: by an operator.
    state: &'static str,
    position: u64,
    /// The head of the event log when the position was reported.
    target: u64,
    events_per_second: u64,
    /// Seconds until it reaches the target; `null` when that cannot be told.
    #[schema(required = true)]
    seconds_left: Option<u64>,
    /// Whether it waits for `switch`.
    hold: bool,
    /// Why it does not take over although it has caught up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// The outcome of the last `compare`.
    #[schema(required = true)]
    compare: Option<Compared>,
}

/// The tables of a rebuild beside those that are read, both at one position.
#[derive(Debug, Serialize, ToSchema)]
struct Compared {
    position: u64,
    rows: u64,
    /// Rows that differ, or that only one of them has.
    different: u64,
    /// Table and key of the first 20.
    #[schema(max_items = 20)]
    first: Vec<String>,
}

/// A rebuild that took over.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LastRebuild {
    id: String,
    events: u64,
    events_per_second: u64,
    started_at: String,
    finished_at: String,
}

/// Tables to go back to.
#[derive(Debug, Serialize, ToSchema)]
struct Kept {
    version: i64,
    position: u64,
    bytes: u64,
}

impl From<&Copy> for Rebuild {
    fn from(copy: &Copy) -> Self {
        let compared = |CopyComparison { position, rows, different, first }| Compared {
            position,
            rows,
            different,
            first,
        };
        Self {
            id: copy.id.to_string(),
            state: if copy.paused { "paused" } else { copy.state.as_str() },
            position: copy.position.0,
            target: copy.target.0,
            events_per_second: if copy.paused { 0 } else { copy.events_per_second },
            seconds_left: copy.seconds_left.filter(|_| !copy.paused),
            hold: copy.held,
            detail: copy.note.clone(),
            compare: copy.comparison.clone().map(compared),
        }
    }
}

/// A rebuild that has ended: its pace is that of the whole.
fn last_rebuild(copies: &[Copy]) -> Option<LastRebuild> {
    let ended = |copy: &&Copy| copy.finished_at.is_some() && copy.started_at.is_some();
    let last = copies.iter().filter(ended).max_by_key(|copy| (copy.finished_at, copy.id))?;
    let (started, finished) = (last.started_at?, last.finished_at?);
    let seconds = finished.0.saturating_sub(started.0).max(1).unsigned_abs();
    Some(LastRebuild {
        id: last.id.to_string(),
        events: last.events,
        events_per_second: last.events / seconds,
        started_at: rfc3339::seconds(started),
        finished_at: rfc3339::seconds(finished),
    })
}

/// `GET /admin/projections`
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    get, path = "/projections", tag = ADMIN,
    operation_id = "listProjections", summary = "Get the progress of the projections",
    responses((status = 200, body = Projections, description = "All projections.")),
)]
pub async fn list(State(app): State<AppState>) -> Result<Json<Projections>, ApiError> {
    Ok(Json(Projections { projections: [wallet(&app).await?] }))
}

async fn wallet(app: &AppState) -> Result<Projection, ApiError> {
    let head = app.log.head().borrow().0;
    let copies = app.read_model.copies().all().await?;
    let live = copies.iter().find(|copy| copy.version == VERSION && copy.state == CopyState::Live);
    let live = live.or_else(|| copies.iter().find(|copy| copy.id == app.read_model.live_copy()));
    let (live, version) = live.map_or((1, VERSION), |copy| (copy.id, copy.version));
    let of_this_release = |copy: &&Copy| copy.version == VERSION;
    let kept = copies.iter().find(|copy| copy.state == CopyState::Kept);
    let kept = match kept {
        Some(copy) => Some(Kept {
            version: copy.version,
            position: copy.position.0,
            bytes: app.read_model.bytes_of_copy(copy.id).await?,
        }),
        None => None,
    };
    let at_work = copies.iter().filter(of_this_release).find(|copy| copy.state.is_at_work());
    Ok(Projection {
        name: WALLET,
        version,
        position: app.read_model.checkpoint(WALLET).await?.0,
        head,
        parked: app.read_model.parked_count(WALLET).await?,
        place: app.read_model.place_of_copy(live),
        rebuild: at_work.map(Rebuild::from),
        last_rebuild: last_rebuild(&copies),
        kept,
    })
}

type Accepted = Result<(StatusCode, Json<Projection>), ApiError>;

/// The answer to a wish: it is carried out by the process that fills copies, and this is how things are now.
async fn accepted(app: &AppState) -> Accepted {
    app.read_model.wishes_changed();
    Ok((StatusCode::ACCEPTED, Json(wallet(app).await?)))
}

/// A rebuild.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RebuildOrder, example = examples::rebuild)]
struct RebuildOrder {
    /// Whether the new tables wait for `switch` when they have caught up.
    #[schema(default = false)]
    hold: Option<bool>,
}

/// `POST /admin/projections/{projection}/rebuild`
///
/// # Errors
/// 401, 404, 409 while a rebuild is at work, 422, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/rebuild", tag = ADMIN,
    operation_id = "rebuildProjection", summary = "Fill the tables of a projection again, beside those that are read",
    description = "The new tables take over when they have caught up with the event log, unless `hold` is set. Those that were read before are kept \
                   for `rollback`, until `drop` or the next rebuild.",
    request_body = RebuildOrder,
    responses(
        (status = 202, body = Projection, description = "The rebuild has begun."), NotFound, Conflict, UnsupportedMediaType, Unacceptable,
    ),
)]
pub async fn rebuild(State(app): State<AppState>, segments: Segments, request: Request) -> Accepted {
    check_projection(&segments)?;
    let body = json_body::read_json_or_nothing(request, limits::JSON_BYTES).await?;
    let mut order = RebuildOrder { hold: None };
    if let Some(body) = body {
        let mut fields = Fields::of(body)?;
        order.hold = fields.optional_bool("hold");
        fields.finish()?;
    }
    app.read_model.copies().rebuild(order.hold.unwrap_or(false), app.clock.unix_seconds()).await?;
    accepted(&app).await
}

/// `POST /admin/projections/{projection}/pause`
///
/// # Errors
/// 401, 404, 409 when no rebuild is at work, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/pause", tag = ADMIN,
    operation_id = "pauseRebuild", summary = "Let a rebuild stand still",
    responses((status = 202, body = Projection, description = "It stands still."), NotFound, Conflict),
)]
pub async fn pause(State(app): State<AppState>, segments: Segments) -> Accepted {
    check_projection(&segments)?;
    app.read_model.copies().pause(true).await?;
    accepted(&app).await
}

/// `POST /admin/projections/{projection}/resume`
///
/// # Errors
/// 401, 404, 409 when no rebuild is at work, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/resume", tag = ADMIN,
    operation_id = "resumeRebuild", summary = "Let a rebuild go on",
    responses((status = 202, body = Projection, description = "It goes on where it was."), NotFound, Conflict),
)]
pub async fn resume(State(app): State<AppState>, segments: Segments) -> Accepted {
    check_projection(&segments)?;
    app.read_model.copies().pause(false).await?;
    accepted(&app).await
}

/// `POST /admin/projections/{projection}/cancel`
///
/// # Errors
/// 401, 404, 409 when no rebuild is at work, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/cancel", tag = ADMIN,
    operation_id = "cancelRebuild", summary = "Give a rebuild up",
    responses((status = 202, body = Projection, description = "Its tables are removed."), NotFound, Conflict),
)]
pub async fn cancel(State(app): State<AppState>, segments: Segments) -> Accepted {
    check_projection(&segments)?;
    app.read_model.copies().cancel().await?;
    accepted(&app).await
}

/// `POST /admin/projections/{projection}/compare`
///
/// # Errors
/// 401, 404, 409 when no rebuild is at work, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/compare", tag = ADMIN,
    operation_id = "compareRebuild", summary = "Compare the tables of a rebuild with those that are read",
    responses(
        (status = 202, body = Projection, description = "They are compared once they have caught up; the outcome is `rebuild.compare`."), NotFound, Conflict,
    ),
)]
pub async fn compare(State(app): State<AppState>, segments: Segments) -> Accepted {
    check_projection(&segments)?;
    app.read_model.copies().compare().await?;
    accepted(&app).await
}

/// `POST /admin/projections/{projection}/switch`
///
/// # Errors
/// 401, 404, 409 when no rebuild is at work, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/switch", tag = ADMIN,
    operation_id = "switchToRebuild", summary = "Let the tables of a rebuild take over once they have caught up",
    responses((status = 202, body = Projection, description = "They take over."), NotFound, Conflict),
)]
pub async fn switch(State(app): State<AppState>, segments: Segments) -> Accepted {
    check_projection(&segments)?;
    app.read_model.copies().switch().await?;
    accepted(&app).await
}

/// `POST /admin/projections/{projection}/rollback`
///
/// # Errors
/// 401, 404, 409 when no former tables are kept or a rebuild is at work, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/rollback", tag = ADMIN,
    operation_id = "rollbackRebuild", summary = "Go back to the tables that were read before",
    responses((status = 202, body = Projection, description = "They catch up, and take over then."), NotFound, Conflict),
)]
pub async fn rollback(State(app): State<AppState>, segments: Segments) -> Accepted {
    check_projection(&segments)?;
    app.read_model.copies().roll_back().await?;
    accepted(&app).await
}

/// `POST /admin/projections/{projection}/drop`
///
/// # Errors
/// 401, 404, 409 when no former tables are kept, 503.
#[utoipa::path(
    post, path = "/projections/{projection}/drop", tag = ADMIN,
    operation_id = "dropFormerTables", summary = "Remove the tables that were read before",
    responses((status = 202, body = Projection, description = "They are removed."), NotFound, Conflict),
)]
pub async fn drop_kept(State(app): State<AppState>, segments: Segments) -> Accepted {
    check_projection(&segments)?;
    app.read_model.copies().drop_kept().await?;
    accepted(&app).await
}

/// Refuses a projection that is not there.
///
/// # Errors
/// 404.
pub fn check_projection(segments: &Segments) -> Result<(), ApiError> {
    if segments.get("projection").as_deref() == Some(WALLET) {
        Ok(())
    } else {
        Err(ApiError::NotFound { what: "projection" })
    }
}

impl From<CopyError> for ApiError {
    fn from(fault: CopyError) -> Self {
        let detail = fault.to_string();
        match fault {
            CopyError::AtWork => Self::Conflict { code: "rebuild_at_work", detail },
            CopyError::NoRebuild => Self::Conflict { code: "no_rebuild", detail },
            CopyError::NothingKept => Self::Conflict { code: "nothing_kept", detail },
            CopyError::Store(_) => Self::Unavailable(fault.into()),
        }
    }
}
