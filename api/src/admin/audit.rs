//! What operators did.

use axum::Json;
use axum::extract::State;
use honoken_domain::rfc3339;
use honoken_office::OfficeError;
use honoken_office::audit::Filter;
use http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extractors::query::Parameters;
use crate::openapi::examples;
use crate::openapi::parameters::{AuditAction, AuditActor, AuditCursor};
use crate::openapi::problems::Unacceptable;
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// A page of actions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Audit, example = examples::audit)]
pub struct Page {
    /// The latest first.
    entries: Vec<Entry>,
    /// The value of `cursor` for the next page; null on the last one.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Entry {
    /// When the action began.
    #[schema(format = DateTime)]
    at: String,
    /// The name of the operator; `command-line:` and the user of the operating system for a command such as `honoken keys`.
    actor: String,
    /// The client address; null when it is not known, and for a command.
    from: Option<String>,
    /// The name of the action: that of the operation in this document.
    action: String,
    /// The path below `/admin`.
    target: String,
    /// The status of the answer, or the exit status of a command (0 or 1); null when the request was given up, or the process ended.
    result: Option<i64>,
}

/// `GET /admin/audit`
///
/// Every request of an operator that changes something or may show a secret, the latest first, a hundred at a time.
///
/// # Errors
/// 401, 422, 503.
#[utoipa::path(
    get, path = "/audit", tag = ADMIN,
    operation_id = "listAudit", summary = "List what operators did",
    params(AuditCursor, AuditActor, AuditAction),
    responses((status = 200, body = Page, description = "A page of actions."), Unacceptable),
)]
pub async fn list(State(app): State<AppState>, uri: Uri) -> Result<Json<Page>, ApiError> {
    let mut parameters = Parameters::of(&uri, &["cursor", "actor", "action"])?;
    let mut take = |name| parameters.take(name);
    let (before, actor, action) = (take("cursor"), take("actor"), take("action"));
    let filter = Filter { before: before.as_deref(), actor: actor.as_deref(), action: action.as_deref() };
    let (entries, there_are_more) = app.office.actions(&filter).await?;
    let next = entries.last().filter(|_| there_are_more).map(|entry| entry.id.clone());
    let entries = entries.into_iter().map(|entry| Entry {
        at: rfc3339::milliseconds(entry.at_ms),
        actor: entry.actor,
        from: entry.from,
        action: entry.action,
        target: entry.target,
        result: entry.result,
    });
    Ok(Json(Page { entries: entries.collect(), next }))
}

impl From<OfficeError> for ApiError {
    fn from(fault: OfficeError) -> Self {
        Self::Unavailable(fault.into())
    }
}
