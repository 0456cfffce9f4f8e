//! A server on a real socket that answers from a script and remembers what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Dropping it ends its tasks.
pub(super) struct Server {
    pub(super) url: String,
    script: Arc<Mutex<Script>>,
    _accepting: JoinSet<()>,
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    requests: Vec<Seen>,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Server {
    pub(super) async fn starts() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&script)));
        Self { url, script, _accepting: accepting }
    }

    /// Adds the answer to the next request that has none yet.
    pub(super) fn answers(&self, reply: impl Into<Reply>) -> &Self {
        self.script.lock().unwrap().replies.push_back(reply.into());
        self
    }

    /// Everything asked since the last time this was looked at, as `METHOD target`.
    pub(super) fn was_asked(&self) -> Vec<String> {
        self.requests().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }

    pub(super) fn requests(&self) -> Vec<Seen> {
        std::mem::take(&mut self.script.lock().unwrap().requests)
    }
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Reply {
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub(super) fn without_header(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(super) fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }
}

impl From<u16> for Reply {
    fn from(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap();
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self::from(200).header("content-type", "application/json").body(body.to_string())
    }
}

async fn accept(listener: TcpListener, script: Arc<Mutex<Script>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&script)));
    }
}

async fn serve(stream: TcpStream, script: Arc<Mutex<Script>>) {
    let service = service_fn(|request| replies(request, &script));
    // A client that goes away in the middle of something is the business of its test.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn replies(
    request: Request<Incoming>,
    script: &Mutex<Script>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let target = head.uri.to_string();
    let mut script = script.lock().unwrap();
    script.requests.push(Seen { method: head.method, target, headers: head.headers, body });
    let unscripted = || Reply::from(500).body("the script has no answer left");
    let reply = script.replies.pop_front().unwrap_or_else(unscripted);
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    Ok(response)
}
