//! The progress of the projections.

use axum::Json;
use axum::extract::State;
use honoken_event_store::EventLog;
use honoken_projections::{VERSION, WALLET};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::openapi::examples;
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// All projections.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = examples::projections)]
pub struct Projections {
    #[schema(value_type = Vec<Projection>)]
    projections: [Projection; 1],
}

#[derive(Debug, Serialize, ToSchema)]
struct Projection {
    name: &'static str,
    version: i64,
    position: u64,
    head: u64,
    parked: u64,
    /// A rebuild that runs over HTTP. No such call exists yet, so the value is always `null`: `honoken rebuild` is a command, which on Postgres may
    /// run beside the service.
    #[schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>, required = true)]
    rebuild: Option<()>,
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
    let head = app.log.head().borrow().0;
    let projection = Projection {
        name: WALLET,
        version: VERSION,
        position: app.read_model.checkpoint(WALLET).await?.0,
        head,
        parked: app.read_model.parked_count(WALLET).await?,
        rebuild: None,
    };
    Ok(Json(Projections { projections: [projection] }))
}
