//! Authenticates an operator, and checks what the operator's role allows.

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use honoken_office::operators::Role;
use honoken_telemetry::metrics::Credentials;
use honoken_telemetry::request::caller_is_known;
use http::Method;
use http::request::Parts;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::auth::header::credentials;
use crate::auth::signed;
use crate::error::ApiError;
use crate::state::{App, AppState};

/// The operator who sent a request. Routes of operators are behind [`require_operator`], so there is one.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The name.
    pub name: String,
    /// What the operator may do.
    pub role: Role,
}

/// Lets only operators through.
///
/// # Errors
/// 401 for other callers, 429 for a client that failed too often.
pub async fn require_operator(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let shown = credentials(request.headers(), &["Basic"]).ok_or(ApiError::UnauthorizedOperator)?;
    let client = app.rates.client(request.headers(), request.extensions().get().copied());
    let shown = Zeroizing::new(STANDARD.decode(shown).unwrap_or_default());
    let signature = signed::verify_head(&app, &request);
    // A request without a right signature learns nothing about the password. Only one that may be a guess counts as a failure.
    if let Err(fault) = &signature
        && !fault.is_guess()
    {
        return Err(ApiError::SignatureRequired(*fault));
    }
    let holder =
        async { if signature.is_ok() { Operator::with_credentials(&app, &shown).await } else { Ok(None) } };
    let operator = app.rates.compare_password(client, holder).await?;
    let verified = signature.map_err(|fault| {
        app.refused.note(Credentials::Signature, client, None);
        ApiError::SignatureRequired(fault)
    })?;
    let Some(operator) = operator else {
        app.refused.note(Credentials::Password, client, None);
        return Err(ApiError::UnauthorizedOperator);
    };
    caller_is_known();
    let mut request = match verified {
        None => request,
        Some(verified) => signed::verify_rest(&app, client, &verified, request).await?,
    };
    request.extensions_mut().insert(operator);
    Ok(next.run(request).await)
}

/// Lets only operators through whose role allows the request.
///
/// # Errors
/// 403 for the others.
pub async fn require_role(request: Request, next: Next) -> Result<Response, ApiError> {
    let operator: Option<&Operator> = request.extensions().get();
    let route = request.extensions().get().map_or("", MatchedPath::as_str);
    operator.ok_or(ApiError::UnauthorizedOperator)?.require(request.method(), route)?;
    Ok(next.run(request).await)
}

/// The part of a route below the prefix of operators: `/operators/{operator}`.
pub fn below_prefix(route: &str) -> &str {
    let route = route.strip_prefix("/api").unwrap_or(route);
    route.strip_prefix("/admin").unwrap_or(route)
}

impl Operator {
    /// The operator with these decoded credentials of the Basic scheme (RFC 7617): the one of the configuration, else a stored one.
    async fn with_credentials(app: &App, shown: &[u8]) -> Result<Option<Self>, ApiError> {
        if let Some(admin) = app.options.admin.as_ref().filter(|admin| admin.are(shown)) {
            return Ok(Some(Self { name: admin.username.clone(), role: Role::Owner }));
        }
        let shown = std::str::from_utf8(shown).ok().and_then(|shown| shown.split_once(':'));
        let Some((name, password)) = shown else { return Ok(None) };
        let role = app.operators.role_of(name, &SecretString::from(password)).await?;
        Ok(role.map(|role| Self { name: name.to_owned(), role }))
    }

    /// The actor in the metadata of events.
    pub fn actor(&self) -> String {
        format!("operator:{}", self.name)
    }

    fn require(&self, method: &Method, route: &str) -> Result<(), ApiError> {
        let is_about_operators = below_prefix(route).starts_with("/operators");
        match self.role {
            Role::Owner => Ok(()),
            Role::Operator if !is_about_operators => Ok(()),
            Role::Viewer if method.is_safe() => Ok(()),
            Role::Operator | Role::Viewer if is_about_operators => Err(ApiError::MISSING_OWNER),
            Role::Operator | Role::Viewer => Err(ApiError::MISSING_ROLE),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or(ApiError::UnauthorizedOperator)
    }
}
