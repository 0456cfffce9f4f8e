//! Authenticates an integrator, for its organisation, and checks the scopes of its key.

use axum::extract::{FromRequestParts, MatchedPath};
use honoken_domain::ids::{Digest, OrganizationId};
use honoken_domain::organization::{Scope, Scopes};
use honoken_projections::organizations::{ApiKeyRow, KeyGrant};
use honoken_telemetry::metrics::Credentials;
use honoken_telemetry::request::caller_is_known;
use http::request::Parts;
use http::{HeaderMap, header};

use crate::auth::header::credentials;
use crate::auth::scopes;
use crate::error::{ApiError, KeyFault};
use crate::extractors::path::Segments;
use crate::layers::at_hand;
use crate::state::{App, AppState};

/// The organisation whose API key was sent.
#[derive(Debug, Clone)]
pub struct Integrator {
    /// The organisation.
    pub organization_id: OrganizationId,
    /// Whether the organisation is for trying.
    pub is_test: bool,
    /// The actor in the metadata of events: the beginning of the key's digest.
    pub actor: String,
    scopes: Scopes,
}

impl FromRequestParts<AppState> for Integrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let key = credentials(&parts.headers, &["Bearer"]).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| ApiError::UnauthorizedKey(fault_without_key(&parts.headers)))?;
        let Some(integrator) = Self::with_key(app, key).await? else {
            let client = app.rates.client(&parts.headers, parts.extensions.get().copied());
            let Ok(segments) = Segments::from_request_parts(parts, app).await;
            app.refused.note(Credentials::Key, client, segments.pass().as_ref());
            return Err(app.rates.record_wrong_key(client).await);
        };
        app.rates.check_organization(&integrator.organization_id).await?;
        let route = parts.extensions.get().map_or("", MatchedPath::as_str);
        integrator.require(scopes::needed(&parts.method, route))?;
        Ok(integrator)
    }
}

/// What is wrong with headers in which there is no key.
fn fault_without_key(headers: &HeaderMap) -> KeyFault {
    if headers.contains_key(header::AUTHORIZATION) { KeyFault::NotBearer } else { KeyFault::Missing }
}

impl Integrator {
    /// The integrator with this API key; `None` when the key is not valid.
    ///
    /// # Errors
    /// 403 when the organisation is disabled, 503 when the read model is unavailable.
    pub async fn with_key(app: &App, key: &str) -> Result<Option<Self>, ApiError> {
        // The digest is looked up, not the key, so the time taken does not reveal how much of a key was right.
        let digest = Digest::of(key.as_bytes());
        let now = app.clock.unix_seconds();
        let grant = app.read_model.grant_of_key(&digest, now).await?;
        if grant.is_some() {
            app.key_uses.note(&digest, now);
        }
        if grant.as_ref().is_some_and(|grant| grant.is_test) {
            at_hand::note_test_organization();
        }
        if grant.as_ref().is_some_and(|grant| grant.disabled) {
            caller_is_known();
            return Err(ApiError::ORGANIZATION_DISABLED);
        }
        let actor = format!("api-key:{}", &digest.as_str()[..ApiKeyRow::ID_DIGITS]);
        Ok(grant.map(|KeyGrant { organization_id, scopes, is_test, .. }| {
            caller_is_known();
            Self { organization_id, is_test, actor, scopes }
        }))
    }

    /// Checks that the key has one of these scopes. The routes of [`scopes::needed`] are checked before their handlers run.
    ///
    /// # Errors
    /// 403 `missing_scope`.
    pub fn require(&self, scopes: &'static [Scope]) -> Result<(), ApiError> {
        let allowed = scopes.is_empty() || scopes.iter().any(|scope| self.scopes.allow(*scope));
        if allowed { Ok(()) } else { Err(ApiError::MissingScope { needed: scopes }) }
    }
}
