//! Authenticates a phone, for one pass.

use axum::extract::FromRequestParts;
use honoken_domain::ids::PassId;
use honoken_projections::passes::PassRow;
use honoken_telemetry::metrics::{Credentials, RateLimit};
use honoken_telemetry::request::caller_is_known;
use http::request::Parts;
use subtle::ConstantTimeEq;

use crate::auth::header::credentials;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::layers::at_hand;
use crate::state::AppState;

/// The pass that a phone has shown its token for.
///
/// An unknown type, an unknown serial number, and a wrong, missing or malformed token get one answer after the same work: a caller learns
/// nothing from the answer or from its time, not even that a serial number exists. (A name that cannot be that of a pass is refused sooner:
/// the caller can see that itself.) Beyond a number of wrong tokens, all of these are answered 429, and a right one passes.
#[derive(Debug, Clone)]
pub struct AuthorizedPass {
    /// The pass.
    pub id: PassId,
    /// Its row as it was when the token was compared.
    pub row: PassRow,
}

/// Replaces the token of a pass that does not exist, so that the comparison takes place all the same.
const NO_TOKEN: &[u8; 43] = b"-------------------------------------------";

impl FromRequestParts<AppState> for AuthorizedPass {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let Ok(segments) = Segments::from_request_parts(parts, app).await;
        let shown = credentials(&parts.headers, &["ApplePass", "AndroidPass"]).unwrap_or_default();
        // Whether a name can exist is clear from the request alone, so nothing is looked up for one that cannot.
        let Some(id) = segments.pass() else { return Err(ApiError::UnauthorizedDevice) };
        let row = app.read_model.pass_row_that_opens(&id, |row| is_token_of(row, shown)).await?;
        let Some(row) = row else {
            let client = app.rates.client(&parts.headers, parts.extensions.get().copied());
            app.refused.note(Credentials::Token, client, Some(&id));
            return Err(app.rates.record_wrong_token(client).await);
        };
        caller_is_known();
        // Counted only now: a caller without the token uses up nobody's share.
        if let Some(standing) = app.rates.take_passkit(parts, &id, segments.get("device").as_deref()) {
            at_hand::note_standing(standing);
            app.rates.check_standing(RateLimit::Passkit, Some(&standing))?;
        }
        Ok(Self { id, row })
    }
}

fn is_token_of(row: Option<&PassRow>, shown: &str) -> bool {
    let expected = row.map_or(&NO_TOKEN[..], |row| row.authentication_token.as_str().as_bytes());
    let same = bool::from(shown.as_bytes().ct_eq(expected));
    same && row.is_some()
}
