//! One request of the phone, together with the words Wallet has for it when it fails.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use bytes::Bytes;

use super::{Phone, Rule, WebService};
use crate::http::Answer;

/// How the daemon behind Wallet introduces itself.
pub(crate) const USER_AGENT: HeaderValue =
    HeaderValue::from_static("passd/1.0 CFNetwork/1568.100.1 Darwin/24.0.0");

/// A request that is ready to be sent.
pub(super) struct Task {
    web_service: WebService,
    /// The beginning of the log line: `Register task (for device …; with web service url …)`.
    words: String,
    method: Method,
    address: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Why a task failed: the rule, and the end of the log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(super) rule: Rule,
    pub(crate) text: String,
}

impl Task {
    pub(super) fn new(web_service: &WebService, method: Method, address: String, words: &str) -> Self {
        let words = format!("{words}; with web service url {})", web_service.url);
        let headers = HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT)]);
        Self { web_service: web_service.clone(), words, method, address, headers, body: Bytes::new() }
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(super) fn with_json(self, body: &serde_json::Value) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self { body: body.to_string().into(), ..self }.with_header(header::CONTENT_TYPE, json)
    }
}

impl Fault {
    pub(super) fn new(rule: Rule, text: impl Into<String>) -> Self {
        Self { rule, text: text.into() }
    }

    /// Wallet's complaint about a status that it has no use for. 401 has a name of its own where a token was shown.
    pub(super) fn of_status(answer: &Answer) -> Self {
        let code = answer.status.as_u16();
        Self::new(Rule::UnexpectedResponseCode, format!("Unexpected response code {code}"))
    }

    pub(super) fn of_authorized_status(answer: &Answer) -> Self {
        match answer.status.as_u16() {
            401 => Self::new(Rule::AuthenticationFailure, "Authentication failure"),
            _ => Self::of_status(answer),
        }
    }

    pub(super) fn malformed(what: impl std::fmt::Display) -> Self {
        Self::new(Rule::MalformedResponse, format!("Server response was malformed ({what})"))
    }
}

impl Phone {
    /// Sends the task. Without an answer there is a complaint, and nothing further to judge.
    pub(super) async fn performs(&mut self, task: &Task) -> Option<Answer> {
        let (method, headers, body) = (task.method.clone(), task.headers.clone(), task.body.clone());
        match self.client.request(method, &task.address, headers, body).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.fails(task, &Fault::new(Rule::Unreachable, error.told()), None);
                None
            }
        }
    }

    /// Notes that the task failed.
    pub(super) fn fails(&mut self, task: &Task, fault: &Fault, answer: Option<&Answer>) {
        let message = format!("{} encountered error: {}", task.words, fault.text);
        self.complains(&task.web_service, fault.rule, message, answer);
    }

    /// Notes that the server did something odd, although the task as such succeeded.
    pub(super) fn objects(&mut self, web_service: &WebService, rule: Rule, text: &str, answer: &Answer) {
        let WebService { url, pass_type_identifier } = web_service;
        let message = format!("Web service error for {pass_type_identifier} ({url}): {text}");
        self.complains(web_service, rule, message, Some(answer));
    }
}
