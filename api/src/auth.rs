//! Who may ask: a phone for one pass, an integrator for its organisation, an operator for everything.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use honoken_domain::ids::{Digest, OrganizationId, PassId};
use honoken_projections::wallet_pass::PassRow;
use http::request::Parts;
use http::{HeaderMap, header};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::app::{App, AppState};
use crate::config::AdminCredentials;
use crate::error::ApiError;
use crate::path::Segments;
use crate::request_context;

/// The pass that a phone has shown its token for.
///
/// Unknown type, unknown serial, wrong, missing and malformed token are one answer after the same work: a caller learns nothing, neither from
/// the answer nor from its time, not even that a serial exists. (What cannot be the name of a pass is refused sooner: the caller can see that itself.)
#[derive(Debug, Clone)]
pub struct AuthorizedPass {
    /// Which pass.
    pub id: PassId,
    /// Its row as it was when the token was compared.
    pub row: PassRow,
}

/// Stands in for the token of a pass that does not exist, so that the comparison takes place all the same.
const NO_TOKEN: &[u8; 43] = b"-------------------------------------------";

impl FromRequestParts<AppState> for AuthorizedPass {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let Ok(segments) = Segments::from_request_parts(parts, app).await;
        let shown = credentials(&parts.headers, &["ApplePass", "AndroidPass"]).unwrap_or_default();
        // A name that cannot exist is told from the request alone, so nothing is looked up for it.
        let Some(id) = segments.pass() else { return Err(ApiError::UnauthorizedDevice) };
        let row = app.read_model.pass_row_that_opens(&id, |row| is_token_of(row, shown)).await?;
        let row = row.ok_or(ApiError::UnauthorizedDevice)?;
        request_context::caller_is_known();
        Ok(Self { id, row })
    }
}

fn is_token_of(row: Option<&PassRow>, shown: &str) -> bool {
    let expected = row.map_or(&NO_TOKEN[..], |row| row.authentication_token.as_str().as_bytes());
    let same = bool::from(shown.as_bytes().ct_eq(expected));
    same && row.is_some()
}

/// The organisation whose API key was sent.
#[derive(Debug, Clone)]
pub struct Integrator {
    /// Which organisation.
    pub organization_id: OrganizationId,
    /// Who it is in the metadata of events: the beginning of the key's digest.
    pub actor: String,
}

impl FromRequestParts<AppState> for Integrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let key = credentials(&parts.headers, &["Bearer"]).ok_or(ApiError::UnauthorizedKey)?;
        let Some(integrator) = Self::with_key(app, key).await? else {
            let client = app.rates.client(&parts.headers, parts.extensions.get().copied());
            return Err(app.rates.key_was_wrong(client));
        };
        app.rates.organization_asks(&integrator.organization_id).await?;
        Ok(integrator)
    }
}

impl Integrator {
    /// Whose API key this is; nobody's when it is none.
    ///
    /// # Errors
    /// 503 when the read model cannot be asked.
    pub async fn with_key(app: &App, key: &str) -> Result<Option<Self>, ApiError> {
        // The digest is looked up, not the key: nothing that a caller can vary tells how much of a key was right.
        let digest = Digest::of(key.as_bytes());
        let organization_id = app.read_model.organization_of_key(&digest).await?;
        let actor = format!("api-key:{}", &digest.as_str()[..12]);
        Ok(organization_id.map(|organization_id| {
            request_context::caller_is_known();
            Self { organization_id, actor }
        }))
    }
}

/// Lets only the operator through.
///
/// # Errors
/// 401 for everybody else, 429 for a client that was wrong too often.
pub async fn require_operator(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let shown = credentials(request.headers(), &["Basic"]).ok_or(ApiError::UnauthorizedOperator)?;
    let client = app.rates.client(request.headers(), request.extensions().get().copied());
    let shown = STANDARD.decode(shown).unwrap_or_default();
    let is_right = || app.admin.as_ref().is_some_and(|admin| is_operator(admin, &shown));
    if !app.rates.compare_password(client, is_right)? {
        return Err(ApiError::UnauthorizedOperator);
    }
    request_context::caller_is_known();
    Ok(next.run(request).await)
}

fn is_operator(admin: &AdminCredentials, shown: &[u8]) -> bool {
    let expected = format!("{}:{}", admin.username, admin.password.expose_secret());
    bool::from(shown.ct_eq(expected.as_bytes()))
}

/// What follows one of the schemes, which are compared without regard to case (RFC 9110 section 11.1).
fn credentials<'a>(headers: &'a HeaderMap, schemes: &[&str]) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)).then(|| credentials.trim_matches(' '))
}
