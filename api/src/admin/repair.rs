//! A pass of which an event cannot be read, made changeable again.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_domain::localizations::Localizations;
use honoken_domain::pass::{Circumstances, Pass, Precondition};
use honoken_projections::pass_types::PassTypeRow;
use honoken_service::limits;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::operator::Operator;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::extractors::request_id::RequestId;
use crate::openapi::examples;
use crate::openapi::problems::{Conflict, NotFound};
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// What became of the pass.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepairedPass, example = examples::repaired)]
struct Repaired {
    /// Whether it was stated anew; `false` if every event of it can be read.
    changed: bool,
    /// Whether readers see it already.
    projected: bool,
    /// The position of the event that states it; 0 if there is none.
    position: u64,
}

/// `POST /admin/passes/{type}/{serial}/repair`
///
/// States everything that is known about a pass in one event, after an event of it that cannot be read was skipped. From then on the pass can be
/// changed again. Its phones are woken and get the state without the skipped event.
///
/// # Errors
/// 401, 404, 409 while an event of the pass is parked, 503.
#[utoipa::path(
    post, path = "/passes/{type}/{serial}/repair", tag = ADMIN,
    operation_id = "repairPass", summary = "State a pass anew after a damaged event was skipped",
    responses((status = 202, body = Repaired, description = "The pass can be changed again."), NotFound, Conflict),
)]
pub async fn handler(
    State(app): State<AppState>,
    operator: Operator,
    request_id: RequestId,
    segments: Segments,
) -> Result<Response, ApiError> {
    let id = segments.pass().ok_or(ApiError::NO_PASS)?;
    // A pass whose first event is lost has no row, and nothing that could be stated.
    let found = app.read_model.pass_type_of(&id).await?;
    let (pass_type, _) = found.filter(|(_, kind)| kind.is_some()).ok_or(ApiError::NO_PASS)?;
    if app.projector.progress().borrow().holds_up::<Pass>(&id.to_string()) {
        return Err(ApiError::PassParked("the event has to be retried or skipped first".into()));
    }
    let metadata = app.metadata(operator.actor(), Some(pass_type.organization_id.as_str()), &request_id.0);
    let circumstances = circumstances(&app, pass_type);
    let committed = app.dispatcher.repair_pass(&id, &circumstances, &metadata).await?;
    let repaired = match committed {
        None => Repaired { changed: false, projected: true, position: 0 },
        Some(committed) => Repaired {
            changed: true,
            projected: app.projector.shows(&committed, limits::VISIBLE).await,
            position: committed.position.0,
        },
    };
    Ok((StatusCode::ACCEPTED, Json(repaired)).into_response())
}

/// Nothing of the pass is resolved anew, so the defaults do not matter.
fn circumstances(app: &AppState, pass_type: PassTypeRow) -> Circumstances {
    Circumstances {
        now: app.clock.unix_seconds(),
        organization_id: pass_type.organization_id,
        default_images: pass_type.default_images,
        default_localizations: Localizations::default(),
        allows_nfc: pass_type.allows_nfc,
        precondition: Precondition::None,
        rules: |_, _| Vec::new(),
    }
}
