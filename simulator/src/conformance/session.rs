//! The made-up phone: its knowledge, and its requests.

use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use bytes::Bytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::findings::{Findings, seen};
use super::report::Report;
use super::rules::Rule;
use super::trial::{Scheme, Trial, TrialError};
use crate::http::{Answer, HttpClient, HttpError};
use crate::identities::Identities;
use crate::phone::task::USER_AGENT;
use crate::phone::web_service::{self, Joining};

/// After so many requests in a row without an answer, nothing more is asked.
const SILENCES: u32 = 2;

/// One run against one service.
pub(super) struct Session {
    pub(super) findings: Findings,
    /// The phone, another one that is always refused, and one that is unknown to the service.
    pub(super) device: String,
    pub(super) refused: String,
    pub(super) unknown: String,
    pub(super) push_tokens: [String; 2],
    pub(super) pass_type: String,
    pub(super) serial_number: String,
    /// A serial number and a pass type that do not exist.
    pub(super) no_serial: String,
    pub(super) no_type: String,
    pub(super) token: String,
    web_service_url: String,
    client: HttpClient,
    authorization: HeaderValue,
    wrong_authorization: HeaderValue,
    /// The registrations that must be undone in the end: device and serial number.
    registered: Vec<(String, String)>,
    left_behind: Vec<String>,
    stop: CancellationToken,
    requests: u64,
    silences: u32,
}

/// The token in the `Authorization` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Token,
    WrongToken,
    Nothing,
}

impl Session {
    pub(super) fn new(
        trial: &Trial,
        client: HttpClient,
        identities: &Identities,
        stop: CancellationToken,
    ) -> Result<Self, TrialError> {
        let token = trial.package.authentication_token().ok_or(TrialError::NoWebService)?.to_owned();
        let wrong = identities.made_up("wrong token");
        let [device, refused, unknown] = [0, 1, 2].map(|number| identities.device(number));
        let push_tokens = [0, 1].map(|renewal| identities.push_token(0, renewal));
        let authorization = authorization(trial.scheme, &token).ok_or(TrialError::NoWebService)?;
        let wrong_authorization = authorization_of_hex(trial.scheme, &wrong);
        let secrets = [&token, &device, &refused, &unknown, &push_tokens[0], &push_tokens[1]];
        let findings = Findings::hiding(secrets.into_iter().cloned());
        Ok(Self {
            findings,
            device,
            refused,
            unknown,
            push_tokens,
            pass_type: trial.package.pass_type_identifier().to_owned(),
            serial_number: trial.package.serial_number().to_owned(),
            no_serial: identities.made_up("serial number"),
            no_type: format!("pass.invalid.{}", identities.made_up("pass type")),
            token,
            web_service_url: trial.web_service_url.clone(),
            client,
            authorization,
            wrong_authorization,
            registered: Vec::new(),
            left_behind: Vec::new(),
            stop,
            requests: 0,
            silences: 0,
        })
    }

    /// The first request decides whether there is a server to judge.
    pub(super) async fn makes_contact(&mut self) -> Result<(), HttpError> {
        let address = self.list_address(&self.unknown, &self.pass_type, None);
        self.requests += 1;
        let answered = self.client.request(Method::GET, &address, agent(), Bytes::new()).await;
        match answered {
            Err(fault) if fault.is_unreachable() => return Err(fault),
            answered => {
                let answer = self.notes("listing for an unknown device", answered);
                self.judges_unknown_device(answer.as_ref());
            }
        }
        if self.web_service_url.starts_with("https:") {
            self.findings.keeps(Rule::AnyHttps);
        } else {
            self.findings
                .leaves_out(Rule::AnyHttps, "the address is plain http, which phones take only for testing");
        }
        Ok(())
    }

    pub(super) async fn register(
        &mut self,
        what: &str,
        device: &str,
        serial_number: &str,
        shown: Shown,
        push_token: Option<&str>,
    ) -> Option<Answer> {
        let address = self.registration_address(device, serial_number);
        let body = push_token.map_or_else(|| json!({}), |token| json!({ "pushToken": token }));
        let mut headers = self.headers(shown);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Before it is asked: an answer that is lost may have been yes.
        let registration = (device.to_owned(), serial_number.to_owned());
        let is_new = !self.registered.contains(&registration);
        if is_new {
            self.registered.push(registration);
        }
        let answer = self.ask(what, Method::POST, &address, headers, body.to_string()).await;
        let refused = |answer: &Answer| answer.status.is_client_error() || answer.status.is_redirection();
        if is_new && answer.as_ref().is_some_and(refused) {
            self.forgets(device, serial_number);
        }
        answer
    }

    pub(super) async fn unregister(
        &mut self,
        what: &str,
        device: &str,
        serial_number: &str,
        shown: Shown,
    ) -> Option<Answer> {
        let address = self.registration_address(device, serial_number);
        let answer = self.ask(what, Method::DELETE, &address, self.headers(shown), "").await;
        if answer.as_ref().is_some_and(|answer| answer.status.is_success()) {
            self.forgets(device, serial_number);
        }
        answer
    }

    pub(super) async fn list(
        &mut self,
        what: &str,
        device: &str,
        pass_type: &str,
        tag: Option<&str>,
    ) -> Option<Answer> {
        let address = self.list_address(device, pass_type, tag);
        self.ask(what, Method::GET, &address, agent(), "").await
    }

    /// Asks for the pass, or for another one, with conditions.
    pub(super) async fn fetch(
        &mut self,
        what: &str,
        (method, pass_type, serial_number): (Method, &str, &str),
        shown: Shown,
        conditions: &[(HeaderName, &HeaderValue)],
    ) -> Option<Answer> {
        let segments = ["v1", "passes", pass_type, serial_number];
        let address = Joining::default().address(&self.web_service_url, &segments);
        let mut headers = self.headers(shown);
        headers.extend(conditions.iter().map(|(name, value)| (name.clone(), (*value).clone())));
        self.ask(what, method, &address, headers, "").await
    }

    /// Asks for the pass as its phone does.
    pub(super) async fn get(
        &mut self,
        what: &str,
        conditions: &[(HeaderName, &HeaderValue)],
    ) -> Option<Answer> {
        let (pass_type, serial_number) = (self.pass_type.clone(), self.serial_number.clone());
        self.fetch(what, (Method::GET, &pass_type, &serial_number), Shown::Token, conditions).await
    }

    pub(super) async fn log(&mut self, lines: &[&str]) -> Option<Answer> {
        let address = Joining::default().address(&self.web_service_url, &["v1", "log"]);
        let mut headers = agent();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.ask("logging", Method::POST, &address, headers, json!({ "logs": lines }).to_string()).await
    }

    /// Whether the service said yes to this device, or may have.
    pub(super) fn may_be_registered(&self, device: &str) -> bool {
        self.registered.iter().any(|(registered, _)| registered == device)
    }

    /// Nothing more is to be asked: the trial was stopped, or the server does not answer.
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.silences >= SILENCES
    }

    /// A pause, which an end cuts short.
    pub(super) async fn pauses(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Undoes the registrations that are left, in any case, and makes the report.
    pub(super) async fn ends(mut self) -> Report {
        for (device, serial_number) in std::mem::take(&mut self.registered) {
            let address = self.registration_address(&device, &serial_number);
            self.requests += 1;
            let answer = self.client.request(Method::DELETE, &address, self.headers(Shown::Token), "").await;
            if !answer.is_ok_and(|answer| answer.status.is_success()) {
                let short: String = device.chars().take(8).collect();
                self.left_behind
                    .push(format!("the registration of device {short}… for pass {serial_number}"));
            }
        }
        if self.requests > 0 {
            for rule in [Rule::AnyComplete, Rule::AnyRedirect, Rule::AnyServerError] {
                if self.findings.is_undecided(rule) {
                    self.findings.keeps(rule);
                }
            }
        }
        let why = match (self.stop.is_cancelled(), self.silences >= SILENCES) {
            (true, _) => "it was interrupted before",
            (_, true) => "the service stopped answering before",
            _ => "an earlier step did not work",
        };
        let shown = |text: &str| self.findings.shown(text);
        Report {
            web_service_url: shown(&self.web_service_url),
            pass_type_identifier: shown(&self.pass_type),
            serial_number: shown(&self.serial_number),
            left_behind: self.left_behind.iter().map(|left| shown(left)).collect(),
            requests: self.requests,
            verdicts: self.findings.into_verdicts(why),
        }
    }

    fn forgets(&mut self, device: &str, serial_number: &str) {
        self.registered.retain(|(d, s)| d != device || s != serial_number);
    }

    async fn ask(
        &mut self,
        what: &str,
        method: Method,
        address: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Option<Answer> {
        if self.is_over() {
            return None;
        }
        self.requests += 1;
        let answered = tokio::select! {
            answered = self.client.request(method, address, headers, body) => answered,
            () = self.stop.cancelled() => return None,
        };
        self.notes(what, answered)
    }

    /// Judges the rules that hold for every request.
    fn notes(&mut self, what: &str, answered: Result<Answer, HttpError>) -> Option<Answer> {
        let answer = match answered {
            Ok(answer) => answer,
            Err(fault) => {
                self.silences += 1;
                self.findings.breaks(Rule::AnyComplete, format!("{what}: {}", fault.told()));
                return None;
            }
        };
        self.silences = 0;
        if answer.status.is_redirection() && answer.status.as_u16() != 304 {
            self.findings.breaks(Rule::AnyRedirect, format!("{what}: {}", seen(&answer)));
        }
        if answer.status.as_u16() >= 500 {
            self.findings.breaks(Rule::AnyServerError, format!("{what}: {}", seen(&answer)));
        }
        Some(answer)
    }

    fn headers(&self, shown: Shown) -> HeaderMap {
        let mut headers = agent();
        match shown {
            Shown::Token => headers.insert(header::AUTHORIZATION, self.authorization.clone()),
            Shown::WrongToken => headers.insert(header::AUTHORIZATION, self.wrong_authorization.clone()),
            Shown::Nothing => None,
        };
        headers
    }

    fn registration_address(&self, device: &str, serial_number: &str) -> String {
        let segments = ["v1", "devices", device, "registrations", &self.pass_type, serial_number];
        Joining::default().address(&self.web_service_url, &segments)
    }

    fn list_address(&self, device: &str, pass_type: &str, tag: Option<&str>) -> String {
        let segments = ["v1", "devices", device, "registrations", pass_type];
        let mut address = Joining::default().address(&self.web_service_url, &segments);
        if let Some(tag) = tag {
            web_service::push_updated_since(&mut address, tag);
        }
        address
    }
}

fn agent() -> HeaderMap {
    HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT)])
}

fn authorization(scheme: Scheme, token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("{} {token}", scheme.word())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn authorization_of_hex(scheme: Scheme, digits: &str) -> HeaderValue {
    authorization(scheme, digits).expect("hex digits are a header")
}
