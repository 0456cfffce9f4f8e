//! Say what a phone would make of a pass, without issuing it.

use axum::Json;
use axum::extract::{Request, State};
use honoken_domain::content::Content;
use honoken_domain::ids::PassId;
use honoken_domain::localizations;
use honoken_domain::pass::{
    Circumstances, IssuePass, Pass, PassCommand, PassKind, Precondition, TicketStyle,
};
use honoken_pkpass::{Finding, Severity, lint_localizations, reader};
use honoken_service::{content_rules, ids};
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::auth::integrator::Integrator;
use crate::causes::Refusal;
use crate::error::ApiError;
use crate::extractors::json_body;
use crate::extractors::query::Parameters;
use crate::limits;
use crate::manage::{change, issue, left_out};
use crate::openapi::examples;
use crate::openapi::parameters::OfStyle;
use crate::openapi::problems::{Unacceptable, UnsupportedMediaType};
use crate::openapi::schemas::{Judgement, LintedPass, PassBytes};
use crate::openapi::tags::MANAGE;
use crate::state::{App, AppState};

/// The query parameter that says what a bare pass.json is drawn as.
const TICKET_STYLE: &str = "ticketStyle";

/// What a phone would make of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LintReport, example = examples::lint_report)]
struct Report {
    /// Whether a phone takes it: there is no error among the findings.
    acceptable: bool,
    /// What was found, errors first.
    #[schema(value_type = Vec<Judgement>)]
    findings: Vec<Finding>,
}

impl Report {
    fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.severity);
        Self { acceptable: !findings.iter().any(Finding::is_error), findings }
    }
}

/// `POST /manage/v1/lint`
///
/// Says what a phone would refuse, ignore or show otherwise, and changes nothing. The body is the order of a pass, as it would be sent to
/// issue it; or a `pass.json`, whose `ticketStyle` is named in the query when its style dictionary does not tell; or a signed file as
/// `application/vnd.apple.pkpass`. Pointers are into the body; of a file, images are below `/assets` and its other files below `/files`.
///
/// # Errors
/// 400, 401, 413, 415, 422 when the style cannot be told, 503.
#[utoipa::path(
    post, path = "/manage/v1/lint", tag = MANAGE,
    operation_id = "lintPass", summary = "Check a pass without issuing it",
    params(OfStyle),
    request_body(content((LintedPass = "application/json"), (PassBytes = "application/vnd.apple.pkpass"))),
    responses(
        (status = 200, body = Report, description = "What was found; nothing was changed or kept."),
        UnsupportedMediaType, Unacceptable,
    ),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    request: Request,
) -> Result<Json<impl Serialize>, ApiError> {
    let style = Parameters::of(request.uri(), &[TICKET_STYLE])?.take(TICKET_STYLE);
    let style =
        style.map(|name| issue::read_style(&name).map_err(crate::extractors::query::fault)).transpose()?;
    if is_file(request.headers()) {
        let bytes = json_body::read(request, limits::INSPECTED_BYTES).await?;
        let inspection = app.doctor.for_integrator(bytes, &app.options.doctor.trust).await?;
        return Ok(Json(Report { acceptable: inspection.valid, findings: inspection.all_findings() }));
    }
    let body = json_body::read_json(request, limits::JSON_BYTES).await?;
    let findings = match body {
        Value::Object(pass) if style.is_some() || !is_order(&pass) => of_pass_json(pass, style)?,
        order @ Value::Object(_) => of_order(&app, &integrator, order).await?,
        _ => {
            let detail = "the body must be a JSON object: the order of a pass, or a pass.json";
            return Err(ApiError::fault("wrong_type", "", detail));
        }
    };
    Ok(Json(Report::of(findings)))
}

fn is_file(headers: &HeaderMap) -> bool {
    let essence = json_body::essence(headers);
    matches!(
        essence.as_deref(),
        Some(
            "application/vnd.apple.pkpass"
                | "application/vnd.apple.pkpasses"
                | "application/zip"
                | "application/octet-stream"
        )
    )
}

/// An order has its content in a member; a pass.json is its own content.
fn is_order(body: &Map<String, Value>) -> bool {
    ["content", "ticketStyle", "assets"].iter().any(|key| body.contains_key(*key))
        || !(body.contains_key("formatVersion") || style_of(body).is_some())
}

/// The style whose dictionary is there.
fn style_of(pass: &Map<String, Value>) -> Option<TicketStyle> {
    TicketStyle::ALL.into_iter().find(|style| pass.contains_key(style.pass_json_key()))
}

fn of_pass_json(pass: Map<String, Value>, style: Option<TicketStyle>) -> Result<Vec<Finding>, ApiError> {
    let Some(ticket_style) = style.or_else(|| style_of(&pass)) else {
        let known = TicketStyle::NAMES.join("`, `");
        return Err(ApiError::fault(
            "required",
            "",
            format!("the style cannot be told: name it in the query, `?ticketStyle=` one of `{known}`"),
        ));
    };
    let mut findings = reader::check_service_keys(&pass);
    let content = Content::from_value(Value::Object(reader::content_of(pass)));
    match content {
        Ok(content) => {
            let (faults, warnings) = change::lint(PassKind::plain(ticket_style), &content, "");
            findings.extend(faults.into_iter().map(error));
            findings.extend(warnings);
        }
        Err(fault) => findings.push(error(crate::error::Fault::new("wrong_type", "", fault.to_string()))),
    }
    Ok(findings)
}

/// Everything that issuing it would refuse, but for its serial number, and everything it would warn of.
async fn of_order(app: &App, integrator: &Integrator, body: Value) -> Result<Vec<Finding>, ApiError> {
    let order = match refusals(issue::read(body))? {
        Ok(order) => order,
        Err(findings) => return Ok(findings),
    };
    let mut findings = order.warnings.clone();
    let pass_type = match refusals(issue::own_pass_type(app, integrator, &order.pass_type_identifier).await)?
    {
        Ok(pass_type) => pass_type,
        Err(refused) => {
            findings.extend(refused);
            return Ok(findings);
        }
    };
    let kind = PassKind { style: order.ticket_style, poster: order.poster };
    let sizes = issue::measure_own_images(app, integrator, &pass_type, &order.assets).await;
    match refusals(sizes)? {
        Ok(sizes) => {
            findings.extend(change::own_image_warnings(kind, &order.assets, &sizes));
        }
        Err(refused) => findings.extend(refused),
    }
    let shown = localizations::resolve(&order.localizations, &pass_type.default_localizations);
    findings.extend(lint_localizations(kind, order.content.as_map(), &[], &shown));
    let serial_number =
        order.serial_number.unwrap_or_else(|| ids::serial_number(&*app.ids, app.clock.unix_ms()));
    let circumstances = Circumstances {
        now: app.clock.unix_seconds(),
        organization_id: integrator.organization_id.clone(),
        default_images: pass_type.default_images,
        default_localizations: pass_type.default_localizations,
        allows_nfc: pass_type.allows_nfc,
        precondition: Precondition::None,
        rules: content_rules::refusals,
    };
    let command = PassCommand::Issue(Box::new(IssuePass {
        id: PassId { pass_type_identifier: order.pass_type_identifier, serial_number },
        ticket_style: order.ticket_style,
        poster: order.poster,
        content: order.content,
        assets: order.assets,
        localizations: order.localizations,
        authentication_token: issue::ordered_token(order.authentication_token, app),
        voided: order.voided,
    }));
    // A pass that nobody has issued yet decides as every new one does; its events are thrown away.
    let decided = Pass::default().decide(command, &circumstances).map_err(Refusal::into_api_error);
    match refusals(decided)? {
        Ok(events) => findings.extend(left_out::when_issued(&events, "/content")),
        Err(refused) => findings.extend(refused),
    }
    Ok(findings)
}

/// The faults of a body as findings; any other refusal stays one.
fn refusals<T>(result: Result<T, ApiError>) -> Result<Result<T, Vec<Finding>>, ApiError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(ApiError::Unacceptable { errors }) => Ok(Err(errors.into_iter().map(error).collect())),
        Err(other) => Err(other),
    }
}

fn error(fault: crate::error::Fault) -> Finding {
    Finding {
        severity: Severity::Error,
        code: fault.code.into(),
        pointer: fault.pointer,
        detail: fault.detail,
    }
}
