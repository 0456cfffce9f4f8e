//! Issue a pass.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use honoken_domain::content::Content;
use honoken_domain::ids::{AuthenticationToken, Digest, PassId, PassTypeIdentifier, SerialNumber};
use honoken_domain::images::Images;
use honoken_domain::localizations::Localizations;
use honoken_domain::organization::Scope;
use honoken_domain::pass::{IssuePass, OrderedToken, PassCommand, PassError, PassKind, TicketStyle};
use honoken_event_store::DispatchError;
use honoken_pkpass::Finding;
use honoken_pkpass::image::{ImageFile, PngHeader};
use honoken_projections::pass_types::PassTypeRow;
use honoken_service::blobs::BlobError;
use honoken_service::ids;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::integrator::Integrator;
use crate::causes::blob_error;
use crate::error::ApiError;
use crate::extractors::json_body::{self, Fields, escape};
use crate::extractors::request_id::RequestId;
use crate::limits;
use crate::manage::change::{self, Change};
use crate::manage::{idempotency_key, left_out, localizations, uploads};
use crate::openapi::answers::{Changed, Issued};
use crate::openapi::parameters::{IdempotencyKey, IfMatch};
use crate::openapi::problems::{Conflict, PreconditionFailed, Unacceptable, UnsupportedMediaType};
use crate::openapi::tags::MANAGE;
use crate::openapi::{examples, schemas};
use crate::state::{App, AppState};

/// The order, with every name checked.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PassOrder, rename_all = "camelCase", example = examples::order)]
pub(super) struct Order {
    /// A pass type of the organisation.
    #[schema(schema_with = schemas::pass_type_identifier)]
    pub(super) pass_type_identifier: PassTypeIdentifier,
    /// Unique within the pass type. If it is missing, the service makes one.
    #[schema(schema_with = schemas::optional_serial_number, required = false)]
    pub(super) serial_number: Option<SerialNumber>,
    #[schema(schema_with = schemas::ticket_styles)]
    pub(super) ticket_style: TicketStyle,
    /// Whether to use the poster layout of iOS 18, which needs a `background` or an `artwork` image.
    #[schema(value_type = Option<bool>, required = false)]
    pub(super) poster: bool,
    #[schema(value_type = schemas::Content)]
    pub(super) content: Content,
    /// Own images: file name and the digest of an image that the organisation has uploaded, or that its passes fall back to anyway.
    #[schema(schema_with = schemas::optional_images, required = false)]
    pub(super) assets: Images,
    /// Texts in other languages, by language. Each stands in place of the text of the content that is its key.
    #[schema(schema_with = schemas::optional_localizations, required = false)]
    pub(super) localizations: Localizations,
    /// For a pass that another service has issued, by a key with the scope `passes:import`: the token in the pass on the phones. If it is missing,
    /// the service makes one.
    #[schema(schema_with = schemas::authentication_token, required = false)]
    pub(super) authentication_token: Option<AuthenticationToken>,
    /// Whether the pass is void from its first moment: for one that another service has issued and voided, by a key with the scope `passes:import`.
    #[schema(value_type = Option<bool>, required = false)]
    pub(super) voided: bool,
    #[schema(ignore)]
    pub(super) warnings: Vec<Finding>,
}

/// `POST /manage/v1/passes`
///
/// The answer is 201 if the pass is new, and 200 if the same order was carried out before, however long ago. An `authenticationToken` is a part of
/// the order: with another one than the pass was issued with, the answer is 409 (`issued_with_another_token`). An order without one is the same
/// order whatever the token is.
///
/// # Errors
/// 400, 401, 403 when the key may not do this, 409 when the serial number is taken, 413, 415, 422 with pointers, 503.
#[utoipa::path(
    post, path = "/manage/v1/passes", tag = MANAGE,
    operation_id = "issuePass", summary = "Issue a pass",
    params(IdempotencyKey, IfMatch), request_body = Order,
    responses(Issued, Changed, Conflict, PreconditionFailed, UnsupportedMediaType, Unacceptable),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    request_id: RequestId,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let body = json_body::read_json(request, limits::JSON_BYTES).await?;
    let order = read(body)?;
    if order.authentication_token.is_some() || order.voided {
        integrator.require(&[Scope::PassesImport])?;
    }
    let pass_type = own_pass_type(&app, &integrator, &order.pass_type_identifier).await?;
    let sizes = measure_own_images(&app, &integrator, &pass_type, &order.assets).await?;

    let key = if order.serial_number.is_some() { None } else { idempotency_key::of(&headers)? };
    let serial_number = match (order.serial_number, key) {
        (Some(serial_number), _) => serial_number,
        (None, Some(key)) => {
            ids::serial_number_for_key(&integrator.organization_id, &order.pass_type_identifier, key)
        }
        (None, None) => ids::serial_number(&*app.ids, app.clock.unix_ms()),
    };
    let id = PassId { pass_type_identifier: order.pass_type_identifier, serial_number };
    let precondition = change::if_match(&headers);
    let change =
        Change { app: app.clone(), integrator, request_id, id: id.clone(), precondition, urgent: false };
    let command = PassCommand::Issue(Box::new(IssuePass {
        id,
        ticket_style: order.ticket_style,
        poster: order.poster,
        content: order.content,
        assets: order.assets,
        localizations: order.localizations,
        authentication_token: ordered_token(order.authentication_token, &app),
        voided: order.voided,
    }));
    let committed = change.try_dispatch(pass_type, command).await.map_err(|fault| match fault {
        // The serial number comes from the key, so the fault is the reused key.
        DispatchError::Refused(PassError::AlreadyIssued) if key.is_some() => ApiError::Conflict {
            code: "idempotency_key_reused",
            detail: "this `Idempotency-Key` was sent with another order; choose a new key for a new order"
                .into(),
        },
        fault => fault.into(),
    })?;
    let mut warnings = order.warnings;
    warnings.extend(change::image_warnings(&committed, &sizes));
    warnings.extend(change::localization_warnings(&committed));
    warnings.extend(left_out::of(&committed.aggregate, "/content"));
    let answer = change.answer(&committed, warnings).await?;
    Ok(if change::is_issue(&committed.events) { answer.created() } else { answer.into_response() })
}

/// The token that an order names, or a fresh one.
pub(super) fn ordered_token(named: Option<AuthenticationToken>, app: &App) -> OrderedToken {
    named.map_or_else(|| OrderedToken::Fresh(ids::authentication_token(&*app.ids)), OrderedToken::Known)
}

/// Reads an order, strictly.
///
/// # Errors
/// 422 with every fault.
pub(super) fn read(body: Value) -> Result<Order, ApiError> {
    let mut fields = Fields::of(body)?;
    let pass_type = fields.required("passTypeIdentifier");
    let pass_type_identifier = fields.parse("passTypeIdentifier", pass_type, PassTypeIdentifier::parse);
    let serial_number = fields.optional("serialNumber");
    let serial_number = fields.parse("serialNumber", serial_number, SerialNumber::parse);
    let style = fields.required("ticketStyle");
    let ticket_style = fields.parse("ticketStyle", style, |name| read_style(&name));
    let poster = fields.optional_bool("poster").unwrap_or_default();
    let content = match fields.required("content").map(Content::from_value) {
        Some(Ok(content)) => Some(content),
        Some(Err(fault)) => {
            fields.fault("wrong_type", "/content", fault.to_string());
            None
        }
        None => None,
    };
    let assets = assets(&mut fields);
    let localizations = localizations::in_order(&mut fields);
    let token = fields.optional("authenticationToken");
    let authentication_token = fields.parse("authenticationToken", token, AuthenticationToken::parse);
    let voided = fields.optional_bool("voided").unwrap_or_default();
    let mut warnings = Vec::new();
    if let (Some(ticket_style), Some(content)) = (ticket_style, &content) {
        let (faults, found) = change::lint(PassKind { style: ticket_style, poster }, content, "/content");
        for fault in faults {
            fields.note(fault);
        }
        warnings = found;
    }
    fields.finish()?;
    match (pass_type_identifier, ticket_style, content) {
        (Some(pass_type_identifier), Some(ticket_style), Some(content)) => Ok(Order {
            pass_type_identifier,
            serial_number,
            ticket_style,
            poster,
            content,
            assets,
            localizations,
            authentication_token,
            voided,
            warnings,
        }),
        // Each missing field was recorded as a fault, and `finish` has refused the body.
        _ => Err(ApiError::Internal("a faulty order was accepted".into())),
    }
}

/// Reads the name of a style.
///
/// # Errors
/// A sentence that names the known styles.
pub fn read_style(name: &str) -> Result<TicketStyle, String> {
    let known = TicketStyle::NAMES.join("`, `");
    TicketStyle::parse(name).map_err(|_| format!("`ticketStyle` must be one of `{known}`"))
}

fn assets(fields: &mut Fields) -> Images {
    let mut images = Images::new();
    let object = match fields.optional("assets") {
        None => return images,
        Some(Value::Object(object)) => object,
        Some(_) => {
            fields.fault("wrong_type", "/assets", "`assets` must be an object of file name and digest");
            return images;
        }
    };
    for (file, digest) in object {
        let pointer = format!("/assets/{}", escape(&file));
        if let Err(fault) = ImageFile::parse(&file) {
            fields.fault("unknown_image", &pointer, fault.to_string());
        }
        match digest.as_str().map(Digest::parse) {
            Some(Ok(digest)) => {
                images.insert(file, digest);
            }
            Some(Err(fault)) => fields.fault("invalid", &pointer, fault.to_string()),
            None => fields.fault(
                "wrong_type",
                &pointer,
                "must be the digest that `POST /manage/v1/blobs` returned",
            ),
        }
    }
    images
}

/// In a body, a pass type that is unknown or belongs to another organisation is a fault of the body, not a missing path.
///
/// # Errors
/// 422, 503.
pub(super) async fn own_pass_type(
    app: &App,
    integrator: &Integrator,
    identifier: &PassTypeIdentifier,
) -> Result<PassTypeRow, ApiError> {
    let pass_type = app.read_model.pass_type(identifier).await?;
    pass_type.filter(|pass_type| pass_type.organization_id == integrator.organization_id).ok_or_else(|| {
        ApiError::fault(
            "unknown_pass_type",
            "/passTypeIdentifier",
            format!("your organisation has no pass type `{identifier}`"),
        )
    })
}

/// Measures the images, and so checks that the organisation may name every one of them, and that it exists.
///
/// # Errors
/// 422 with every fault, 503.
pub(super) async fn measure_own_images(
    app: &App,
    integrator: &Integrator,
    pass_type: &PassTypeRow,
    assets: &Images,
) -> Result<BTreeMap<ImageFile, PngHeader>, ApiError> {
    let (organization_id, defaults) = (&integrator.organization_id, &pass_type.default_images);
    let refused = uploads::forbidden_digests(app, organization_id, defaults, assets).await?;
    measure_images(app, assets, &refused).await
}

/// Measures the images, and so checks that every one of them exists. One that the organisation may not name counts as missing. While the image
/// store is away, images are taken for what they were when they were uploaded, and not measured.
async fn measure_images(
    app: &App,
    assets: &Images,
    refused: &BTreeSet<Digest>,
) -> Result<BTreeMap<ImageFile, PngHeader>, ApiError> {
    let (mut sizes, mut faults) = (BTreeMap::new(), Vec::new());
    for (file, digest) in assets {
        let measured = match ImageFile::parse(file) {
            Ok(_) if refused.contains(digest) => Err(BlobError::Unknown(digest.clone())),
            Ok(name) => app.blobs.measure(digest).await.map(|size| (name, size)),
            Err(fault) => Err(fault.into()),
        };
        match measured {
            Ok((name, size)) => {
                sizes.insert(name, size);
            }
            Err(BlobError::Store(fault)) => {
                tracing::warn!("an image is named without having been measured: {fault}");
            }
            Err(fault) => match blob_error(fault, &format!("/assets/{}", escape(file))) {
                ApiError::Unacceptable { errors } => faults.extend(errors),
                other => return Err(other),
            },
        }
    }
    if faults.is_empty() { Ok(sizes) } else { Err(ApiError::Unacceptable { errors: faults }) }
}
