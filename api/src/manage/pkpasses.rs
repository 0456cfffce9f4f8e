//! Several passes in one file, for integrators to hand out together: the tickets of a family.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::ids::{PassId, PassTypeIdentifier, SerialNumber};
use honoken_pkpass::MAX_BUNDLE_PASSES;
use honoken_projections::passes::PassDocument;
use honoken_service::bundles::BundleError;
use http::{HeaderValue, header};
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::integrator::Integrator;
use crate::error::{ApiError, Fault};
use crate::extractors::json_body::{self, Fields};
use crate::layers::load_shedding::Admission;
use crate::limits;
use crate::openapi::answers::Bundle;
use crate::openapi::problems::{Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::MANAGE;
use crate::openapi::{examples, schemas};
use crate::state::{App, AppState};

/// The passes of a bundle.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BundleOrder, example = examples::bundle)]
struct BundleOrder {
    /// In the order in which a phone shows them.
    #[schema(min_items = 1, max_items = 10)]
    #[expect(dead_code, reason = "read field by field, so that every fault has a pointer")]
    passes: Vec<BundledPass>,
}

/// A pass of the organisation.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read field by field, so that every fault has a pointer")]
struct BundledPass {
    #[schema(schema_with = schemas::pass_type_identifier)]
    pass_type_identifier: PassTypeIdentifier,
    #[schema(schema_with = schemas::serial_number)]
    serial_number: SerialNumber,
}

/// `POST /manage/v1/pkpasses`
///
/// Answers with a bundle that a phone adds in one step: up to ten passes or 150 MB. Every pass must exist and may be named once.
///
/// Apple: <https://developer.apple.com/documentation/walletpasses/distributing-and-updating-a-pass>
///
/// # Errors
/// 400, 401, 413, 415, 422 with pointers, 503.
#[utoipa::path(
    post, path = "/manage/v1/pkpasses", tag = MANAGE,
    operation_id = "bundlePasses", summary = "Get several signed passes in one file", request_body = BundleOrder,
    responses(Bundle, UnsupportedMediaType, Unacceptable),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    admission: Admission,
    request: Request,
) -> Result<Response, ApiError> {
    let ids = read(json_body::read_json(request, limits::JSON_BYTES).await?)?;
    let documents = own_documents(&app, &integrator, &ids).await?;
    admission.release();
    let mut bundle = app.bundles.begin().await?;
    for (id, document) in ids.iter().zip(documents) {
        let _permit = app.built_passes.permits().acquire().await?;
        bundle.add(app.built_passes.get(id, document, app.clock.unix_seconds()).await?)?;
    }
    let bundle = bundle.pack().await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apple.pkpasses")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"passes.pkpasses\"")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, bundle).into_response())
}

fn read(body: Value) -> Result<Vec<PassId>, ApiError> {
    let mut fields = Fields::of(body)?;
    let mut ids = Vec::new();
    match fields.required("passes") {
        None => {}
        Some(Value::Array(passes)) if !(1..=MAX_BUNDLE_PASSES).contains(&passes.len()) => fields.fault(
            "wrong_length",
            "/passes",
            format!("a bundle has 1 to {MAX_BUNDLE_PASSES} passes, this one has {}", passes.len()),
        ),
        Some(Value::Array(passes)) => {
            for (index, pass) in passes.into_iter().enumerate() {
                match read_pass(pass) {
                    Ok(id) if ids.contains(&id) => fields.fault(
                        "repeated",
                        format!("/passes/{index}"),
                        "this pass is named twice; leave one of them out",
                    ),
                    Ok(id) => ids.push(id),
                    Err(faults) => {
                        for fault in faults {
                            let pointer = format!("/passes/{index}{}", fault.pointer);
                            fields.note(Fault { pointer, ..fault });
                        }
                    }
                }
            }
        }
        Some(_) => fields.fault("wrong_type", "/passes", "`passes` must be an array of passes"),
    }
    fields.finish()?;
    Ok(ids)
}

fn read_pass(pass: Value) -> Result<PassId, Vec<Fault>> {
    let read = || {
        let mut fields = Fields::of(pass)?;
        let pass_type = fields.required("passTypeIdentifier");
        let pass_type_identifier = fields.parse("passTypeIdentifier", pass_type, PassTypeIdentifier::parse);
        let serial_number = fields.required("serialNumber");
        let serial_number = fields.parse("serialNumber", serial_number, SerialNumber::parse);
        fields.finish()?;
        Ok(pass_type_identifier.zip(serial_number))
    };
    match read() {
        Ok(Some((pass_type_identifier, serial_number))) => Ok(PassId { pass_type_identifier, serial_number }),
        Err(ApiError::Unacceptable { errors }) => Err(errors),
        // Each missing field was recorded as a fault, and `finish` has refused the pass.
        Ok(None) | Err(_) => Err(vec![Fault::new("wrong_type", "", "must be a pass")]),
    }
}

/// What the bundle is made of, if every pass is one of the caller's organisation.
async fn own_documents(
    app: &App,
    integrator: &Integrator,
    ids: &[PassId],
) -> Result<Vec<PassDocument>, ApiError> {
    let mut documents = Vec::with_capacity(ids.len());
    let mut errors = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let document = app.read_model.pass_document(id).await?;
        match document.filter(|document| document.organization_id == integrator.organization_id) {
            Some(document) => documents.push(document),
            None => errors.push(Fault::new(
                "unknown_pass",
                format!("/passes/{index}"),
                "your organisation has no such pass; issue it first",
            )),
        }
    }
    if errors.is_empty() { Ok(documents) } else { Err(ApiError::Unacceptable { errors }) }
}

impl From<BundleError> for ApiError {
    fn from(fault: BundleError) -> Self {
        match fault {
            BundleError::TooLarge { .. } => {
                Self::fault("bundle_too_large", "/passes", format!("{fault}; make two bundles"))
            }
            fault => Self::Internal(fault.into()),
        }
    }
}
