//! Notes what operators do: a row in the office and a line in the log output for each action.
//!
//! This is one layer around all routes of operators. A new route is noted by being there; only the reads of [`HARMLESS`] are not.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use honoken_office::audit::Entry;
use honoken_service::ids;
use honoken_telemetry::error_chain;
use http::Method;
use percent_encoding::percent_decode_str;
use utoipa::openapi::{HttpMethod, OpenApi};

use crate::auth::operator::{Operator, below_prefix};
use crate::error::ApiError;
use crate::openapi::document;
use crate::state::AppState;

/// Reads that show no secret and nobody's data, by the name of the operation. All others are noted, as is everything that is no read.
pub const HARMLESS: &[&str] = &[
    "getAnyJob",
    "getApnsKey",
    "getBrandAsset",
    "getCertificate",
    "getPushing",
    "listApnsKeys",
    "listAudit",
    "listCertificates",
    "listOrganizations",
    "listParkedEvents",
    "listPassTypes",
    "listProjections",
];

/// Characters of a target that are kept.
const TARGET: usize = 512;

/// The names of the actions: those of the operations in the API document.
#[derive(Debug)]
pub struct Actions(BTreeMap<(Method, String), String>);

impl Actions {
    /// The actions of the routes that a document describes, without their prefix.
    pub fn of(document: &mut OpenApi) -> Self {
        let mut actions = BTreeMap::new();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in document::operations(item) {
                let name = operation.operation_id.clone().unwrap_or_default();
                if method == HttpMethod::Get {
                    actions.insert((Method::HEAD, path.clone()), name.clone());
                }
                actions.insert((document::http_method(&method), path.clone()), name);
            }
        }
        Self(actions)
    }

    /// The action that a request asks for; `None` if it is not noted.
    fn noted(&self, method: &Method, route: &str) -> Option<String> {
        let name = self.0.get(&(method.clone(), below_prefix(route).to_owned())).cloned();
        let name = name.unwrap_or_else(|| format!("{method} {}", below_prefix(route)));
        (!HARMLESS.contains(&name.as_str())).then_some(name)
    }
}

/// Notes a request, has it carried out, and notes the status of its answer.
///
/// # Errors
/// 503 when it cannot be noted: then it is not carried out.
pub async fn note(
    State((app, actions)): State<(AppState, Arc<Actions>)>,
    operator: Operator,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let route = request.extensions().get().map_or("", MatchedPath::as_str);
    let Some(action) = actions.noted(request.method(), route) else { return Ok(next.run(request).await) };
    let at_ms = app.clock.unix_ms();
    let client = app.rates.client(request.headers(), request.extensions().get().copied());
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
    let entry = Entry {
        id: ids::entry_id(&*app.ids, at_ms),
        at_ms,
        actor: operator.name,
        from: client.map(|address| address.to_string()),
        action,
        target: path.chars().filter(|character| !character.is_control()).take(TARGET).collect(),
        result: None,
    };
    app.office.begin_action(&entry).await?;
    let response = next.run(request).await.into_response();
    let status = response.status().as_u16();
    let Entry { actor, from, action, target, .. } = &entry;
    let from = from.as_deref().unwrap_or("-");
    tracing::info!(
        audit.actor = actor,
        audit.from = from,
        audit.action = action,
        audit.target = target,
        audit.result = status,
        "operator {actor} from {from}: {action} {target}: {status}"
    );
    if let Err(fault) = app.office.end_action(&entry.id, status.into()).await {
        tracing::error!(
            error = error_chain(&fault),
            "the result of an action of an operator could not be noted"
        );
    }
    Ok(response)
}
