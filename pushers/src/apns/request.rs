//! The requests: *Sending notification requests to APNs*. The headers that all pushes of a topic have in common are made once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use honoken_domain::ids::{PassTypeIdentifier, PushToken};
use http::header::{AUTHORIZATION, HeaderName};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use super::options::Options;
use super::provider_token::Bearer;
use crate::ports::Push;

const APNS_ID: HeaderName = HeaderName::from_static("apns-id");
const APNS_TOPIC: HeaderName = HeaderName::from_static("apns-topic");
const APNS_PUSH_TYPE: HeaderName = HeaderName::from_static("apns-push-type");
const APNS_PRIORITY: HeaderName = HeaderName::from_static("apns-priority");
const APNS_EXPIRATION: HeaderName = HeaderName::from_static("apns-expiration");

/// The payload: a phone looks at the topic alone, and asks what has changed.
pub(super) const BODY: Bytes = Bytes::from_static(b"{}");

/// Headers of more topics than this are not remembered.
const MAX_TOPICS: usize = 1024;

/// Why no request can be made of a push.
#[derive(Debug, thiserror::Error)]
#[error("the push cannot be written as a request")]
pub(super) struct Unwritable;

/// Makes the requests of one credential.
pub(super) struct Requests {
    authority: Authority,
    push_type: Option<HeaderValue>,
    priority: HeaderValue,
    expiration_seconds: i64,
    by_topic: Mutex<HashMap<PassTypeIdentifier, Arc<Common>>>,
}

/// The headers of all pushes of a topic, until the provider token or the hour changes.
struct Common {
    headers: HeaderMap,
    expires: i64,
    token: Option<u64>,
}

impl Requests {
    pub(super) fn new(authority: Authority, options: &Options) -> Self {
        let push_type = options.push_type.header().and_then(|value| HeaderValue::try_from(value).ok());
        // Apple: 5 for background pushes, which may then wait for the phone's convenience.
        let priority = HeaderValue::try_from(a2::Priority::Normal.to_string());
        Self {
            authority,
            push_type,
            priority: priority.unwrap_or(HeaderValue::from_static("5")),
            expiration_seconds: i64::try_from(options.expiration.as_secs()).unwrap_or(i64::MAX / 2),
            by_topic: Mutex::default(),
        }
    }

    /// The request of a push at `now`, Unix seconds.
    pub(super) fn of(
        &self,
        push: &Push,
        bearer: Option<&Bearer>,
        now: i64,
    ) -> Result<Request<()>, Unwritable> {
        let mut headers = self.common(&push.topic, bearer, now)?.headers.clone();
        let mut apns_id = HeaderValue::try_from(push.apns_id.as_str()).map_err(|_| Unwritable)?;
        // Not because it is secret: a value that never comes again has no place in the table of headers that both sides keep.
        apns_id.set_sensitive(true);
        headers.insert(APNS_ID, apns_id);
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path(&push.token)?);
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Unwritable)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn common(
        &self,
        topic: &PassTypeIdentifier,
        bearer: Option<&Bearer>,
        now: i64,
    ) -> Result<Arc<Common>, Unwritable> {
        // A full hour, so that the header is the same for all pushes of an hour.
        let expires = (now + self.expiration_seconds).div_euclid(3600) * 3600 + 3600;
        let token = bearer.map(|bearer| bearer.number);
        let mut by_topic = self.by_topic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(common) =
            by_topic.get(topic).filter(|common| common.expires == expires && common.token == token)
        {
            return Ok(Arc::clone(common));
        }
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(APNS_TOPIC, HeaderValue::try_from(topic.as_str()).map_err(|_| Unwritable)?);
        headers.insert(APNS_PRIORITY, self.priority.clone());
        headers.insert(APNS_EXPIRATION, HeaderValue::from(expires));
        if let Some(push_type) = &self.push_type {
            headers.insert(APNS_PUSH_TYPE, push_type.clone());
        }
        if let Some(bearer) = bearer {
            headers.insert(AUTHORIZATION, bearer.header.clone());
        }
        let common = Arc::new(Common { headers, expires, token });
        if by_topic.len() >= MAX_TOPICS {
            by_topic.clear();
        }
        by_topic.insert(topic.clone(), Arc::clone(&common));
        Ok(common)
    }
}

/// The path, with the token as it was registered. Apple's tokens are hexadecimal; other ones are for APNs to refuse, so they are escaped.
fn path(token: &PushToken) -> Result<PathAndQuery, Unwritable> {
    const PREFIX: &str = "/3/device/";
    let token = token.as_str();
    let mut path = Vec::with_capacity(PREFIX.len() + token.len());
    path.extend_from_slice(PREFIX.as_bytes());
    if token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        path.extend_from_slice(token.as_bytes());
    } else {
        escape(token, &mut path);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(|_| Unwritable)
}

fn escape(token: &str, path: &mut Vec<u8>) {
    for byte in token.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(byte);
        } else {
            path.push(b'%');
            path.extend([byte >> 4, byte & 0xf].map(|digit| b"0123456789ABCDEF"[usize::from(digit)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(token: &str) -> Push {
        Push {
            topic: PassTypeIdentifier::parse("pass.com.example.ticket").unwrap(),
            token: PushToken::parse(token).unwrap(),
            apns_id: "0f0e1d2c-0000-4000-8000-000000000001".to_owned(),
        }
    }

    fn requests(options: &Options) -> Requests {
        Requests::new(Authority::from_static("api.push.apple.com"), options)
    }

    #[test]
    fn a_request_is_what_apple_documents() {
        let request = requests(&Options::default()).of(&push("ab12"), None, 1_700_000_000).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://api.push.apple.com/3/device/ab12");
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("apns-topic"), "pass.com.example.ticket");
        assert_eq!(header("apns-push-type"), "background");
        assert_eq!(header("apns-priority"), "5");
        assert_eq!(header("apns-id"), "0f0e1d2c-0000-4000-8000-000000000001");
        let ahead = header("apns-expiration").parse::<i64>().unwrap() - 1_700_000_000;
        assert!((7 * 86_400..=7 * 86_400 + 3600).contains(&ahead), "{ahead}");
        assert_eq!(request.headers().len(), 5);
    }

    #[test]
    fn the_push_type_can_be_left_out() {
        let options = Options { push_type: crate::apns::PushType::None, ..Options::default() };
        let request = requests(&options).of(&push("ab12"), None, 1_700_000_000).unwrap();
        assert!(!request.headers().contains_key("apns-push-type"));
    }

    #[test]
    fn a_token_of_another_kind_cannot_leave_its_place_in_the_path() {
        let request = requests(&Options::default()).of(&push("../a b?c#é"), None, 0).unwrap();
        assert_eq!(request.uri().path(), "/3/device/..%2Fa%20b%3Fc%23%C3%A9");
        assert_eq!(request.uri().query(), None);
    }
}
