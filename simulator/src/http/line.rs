//! One connection that is kept: each phone of a fleet has one, and never more.

use std::future::poll_fn;
use std::time::Duration;

use ::http::uri::PathAndQuery;
use ::http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::task::JoinSet;
use tower_service::Service;

use super::connector::Connector;
use super::{Answer, HttpError, Trust};

/// A client that asks one thing after the other.
#[derive(Debug)]
pub(crate) struct Line {
    connector: Connector,
    timeout: Duration,
    max_body_bytes: usize,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Scheme and authority.
    to: String,
    sender: SendRequest<Full<Bytes>>,
    /// Reads and writes the socket; ends with the line.
    _driver: JoinSet<()>,
}

impl Line {
    pub(crate) fn new(timeout: Duration, max_body_bytes: usize, trust: Option<Trust>) -> Self {
        Self { connector: Connector::new(trust, timeout / 2), timeout, max_body_bytes, open: None }
    }

    /// Sends one request and reads the answer. A failure costs the connection; the next request makes a new one.
    pub(crate) async fn request(
        &mut self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Answer, HttpError> {
        let uri: Uri = url.parse().map_err(|source| HttpError::Url { url: url.to_owned(), source })?;
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        if uri.scheme_str() == Some("https") && !self.connector.speaks_tls() {
            return Err(HttpError::NobodyTrusted { url: url.to_owned() });
        }
        let timeout = self.timeout;
        let answered = tokio::time::timeout(timeout, self.exchanges(request, &uri)).await;
        let answered = answered.unwrap_or(Err(HttpError::Timeout(timeout)));
        if answered.is_err() {
            self.open = None;
        }
        answered
    }

    async fn exchanges(&mut self, mut request: Request<Full<Bytes>>, uri: &Uri) -> Result<Answer, HttpError> {
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let not_http = |_| HttpError::NotHttp { url: uri.to_string() };
        let host = HeaderValue::try_from(authority.as_str()).map_err(|error| not_http(error.to_string()))?;
        request.headers_mut().insert(header::HOST, host);
        *request.uri_mut() = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")).into();
        let to = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        // A connection that was closed meanwhile gives the request back unsent; a new one does so only if it is broken.
        let response = match self.line_to(&to, uri).await?.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failed) => match failed.take_message() {
                Some(request) => {
                    self.open = None;
                    self.line_to(&to, uri).await?.send_request(request).await
                }
                None => Err(failed.into_error()),
            }
            .map_err(|source| HttpError::Broken { authority, source })?,
        };
        self.reads(response).await
    }

    async fn reads(&mut self, response: ::http::Response<Incoming>) -> Result<Answer, HttpError> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.max_body_bytes).collect().await;
        let body = body.map_err(|error| HttpError::Body { reason: error.to_string() })?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn line_to(&mut self, to: &str, uri: &Uri) -> Result<&mut SendRequest<Full<Bytes>>, HttpError> {
        let reusable = match &mut self.open {
            Some(open) => open.to == to && open.sender.ready().await.is_ok(),
            None => false,
        };
        if !reusable {
            // The old one first, so that there is never a second.
            self.open = None;
            self.open = Some(self.connects(to, uri).await?);
        }
        let open = self.open.as_mut().expect("a line was opened when there was none");
        Ok(&mut open.sender)
    }

    async fn connects(&mut self, to: &str, uri: &Uri) -> Result<Open, HttpError> {
        let failed = |source| HttpError::NoConnection { authority: to.to_owned(), source };
        poll_fn(|context| self.connector.poll_ready(context)).await.map_err(failed)?;
        let socket = self.connector.call(uri.clone()).await.map_err(failed)?;
        let (sender, connection) = http1::handshake(socket)
            .await
            .map_err(|source| HttpError::Broken { authority: to.to_owned(), source })?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // A failure of the socket reaches the request that waits for an answer.
            drop(connection.await);
        });
        Ok(Open { to: to.to_owned(), sender, _driver: driver })
    }
}
