//! Sends the calls of lines to the service, again and again while that may help.

use std::sync::Arc;
use std::time::Duration;

use honoken_simulator::{Answer, HttpClient, HttpError};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::line::Call;
use super::outcome::{Kind, Outcome, Refusal};
use crate::admin::OperatorSign;

/// How long a call is repeated before the import ends.
const PATIENCE: Duration = Duration::from_mins(5);

/// How often a call is repeated that the service fails to carry out.
const FAILURES: u32 = 3;

/// The first wait before a call is repeated; each one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait, whatever `Retry-After` says.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Why the import cannot go on. Every other line would meet the same.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// A signal.
    #[error("interrupted; the same command goes on here")]
    Interrupted,
    /// The key is not taken.
    #[error("the service refuses the credentials ({code}): {detail}")]
    Key {
        /// The code of the answer.
        code: String,
        /// Its sentence.
        detail: String,
    },
    /// There is no answer.
    #[error("no answer for {} s: {reason}; the same command goes on here", PATIENCE.as_secs())]
    Unanswered {
        /// The last failure.
        reason: String,
    },
    /// Another program answers there.
    #[error("{url} is not the address of this service: {reason}; name it with --server")]
    NotTheService {
        /// Where it was asked.
        url: String,
        /// What came back.
        reason: String,
    },
}

/// Who sends.
pub(super) enum Sign {
    /// An integrator, with an API key.
    Key(HeaderValue),
    /// An operator, who may have to sign every request.
    Operator(OperatorSign),
}

/// Sends calls.
#[derive(Clone)]
pub(super) struct Sender {
    client: HttpClient,
    /// Without a slash at its end.
    server: String,
    sign: Arc<Sign>,
    stop: CancellationToken,
}

/// What to do after an answer.
enum Next<T> {
    Done(T),
    Again {
        after: Option<Duration>,
        reason: String,
    },
    /// The service failed. After a few times that is the result.
    Failed {
        result: T,
        reason: String,
    },
    End(Stop),
}

impl Sender {
    pub(super) fn new(client: HttpClient, server: &str, sign: Sign, stop: CancellationToken) -> Self {
        Self { client, server: server.trim_end_matches('/').to_owned(), sign: Arc::new(sign), stop }
    }

    /// Asks for something that every key may read, to know the address and the key before the first line is sent.
    ///
    /// # Errors
    /// [`Stop`]
    pub(super) async fn greet(&self) -> Result<(), Stop> {
        const PATH: &str = "/manage/v1/passes?limit=1";
        let url = || self.server.clone();
        match self.send(&Method::GET, PATH, &[], "application/json").await {
            Ok(answer) if answer.status == StatusCode::OK => {
                let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
                let is_list = body.is_some_and(|body| body["passes"].is_array());
                let reason = "it answers something else".to_owned();
                if is_list { Ok(()) } else { Err(Stop::NotTheService { url: url(), reason }) }
            }
            Ok(answer) if is_of_key(answer.status) => Err(key_refused(&answer)),
            // It is busy or its store is away, which the lines wait for.
            Ok(answer) if is_temporary(answer.status) => Ok(()),
            Ok(answer) => {
                Err(Stop::NotTheService { url: url(), reason: format!("it answers {}", answer.status) })
            }
            Err(fault) => Err(Stop::NotTheService { url: url(), reason: fault.told() }),
        }
    }

    /// Carries a call out.
    ///
    /// # Errors
    /// [`Stop`]
    pub(super) async fn carry_out(&self, call: &Call) -> Result<Outcome, Stop> {
        let content_type = match call.kind {
            Kind::Pass | Kind::Registration => "application/json",
            Kind::Image => "image/png",
        };
        let request = (&call.method, &*call.path, &*call.body, content_type);
        self.repeat(request, |answer| next(call, answer)).await
    }

    /// Reads what is there now; any answer but a temporary one is given.
    ///
    /// # Errors
    /// [`Stop`]
    pub(super) async fn read(&self, path: &str) -> Result<Answer, Stop> {
        let judge = |answer: Result<Answer, HttpError>| match answer {
            Ok(answer) if is_of_key(answer.status) => Next::End(key_refused(&answer)),
            Ok(answer) if is_temporary(answer.status) => again(&answer),
            Ok(answer) if answer.status.is_server_error() => {
                Next::Failed { reason: format!("it answers {}", answer.status), result: answer }
            }
            Ok(answer) => Next::Done(answer),
            Err(fault) => Next::Again { after: None, reason: fault.told() },
        };
        self.repeat((&Method::GET, path, &[], "application/json"), judge).await
    }

    async fn repeat<T>(
        &self,
        (method, path, body, content_type): (&Method, &str, &[u8], &'static str),
        judge: impl Fn(Result<Answer, HttpError>) -> Next<T>,
    ) -> Result<T, Stop> {
        let give_up = Instant::now() + PATIENCE;
        let (mut wait, mut failures) = (FIRST_WAIT, 0);
        loop {
            let answer = tokio::select! {
                answer = self.send(method, path, body, content_type) => answer,
                () = self.stop.cancelled() => return Err(Stop::Interrupted),
            };
            let (after, reason) = match judge(answer) {
                Next::Done(result) => return Ok(result),
                Next::End(stop) => return Err(stop),
                Next::Failed { result, .. } if failures >= FAILURES => return Ok(result),
                Next::Failed { reason, .. } => {
                    failures += 1;
                    (None, reason)
                }
                Next::Again { after, reason } => (after, reason),
            };
            let pause = after.unwrap_or(wait).min(LONGEST_WAIT);
            if Instant::now() + pause >= give_up {
                return Err(Stop::Unanswered { reason });
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return Err(Stop::Interrupted),
            }
            wait = (2 * wait).min(LONGEST_WAIT);
        }
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
        content_type: &'static str,
    ) -> Result<Answer, HttpError> {
        let url = format!("{}{path}", self.server);
        let content_type = HeaderValue::from_static(content_type);
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
        match &*self.sign {
            Sign::Key(authorization) => drop(headers.insert(header::AUTHORIZATION, authorization.clone())),
            Sign::Operator(operator) => {
                // An address that is none is refused by the client below.
                let uri = url.parse().unwrap_or_default();
                headers.extend(operator.headers(method, &uri, body));
            }
        }
        self.client.request(method.clone(), &url, headers, body.to_vec()).await
    }
}

fn next(call: &Call, answer: Result<Answer, HttpError>) -> Next<Outcome> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => return Next::Again { after: None, reason: fault.told() },
    };
    match answer.status {
        StatusCode::CREATED if call.kind != Kind::Image => Next::Done(match call.kind {
            Kind::Pass | Kind::Image => Outcome::Issued,
            Kind::Registration => Outcome::Registered,
        }),
        // An image of all passes of a type or of the brand is shown by a job.
        StatusCode::OK | StatusCode::ACCEPTED => {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let changed = body["changed"] == Value::Bool(true);
            let is_update = changed && call.kind != Kind::Pass;
            Next::Done(if is_update { Outcome::Updated } else { Outcome::Unchanged })
        }
        status if is_of_key(status) => Next::End(key_refused(&answer)),
        StatusCode::INTERNAL_SERVER_ERROR => {
            let refusal = Box::new(refusal(call, &answer));
            Next::Failed { reason: refusal.detail.clone(), result: Outcome::Refused(refusal) }
        }
        status if is_temporary(status) => again(&answer),
        _ => Next::Done(Outcome::Refused(Box::new(refusal(call, &answer)))),
    }
}

fn again<T>(answer: &Answer) -> Next<T> {
    let seconds = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
    Next::Again { after: seconds.map(Duration::from_secs), reason: format!("it answers {}", answer.status) }
}

fn is_of_key(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// Whether the same call may succeed later. Proxies answer 502 and 504 in the place of the service.
fn is_temporary(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn key_refused(answer: &Answer) -> Stop {
    let Problem { code, detail, .. } = Problem::of(answer);
    Stop::Key { code, detail }
}

fn refusal(call: &Call, answer: &Answer) -> Refusal {
    let Problem { code, detail, errors } = Problem::of(answer);
    Refusal { subject: call.subject.clone(), status: Some(answer.status.as_u16()), code, detail, errors }
}

/// The words of a refusal (RFC 9457).
struct Problem {
    code: String,
    detail: String,
    errors: Vec<Value>,
}

impl Problem {
    fn of(answer: &Answer) -> Self {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        Self {
            code: text("code").unwrap_or_else(|| "unknown".to_owned()),
            detail: text("detail").unwrap_or_else(|| format!("the answer is {}", answer.status)),
            errors: body["errors"].as_array().cloned().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::super::line;
    use super::*;

    fn pass() -> Call {
        line::read(br#"{"passTypeIdentifier":"pass.a","serialNumber":"1"}"#).unwrap().unwrap()
    }

    fn registration() -> Call {
        let line = br#"{"passTypeIdentifier":"pass.a","serialNumber":"1","deviceLibraryIdentifier":"d","pushToken":"t"}"#;
        line::read(line).unwrap().unwrap()
    }

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &Value) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: Bytes::from(body.to_string()),
        }
    }

    fn done(call: &Call, status: u16, body: &Value) -> Outcome {
        match next(call, Ok(answer(status, &[], body))) {
            Next::Done(outcome) => outcome,
            _ => panic!("{status} does not end the call"),
        }
    }

    #[test]
    fn an_answer_says_what_became_of_the_line() {
        assert_eq!(done(&pass(), 201, &json!({ "changed": true })), Outcome::Issued);
        assert_eq!(done(&pass(), 200, &json!({ "changed": false })), Outcome::Unchanged);
        assert_eq!(done(&registration(), 201, &json!({ "changed": true })), Outcome::Registered);
        assert_eq!(done(&registration(), 200, &json!({ "changed": true })), Outcome::Updated);
        assert_eq!(done(&registration(), 200, &json!({ "changed": false })), Outcome::Unchanged);
    }

    #[test]
    fn a_refusal_has_the_words_of_the_service_and_names_the_pass() {
        let problem = json!({ "code": "already_issued", "detail": "taken", "errors": [{ "pointer": "/a" }] });
        let Outcome::Refused(refusal) = done(&pass(), 409, &problem) else { panic!("409 refuses") };
        let entry = refusal.entry(17);
        assert_eq!(
            entry,
            json!({
                "line": 17, "status": 409, "code": "already_issued", "detail": "taken", "errors": [{ "pointer": "/a" }],
                "passTypeIdentifier": "pass.a", "serialNumber": "1"
            })
        );
    }

    #[test]
    fn what_may_succeed_later_is_sent_again_after_the_time_that_the_service_names() {
        for status in [408, 429, 502, 503, 504] {
            let found = next(&pass(), Ok(answer(status, &[("retry-after", "7")], &json!({}))));
            assert!(
                matches!(found, Next::Again { after: Some(after), .. } if after == Duration::from_secs(7)),
                "{status}"
            );
        }
        let found = next(&pass(), Ok(answer(503, &[], &json!({}))));
        assert!(matches!(found, Next::Again { after: None, .. }));
        assert!(matches!(next(&pass(), Ok(answer(500, &[], &json!({})))), Next::Failed { .. }));
    }

    #[test]
    fn a_key_that_is_refused_ends_the_import() {
        for status in [401, 403] {
            let problem = json!({ "code": "missing_scope", "detail": "needs `passes:import`" });
            let Next::End(stop) = next(&pass(), Ok(answer(status, &[], &problem))) else {
                panic!("{status}")
            };
            let said = stop.to_string();
            assert!(said.contains("missing_scope") && said.contains("passes:import"), "{said}");
        }
    }
}
