//! One phone of a fleet.

use ::http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;
use tokio::time::Instant;

use super::figures::Route;
use super::plan::FleetPass;
use super::run::Run;
use crate::http::{Answer, HttpError, Line};
use crate::phone::list::{Listing, read};
use crate::phone::task::USER_AGENT;
use crate::phone::web_service::{self, Joining};

/// A longer tag is not kept: the memory of many phones is the sum of all tags.
const MAX_TAG_BYTES: usize = 1_024;

/// The memory of a phone.
pub(super) struct Device {
    number: u64,
    tag: Option<Box<str>>,
    last_modified: Option<HeaderValue>,
    /// Whether the service said yes, or may have.
    registered: bool,
}

impl Device {
    pub(super) fn new(number: u64) -> Self {
        Self { number, tag: None, last_modified: None, registered: false }
    }

    pub(super) fn is_registered(&self) -> bool {
        self.registered
    }

    /// Registers, lists, fetches, and fetches once more. Without a registration there is nothing to go on with.
    pub(super) async fn arrives(&mut self, run: &Run, line: &mut Line) {
        let pass = run.pass_of(self.number);
        let body = json!({ "pushToken": run.identities.push_token(self.number, 0) }).to_string();
        let mut headers = authorized(pass);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let address = registration_address(pass, &run.identities.device(self.number));
        self.registered = true;
        let asked = Instant::now();
        let answered = line.request(Method::POST, &address, headers, body).await;
        let answered = run.figures.counts(Route::Register, asked.elapsed(), &[200, 201], answered);
        let Some(answer) = answered else {
            return;
        };
        self.registered = answer.status.is_success() || answer.status.is_server_error();
        if !matches!(answer.status.as_u16(), 200 | 201) {
            return;
        }
        if self.lists(run, line, Route::FirstList, &[200]).await {
            self.gets(run, line, Route::Get, &[200]).await;
            self.gets(run, line, Route::GetAgain, &[200, 304]).await;
        }
    }

    /// Asks for news, and fetches them.
    pub(super) async fn wakes(&mut self, run: &Run, line: &mut Line) {
        if self.registered && self.lists(run, line, Route::List, &[200, 204]).await {
            self.gets(run, line, Route::GetAgain, &[200, 304]).await;
        }
    }

    pub(super) async fn leaves(&mut self, run: &Run, line: &mut Line) {
        if !self.registered {
            return;
        }
        let pass = run.pass_of(self.number);
        let address = registration_address(pass, &run.identities.device(self.number));
        let asked = Instant::now();
        let answered = line.request(Method::DELETE, &address, authorized(pass), "").await;
        let answered = run.figures.counts(Route::Unregister, asked.elapsed(), &[200], answered);
        self.registered = !answered.is_some_and(|answer| answer.status.is_success());
    }

    /// Whether the list names the pass.
    async fn lists(&mut self, run: &Run, line: &mut Line, route: Route, expected: &[u16]) -> bool {
        let pass = run.pass_of(self.number);
        let device = run.identities.device(self.number);
        let asked = Instant::now();
        let answered = asks_for_list(line, pass, &device, self.tag.as_deref()).await;
        let Some(answer) = run.figures.counts(route, asked.elapsed(), expected, answered) else {
            return false;
        };
        if !matches!(answer.status.as_u16(), 200 | 204) {
            return false;
        }
        match read(&answer) {
            Ok(Listing::Changes { last_updated: Some(tag), .. }) if tag.len() > MAX_TAG_BYTES => {
                run.figures.objects(route, &format!("a tag of {} bytes", tag.len()));
                false
            }
            Ok(Listing::Changes { serial_numbers, last_updated }) => {
                self.tag = last_updated.map(Into::into).or(self.tag.take());
                serial_numbers.contains(&pass.serial_number)
            }
            Ok(Listing::Nothing) => false,
            Err(fault) => {
                run.figures.objects(route, &fault.text);
                false
            }
        }
    }

    async fn gets(&mut self, run: &Run, line: &mut Line, route: Route, expected: &[u16]) {
        let pass = run.pass_of(self.number);
        let segments = ["v1", "passes", &pass.web_service.pass_type_identifier, &pass.serial_number];
        let address = Joining::default().address(&pass.web_service.url, &segments);
        let mut headers = authorized(pass);
        headers.extend(self.last_modified.iter().map(|value| (header::IF_MODIFIED_SINCE, value.clone())));
        let asked = Instant::now();
        let answered = line.request(Method::GET, &address, headers, "").await;
        let answered = run.figures.counts(route, asked.elapsed(), expected, answered);
        if let Some(answer) = answered.filter(|answer| answer.status.as_u16() == 200) {
            // A copy: the value itself would keep all that was read from the socket with it.
            let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
            self.last_modified = answer.headers.get(header::LAST_MODIFIED).and_then(copy);
        }
    }
}

pub(super) async fn asks_for_list(
    line: &mut Line,
    pass: &FleetPass,
    device: &str,
    tag: Option<&str>,
) -> Result<Answer, HttpError> {
    let segments = ["v1", "devices", device, "registrations", &pass.web_service.pass_type_identifier];
    let mut address = Joining::default().address(&pass.web_service.url, &segments);
    if let Some(tag) = tag {
        web_service::push_updated_since(&mut address, tag);
    }
    line.request(Method::GET, &address, HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT)]), "").await
}

fn registration_address(pass: &FleetPass, device: &str) -> String {
    let (pass_type, serial) = (&pass.web_service.pass_type_identifier, &pass.serial_number);
    let segments = ["v1", "devices", device, "registrations", pass_type, serial];
    Joining::default().address(&pass.web_service.url, &segments)
}

fn authorized(pass: &FleetPass) -> HeaderMap {
    let authorization = (header::AUTHORIZATION, pass.authorization.clone());
    HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT), authorization])
}
