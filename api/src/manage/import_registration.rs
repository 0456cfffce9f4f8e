//! Register a device in the place of its phone, since another service has known it.

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::PushToken;
use honoken_domain::pass::PassCommand;
use honoken_service::limits as service_limits;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::device::registration::DeviceRequest;
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields};
use crate::extractors::path::Segments;
use crate::limits;
use crate::manage::change::Change;
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::MANAGE;
use crate::openapi::{examples, schemas};

/// The means to wake the phone.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImportedRegistration, rename_all = "camelCase", example = examples::registration)]
struct Body {
    /// The push token that the other service has stored.
    #[schema(schema_with = schemas::push_token)]
    push_token: PushToken,
}

/// The result of registering a device.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = examples::registration_answer)]
struct RegistrationAnswer {
    pass_type_identifier: String,
    serial_number: String,
    /// The beginning of the device library identifier.
    device: String,
    /// Whether the device, or its push token, is new.
    changed: bool,
    /// Whether readers see the registration already.
    projected: bool,
}

/// `PUT /manage/v1/passes/{type}/{serial}/registrations/{device}`
///
/// Registers the device as the phone itself would have: it is listed, unregistered and woken like any other. No phone is woken by this call.
///
/// A repeated call does nothing, and another push token takes the place of the one that was imported before. The phone's own word is not changed:
/// once it has registered here, the push token that it sent stays, and a pass that it has removed is not registered again. The answer is 200 then,
/// too.
///
/// # Errors
/// 400 for a device that cannot be named so, 401, 403, 404, 409 when the pass is retired, 412, 415, 422, 429, 503.
#[utoipa::path(
    put, path = "/manage/v1/passes/{type}/{serial}/registrations/{device}", tag = MANAGE,
    operation_id = "importRegistration", summary = "Register a device that another service has known",
    request_body = Body,
    responses(
        (status = 201, body = RegistrationAnswer, description = "The registration is new."),
        (status = 200, body = RegistrationAnswer, description = "The registration was there already."),
        NotFound, Conflict, PreconditionFailed, UnsupportedMediaType, Unacceptable,
    ),
)]
pub async fn handler(change: Change, segments: Segments, request: Request) -> Result<Response, ApiError> {
    let body = json_body::read_json(request, limits::REGISTRATION_BYTES).await?;
    let Body { push_token } = read(body)?;
    let device = segments.device().ok_or_else(|| {
        let rule = "the device library identifier in the path must have 1 to 256 characters and no control characters";
        ApiError::unreadable("invalid", "", rule)
    })?;
    let pass_type = change.own_pass_type().await?;
    // Only the pass itself knows whether it was issued and is not retired, however far the read model is.
    change.dispatch(pass_type, PassCommand::AdmitDevice).await?;

    let Change { app, integrator, id, request_id, .. } = &change;
    let organization = Some(integrator.organization_id.as_str());
    let metadata = app.metadata(integrator.actor.clone(), organization, &request_id.0);
    let of_device = DeviceRequest::new(app, device.clone(), id.clone(), None, request_id);
    let registered = of_device.import(push_token, &metadata).await?;
    let projected = app.projector.shows(&registered.committed, service_limits::VISIBLE).await;
    let answer = RegistrationAnswer {
        pass_type_identifier: id.pass_type_identifier.to_string(),
        serial_number: id.serial_number.to_string(),
        device: device.shortened(),
        changed: !registered.committed.events.is_empty(),
        projected,
    };
    let status = if registered.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer)).into_response())
}

fn read(body: Value) -> Result<Body, ApiError> {
    let mut fields = Fields::of(body)?;
    let push_token = fields.required("pushToken");
    let push_token = fields.parse("pushToken", push_token, PushToken::parse);
    fields.finish()?;
    // A missing or faulty one was recorded as a fault, and `finish` has refused the body.
    let push_token = push_token.ok_or_else(|| ApiError::Internal("a faulty body was accepted".into()))?;
    Ok(Body { push_token })
}
