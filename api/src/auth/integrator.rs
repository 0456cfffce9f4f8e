//! Authenticates an integrator, for its organisation.

use axum::extract::FromRequestParts;
use honoken_domain::ids::{Digest, OrganizationId};
use honoken_telemetry::request::caller_is_known;
use http::request::Parts;

use crate::auth::header::credentials;
use crate::error::ApiError;
use crate::state::{App, AppState};

/// The organisation whose API key was sent.
#[derive(Debug, Clone)]
pub struct Integrator {
    /// The organisation.
    pub organization_id: OrganizationId,
    /// The actor in the metadata of events: the beginning of the key's digest.
    pub actor: String,
}

impl FromRequestParts<AppState> for Integrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let key = credentials(&parts.headers, &["Bearer"]).ok_or(ApiError::UnauthorizedKey)?;
        let Some(integrator) = Self::with_key(app, key).await? else {
            let client = app.rates.client(&parts.headers, parts.extensions.get().copied());
            return Err(app.rates.record_wrong_key(client));
        };
        app.rates.check_organization(&integrator.organization_id).await?;
        Ok(integrator)
    }
}

impl Integrator {
    /// The integrator with this API key; `None` when the key is not valid.
    ///
    /// # Errors
    /// 503 when the read model is unavailable.
    pub async fn with_key(app: &App, key: &str) -> Result<Option<Self>, ApiError> {
        // The digest is looked up, not the key, so the time taken does not reveal how much of a key was right.
        let digest = Digest::of(key.as_bytes());
        let organization_id = app.read_model.organization_of_key(&digest).await?;
        let actor = format!("api-key:{}", &digest.as_str()[..12]);
        Ok(organization_id.map(|organization_id| {
            caller_is_known();
            Self { organization_id, actor }
        }))
    }
}
