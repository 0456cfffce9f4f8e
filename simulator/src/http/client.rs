//! The client: sends what it is given, waits a bounded time, reads a bounded body.

use std::future::Future;
use std::time::Duration;

use ::http::{HeaderMap, Method, Request, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connector::Connector;
use super::{Answer, HttpError, Trust};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// An HTTP/1.1 client. Cloning is cheap and shares the connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    connections: Client<Connector, Full<Bytes>>,
    timeout: Duration,
    max_body_bytes: usize,
    speaks_tls: bool,
}

impl HttpClient {
    /// A client that waits ten seconds and reads bodies up to 32 MiB.
    pub fn new() -> Self {
        Self::with_limits(DEFAULT_TIMEOUT, DEFAULT_MAX_BODY_BYTES)
    }

    /// A client with its own patience: `timeout` spans the whole exchange, including the body.
    pub fn with_limits(timeout: Duration, max_body_bytes: usize) -> Self {
        Self::connecting(timeout, max_body_bytes, None)
    }

    /// The same for `https` as well, where an authority in `trust` vouches for the server's certificate.
    #[must_use]
    pub fn with_trust(self, trust: Trust) -> Self {
        Self::connecting(self.timeout, self.max_body_bytes, Some(trust))
    }

    /// Half of the time may go into connecting, so that a server that cannot be reached is told from one that is slow.
    fn connecting(timeout: Duration, max_body_bytes: usize, trust: Option<Trust>) -> Self {
        let speaks_tls = trust.is_some();
        let connector = Connector::new(trust, timeout / 2);
        let connections = Client::builder(TokioExecutor::new()).build(connector);
        Self { connections, timeout, max_body_bytes, speaks_tls }
    }

    /// Sends one request. The path and the query of `url` go out as they are written, without any normalisation, and
    /// so do the headers; only `Host` and `Content-Length` are added when they are missing.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Answer, HttpError> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri(url)?;
        *request.headers_mut() = headers;
        self.within_time(self.exchanges(request)).await
    }

    /// Writes bytes to `address` (`host:port`) and returns what comes back until the server closes or the limit of
    /// bodies is reached, for requests that are not even HTTP. Well-formed ones should carry `Connection: close`, or
    /// this ends in a timeout.
    pub async fn raw(&self, address: &str, request: &[u8]) -> Result<Bytes, HttpError> {
        self.within_time(self.exchanges_raw(address, request)).await
    }

    /// `http::Uri` keeps the path as written, where the `url` crate would resolve `..` and recode characters.
    fn uri(&self, url: &str) -> Result<Uri, HttpError> {
        let uri: Uri = url.parse().map_err(|source| HttpError::Url { url: url.to_owned(), source })?;
        match uri.scheme_str() {
            Some("http") => Ok(uri),
            Some("https") if self.speaks_tls => Ok(uri),
            Some("https") => Err(HttpError::NobodyTrusted { url: url.to_owned() }),
            _ => Err(HttpError::NotHttp { url: url.to_owned() }),
        }
    }

    async fn exchanges(&self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let response = self.connections.request(request).await;
        let response = response.map_err(|source| HttpError::Unanswered { authority, source })?;
        let (head, body) = response.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body: self.reads(body).await? })
    }

    async fn reads(&self, body: Incoming) -> Result<Bytes, HttpError> {
        let collected = Limited::new(body, self.max_body_bytes).collect().await;
        Ok(collected.map_err(|error| HttpError::Body { reason: error.to_string() })?.to_bytes())
    }

    async fn exchanges_raw(&self, address: &str, request: &[u8]) -> Result<Bytes, HttpError> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        let limit = u64::try_from(self.max_body_bytes).unwrap_or(u64::MAX);
        stream.take(limit).read_to_end(&mut answer).await?;
        Ok(answer.into())
    }

    async fn within_time<T>(&self, work: impl Future<Output = Result<T, HttpError>>) -> Result<T, HttpError> {
        tokio::time::timeout(self.timeout, work).await.unwrap_or(Err(HttpError::Timeout(self.timeout)))
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}
