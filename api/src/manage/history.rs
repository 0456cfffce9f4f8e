//! The history of a pass, from the event log.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use honoken_domain::pass::Pass;
use honoken_domain::rfc3339;
use honoken_event_store::{EventLog, LogError, RecordedEvent};
use http::Uri;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::integrator::Integrator;
use crate::error::ApiError;
use crate::extractors::path::Segments;
use crate::extractors::query::{self, Parameters};
use crate::manage::state::own_document;
use crate::openapi::examples;
use crate::openapi::problems::{NotFound, Unacceptable};
use crate::openapi::tags::MANAGE;
use crate::state::{App, AppState};

/// Events of a page unless the caller asks for another number.
const USUAL: u32 = 100;

/// The most events of a page.
const MOST: u32 = 500;

/// Events read at a time: each may hold a whole content.
const AT_A_TIME: u32 = 20;

/// A page ends with the event that takes its data beyond this size.
const PAGE_BYTES: usize = 1024 * 1024;

/// A page of events, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PassHistory, example = examples::history)]
struct History {
    events: Vec<Event>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

/// One event, as it was recorded.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PassEvent)]
struct Event {
    /// The number of the event within the pass, from 1.
    sequence: usize,
    /// Its name.
    r#type: String,
    /// The version of the data.
    version: String,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    recorded_at: String,
    /// The author of the change: `api-key:…` with the beginning of the key's digest, or `system:…`.
    actor: String,
    /// The data of the event, without the authentication token and the data of persons. Null if the stored event is damaged and cannot be read.
    #[schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>, required = true)]
    data: Value,
}

/// The requested page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    after: u64,
    limit: u32,
}

/// `GET /manage/v1/passes/{type}/{serial}/history?cursor=&limit=`
///
/// A page of events, oldest first. A page ends early when its events are large, so only `next` tells whether there are more.
///
/// # Errors
/// 401, 404, 422 that names the parameter, 503.
#[utoipa::path(
    get, path = "/manage/v1/passes/{type}/{serial}/history", tag = MANAGE,
    operation_id = "passHistory", summary = "List the events of a pass",
    params(
        ("cursor" = Option<String>, Query, description = "The `next` of the previous page."),
        ("limit" = Option<u32>, Query, description = "The number of events on a page; 100 by default.", minimum = 1, maximum = 500),
    ),
    responses((status = 200, body = History, description = "A page of events."), NotFound, Unacceptable),
)]
pub async fn handler(
    State(app): State<AppState>,
    integrator: Integrator,
    segments: Segments,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = Page::of(&uri)?;
    let (id, _) = own_document(&app, &integrator, &segments).await?;
    Ok(Json(read(&app, &id.to_string(), page).await?).into_response())
}

/// Reads in small batches, so that memory is bounded by the page and not by the largest contents.
async fn read(app: &App, aggregate_id: &str, page: Page) -> Result<History, ApiError> {
    let (mut events, mut bytes, mut after) = (Vec::new(), 0, page.after);
    let mut left = page.limit;
    loop {
        // One event more than needed tells whether there is a next page.
        let wanted = left.min(AT_A_TIME);
        let mut portion = app.log.history::<Pass>(aggregate_id, after, wanted + 1).await?.into_iter();
        for recorded in portion.by_ref().take(wanted as usize) {
            after = recorded.event.sequence as u64;
            bytes += recorded.event.payload.to_string().len();
            left -= 1;
            events.push(event(recorded));
            if bytes > PAGE_BYTES {
                left = 0;
                break;
            }
        }
        let is_more = portion.next().is_some();
        if left == 0 || !is_more {
            return Ok(History { events, next: is_more.then(|| after.to_string()) });
        }
    }
}

fn event(recorded: RecordedEvent) -> Event {
    let RecordedEvent { recorded_at_ms, event, .. } = recorded;
    Event {
        sequence: event.sequence,
        data: data(event.payload, &event.event_type),
        r#type: event.event_type,
        version: event.event_version,
        recorded_at: rfc3339::milliseconds(recorded_at_ms),
        actor: event.metadata["actor"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The data of an event, without its type name around it, and without the authentication token and the enrolment of a person: what is sealed there,
/// and a signature that only a phone needs.
fn data(payload: Value, event_type: &str) -> Value {
    let mut data = match payload {
        Value::Object(mut named) => named.remove(event_type).unwrap_or_default(),
        _ => Value::Null,
    };
    if let Value::Object(members) = &mut data {
        for hidden in ["authenticationToken", "enrolment", "token"] {
            members.remove(hidden);
        }
    }
    data
}

impl Page {
    /// An empty cursor starts with the first event, like a missing one.
    fn of(uri: &Uri) -> Result<Self, ApiError> {
        let mut parameters = Parameters::of(uri, &["cursor", "limit"])?;
        let after = match parameters.take("cursor").filter(|text| !text.is_empty()) {
            Some(text) => text.parse().ok().filter(|after| i64::try_from(*after).is_ok()),
            None => Some(0),
        };
        let after = after.ok_or_else(|| query::fault("`cursor` must be the `next` of an earlier page"))?;
        Ok(Self { after, limit: parameters.take_limit(USUAL, MOST)? })
    }
}

impl From<LogError> for ApiError {
    fn from(fault: LogError) -> Self {
        match fault {
            LogError::Unreadable { .. } => Self::Internal(fault.into()),
            LogError::Unavailable { .. } | LogError::Schema(_) | LogError::Closed | LogError::Filling => {
                Self::Unavailable(fault.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(query: &str) -> Option<(u64, u32)> {
        let uri = format!("/history{query}").parse().unwrap();
        Page::of(&uri).ok().map(|page| (page.after, page.limit))
    }

    #[test]
    fn a_page_is_bounded_whatever_is_asked_for() {
        assert_eq!(page(""), Some((0, USUAL)));
        assert_eq!(page("?cursor=&limit=7"), Some((0, 7)));
        assert_eq!(page("?limit=500&cursor=41"), Some((41, 500)));
        for refused in [
            "?unknown=1",
            "?limit=1&limit=2",
            "?limit=0",
            "?limit=501",
            "?limit=-1",
            "?limit=x",
            "?limit=",
            "?cursor=x",
            "?cursor=-1",
            "?cursor=9223372036854775808",
        ] {
            assert_eq!(page(refused), None, "{refused}");
        }
    }

    #[test]
    fn the_token_is_not_part_of_what_an_event_says() {
        let payload = json!({ "PassIssued": { "authenticationToken": "0123456789abcdef", "poster": false } });
        assert_eq!(data(payload, "PassIssued"), json!({ "poster": false }));
        assert_eq!(data(json!(null), "PassIssued"), Value::Null);
    }
}
