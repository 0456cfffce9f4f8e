//! Messages that can never succeed: list them, retry them, drop them.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use honoken_domain::rfc3339;
use honoken_pushers::ledger::ParkedMessage;
use honoken_pushers::ledger::operator::RetryError;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::openapi::answers::Done;
use crate::openapi::examples;
use crate::openapi::problems::{Conflict, NotFound};
use crate::openapi::tags::ADMIN;
use crate::state::AppState;

/// The most messages in one answer.
const LIMIT: u32 = 200;

const NO_MESSAGE: ApiError = ApiError::NotFound { what: "parked message" };

/// Messages that can never succeed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = examples::parked_messages)]
pub struct ParkedMessages {
    messages: Vec<Message>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ParkedMessage)]
struct Message {
    id: String,
    /// The beginning of the message, as it arrived.
    payload: String,
    /// The reason why it cannot be processed.
    reason: String,
    /// The id of the request that led to the message.
    #[schema(required = true)]
    request_id: Option<String>,
    #[schema(format = DateTime)]
    parked_at: String,
}

impl From<ParkedMessage> for Message {
    fn from(parked: ParkedMessage) -> Self {
        let ParkedMessage { id, payload, reason, request_id, parked_at_ms } = parked;
        Self { id, payload, reason, request_id, parked_at: rfc3339::milliseconds(parked_at_ms) }
    }
}

/// `GET /admin/pushing/messages`
///
/// # Errors
/// 401, 503.
#[utoipa::path(
    get, path = "/pushing/messages", tag = ADMIN,
    operation_id = "listParkedMessages", summary = "List the parked messages",
    responses((status = 200, body = ParkedMessages, description = "The last 200 parked messages, the newest first.")),
)]
pub async fn list(State(app): State<AppState>) -> Result<Json<ParkedMessages>, ApiError> {
    let messages = app.ledger.parked_messages(LIMIT).await?;
    Ok(Json(ParkedMessages { messages: messages.into_iter().map(Message::from).collect() }))
}

/// `POST /admin/pushing/messages/{message}/retry`
///
/// For a message that a newer release understands. It wakes phones if the pass still has the state that the message names.
///
/// # Errors
/// 401, 404, 409 when it can still not be understood, 503.
#[utoipa::path(
    post, path = "/pushing/messages/{message}/retry", tag = ADMIN,
    operation_id = "retryParkedMessage", summary = "Try a parked message again", responses(Done, NotFound, Conflict),
)]
pub async fn retry(State(app): State<AppState>, segments: Segments) -> Result<StatusCode, ApiError> {
    let id = named(&segments)?;
    app.ledger.retry_message(&app.read_model, &id, app.clock.unix_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /admin/pushing/messages/{message}`
///
/// # Errors
/// 401, 404, 503.
#[utoipa::path(
    delete, path = "/pushing/messages/{message}", tag = ADMIN,
    operation_id = "dropParkedMessage", summary = "Drop a parked message", responses(Done, NotFound),
)]
pub async fn delete(State(app): State<AppState>, segments: Segments) -> Result<StatusCode, ApiError> {
    let id = named(&segments)?;
    if app.ledger.drop_message(&id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(NO_MESSAGE) }
}

/// The message that a path names. No message id has control characters, and Postgres rejects U+0000.
fn named(segments: &Segments) -> Result<Cow<'_, str>, ApiError> {
    segments.get("message").filter(|id| !id.contains(char::is_control)).ok_or(NO_MESSAGE)
}

impl From<RetryError> for ApiError {
    fn from(fault: RetryError) -> Self {
        match fault {
            RetryError::NotParked => NO_MESSAGE,
            RetryError::StillUnreadable(_) => {
                Self::Conflict { code: "still_unreadable", detail: fault.to_string() }
            }
            RetryError::Store(fault) => fault.into(),
        }
    }
}
