//! A stand-in for Vercel Blob, as the transport of its client: the requests that the client sends get the answers that the service documents.
//! Uploads in parts, copies and folders are left out; nobody here sends them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, HttpTransporter};
use serde_json::{Value, json};
use url::Url;

/// The token that opens it.
pub const TOKEN: &str = "vercel_blob_rw_that_nobody_may_see";

/// The host of the API.
const API: &str = "blob.vercel-storage.com";

/// The host from which blobs are read, without the token.
const PUBLIC: &str = "store.public.blob.vercel-storage.com";

/// The names that one page of a list has at the most.
const PAGE: usize = 3;

/// The blobs of one store. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct VercelBlob {
    blobs: Arc<Mutex<BTreeMap<String, Bytes>>>,
    is_away: Arc<AtomicBool>,
}

impl VercelBlob {
    /// The way to it, for an operator.
    pub fn transport(&self) -> HttpTransporter {
        HttpTransporter::new(self.clone())
    }

    /// Lets every request fail as if no packet came through, or none any more.
    pub fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    fn answer(&self, request: &Request<Buffer>) -> (StatusCode, Vec<u8>) {
        let url = Url::parse(&request.uri().to_string()).expect("the client sends a URL");
        let query =
            |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let name = percent_encoding::percent_decode_str(url.path().trim_start_matches('/'));
        let name = name.decode_utf8().expect("names are text").into_owned();
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if url.host_str() == Some(PUBLIC) {
            return match blobs.get(&name) {
                Some(bytes) => part(request, bytes),
                None => refusal(StatusCode::NOT_FOUND, "not_found"),
            };
        }
        assert_eq!(url.host_str(), Some(API), "the client knows two hosts");
        let expected = format!("Bearer {TOKEN}");
        if request.headers().get(header::AUTHORIZATION).is_none_or(|shown| shown != &*expected) {
            return refusal(StatusCode::FORBIDDEN, "forbidden");
        }
        match (request.method(), &*name) {
            (&Method::GET, "") if query("url").is_some() => {
                let name = query("url").unwrap_or_default().replace(&format!("https://{PUBLIC}/"), "");
                match blobs.get(&name) {
                    Some(bytes) => found(&described(&name, bytes)),
                    None => refusal(StatusCode::NOT_FOUND, "not_found"),
                }
            }
            (&Method::GET, "") => {
                let limit = query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).min(PAGE);
                found(&page(&blobs, &query("prefix").unwrap_or_default(), query("cursor").as_deref(), limit))
            }
            (&Method::PUT, name) if blobs.contains_key(name) => {
                refusal(StatusCode::BAD_REQUEST, "bad_request")
            }
            (&Method::PUT, name) => {
                let bytes = request.body().to_bytes();
                let answer = described(name, &bytes);
                blobs.insert(name.to_owned(), bytes);
                found(&answer)
            }
            (&Method::POST, "delete") => {
                let order: Value = serde_json::from_slice(&request.body().to_bytes()).expect("JSON");
                for url in order["urls"].as_array().expect("a list of addresses") {
                    let name = url.as_str().unwrap_or_default().replace(&format!("https://{PUBLIC}/"), "");
                    blobs.remove(&name);
                }
                found(&Value::Null)
            }
            (method, name) => panic!("the stand-in does not know {method} /{name}"),
        }
    }
}

impl HttpTransport for VercelBlob {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unexpected, "the host cannot be reached").with_temporary(true));
        }
        let (status, body) = self.answer(&request);
        let length = body.len() as u64;
        let stream = Once(Some(Buffer::from(body)));
        let answer = Response::builder().status(status).header(header::CONTENT_LENGTH, length);
        Ok(answer.body(HttpBody::new(stream, Some(length))).expect("a valid answer"))
    }
}

/// A stream of one buffer.
struct Once(Option<Buffer>);

impl futures_core::Stream for Once {
    type Item = opendal::Result<Buffer>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.take().map(Ok))
    }
}

fn refusal(status: StatusCode, code: &str) -> (StatusCode, Vec<u8>) {
    (status, json!({ "error": { "code": code, "message": "refused" } }).to_string().into_bytes())
}

fn found(body: &Value) -> (StatusCode, Vec<u8>) {
    (StatusCode::OK, body.to_string().into_bytes())
}

/// The bytes that a request asks for: all, or those of its range.
fn part(request: &Request<Buffer>, bytes: &Bytes) -> (StatusCode, Vec<u8>) {
    let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return (StatusCode::OK, bytes.to_vec());
    };
    let first: usize = first.parse().expect("a number");
    let last: usize = last.parse().expect("a number");
    if first >= bytes.len() {
        return (StatusCode::RANGE_NOT_SATISFIABLE, Vec::new());
    }
    (StatusCode::PARTIAL_CONTENT, bytes[first..=last.min(bytes.len() - 1)].to_vec())
}

fn described(name: &str, bytes: &Bytes) -> Value {
    json!({
        "url": format!("https://{PUBLIC}/{name}"),
        "downloadUrl": format!("https://{PUBLIC}/{name}?download=1"),
        "pathname": name,
        "size": bytes.len(),
        "uploadedAt": "2026-01-01T00:00:00.000Z",
        "contentType": "application/octet-stream",
        "contentDisposition": format!("inline; filename=\"{name}\""),
    })
}

/// A page of the names that begin like this; the cursor is the last name of the page before.
fn page(blobs: &BTreeMap<String, Bytes>, prefix: &str, cursor: Option<&str>, limit: usize) -> Value {
    let wanted = blobs.iter().filter(|(name, _)| name.starts_with(prefix));
    let mut wanted = wanted.filter(|(name, _)| cursor.is_none_or(|cursor| name.as_str() > cursor));
    let page: Vec<Value> = wanted.by_ref().take(limit).map(|(name, bytes)| described(name, bytes)).collect();
    let has_more = wanted.next().is_some();
    let cursor = page.last().filter(|_| has_more).map(|last| last["pathname"].clone());
    json!({ "blobs": page, "hasMore": has_more, "cursor": cursor })
}
