//! Change the style of a pass.

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use honoken_domain::pass::{PassCommand, PassError, TicketStyle};
use honoken_event_store::DispatchError;
use honoken_pkpass::image::ImageSlot;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::{ApiError, Fault};
use crate::extractors::json_body::{self, Fields};
use crate::limits;
use crate::manage::change::{self, Change};
use crate::manage::issue::read_style;
use crate::openapi::answers::Changed;
use crate::openapi::parameters::{IfMatch, Urgent};
use crate::openapi::problems::{Conflict, NotFound, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::MANAGE;
use crate::openapi::{examples, schemas};

/// The new style of the pass. A member that is missing stays as it is.
#[derive(Debug, ToSchema)]
#[schema(as = PassMetadata, rename_all = "camelCase", example = examples::metadata)]
struct Metadata {
    #[schema(schema_with = schemas::optional_ticket_styles, required = false)]
    ticket_style: Option<TicketStyle>,
    /// Whether to use the poster layout of iOS 18, which only event tickets have and which needs a `background` or an `artwork` image.
    #[schema(required = false)]
    poster: Option<bool>,
}

/// `PATCH /manage/v1/passes/{type}/{serial}`
///
/// The content has to fit the new style, and the images are chosen anew.
///
/// # Errors
/// 400, 401, 404, 409 when the pass is retired, 412, 413, 415, 422 when the content or the images do not fit, 503.
#[utoipa::path(
    patch, path = "/manage/v1/passes/{type}/{serial}", tag = MANAGE,
    operation_id = "changePassMetadata", summary = "Change the style of a pass",
    params(IfMatch, Urgent), request_body = Metadata,
    responses(Changed, NotFound, Conflict, PreconditionFailed, UnsupportedMediaType, Unacceptable),
)]
pub async fn handler(change: Change, request: Request) -> Result<Response, ApiError> {
    let pass_type = change.own_pass_type().await?;
    let body = json_body::read_json(request, limits::JSON_BYTES).await?;
    let Metadata { ticket_style, poster } = read(body)?;
    let command = PassCommand::ChangeMetadata { ticket_style, poster };
    let committed = change.try_dispatch(pass_type, command).await.map_err(refusal)?;
    let mut warnings = change::warnings(&committed);
    warnings.extend(change::image_warnings(&committed, &BTreeMap::new()));
    Ok(change.answer(&committed, warnings).await?.into_response())
}

fn read(body: Value) -> Result<Metadata, ApiError> {
    let mut fields = Fields::of(body)?;
    let style = fields.optional("ticketStyle");
    let ticket_style = fields.parse("ticketStyle", style, |name| read_style(&name));
    let poster = fields.optional_bool("poster");
    fields.finish()?;
    Ok(Metadata { ticket_style, poster })
}

/// Faults are in the pass, not in the body: their pointers are below `/content`, as in the state of the pass.
pub(super) fn refusal(fault: DispatchError<PassError>) -> ApiError {
    match fault {
        DispatchError::Refused(PassError::UnacceptableContent { faults }) => {
            let below = |fault| {
                let fault = Fault::from(fault);
                Fault { pointer: format!("/content{}", fault.pointer), ..fault }
            };
            ApiError::Unacceptable { errors: faults.into_iter().map(below).collect() }
        }
        DispatchError::Refused(fault @ PassError::MissingImage { one_of }) => {
            let asked_by = if one_of.contains(&ImageSlot::Icon) { "/ticketStyle" } else { "/poster" };
            ApiError::fault("missing_image", asked_by, fault.to_string())
        }
        fault => fault.into(),
    }
}
