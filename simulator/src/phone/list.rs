//! The list of passes to update:
//! <https://developer.apple.com/documentation/walletpasses/get-the-list-of-updatable-passes>.

use std::collections::HashSet;
use std::time::Duration;

use ::http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::get::Reason;
use super::task::{Fault, Task};
use super::{Phone, Rule, Update, WebService, web_service};
use crate::http::Answer;

/// For this long after a pass was unregistered, a list may still name it.
const FAREWELL: Duration = Duration::from_hours(1);

/// Why the phone asks for a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The pass at this position was registered a moment ago.
    Installation(usize),
    /// A push woke the phone, so there should be something to get.
    Push,
    /// No push promised news.
    Poll,
}

/// A list as the server meant it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    Nothing,
    Changes { serial_numbers: Vec<String>, last_updated: Option<String> },
}

impl Phone {
    /// Wakes up as after one push for every pass type on the phone: asks every web service for its list and gets
    /// what it names. Each push promises news, so a web service without any is complained about. A phone with
    /// several pass types, of which one was pushed, rather [wakes for](Self::wakes_for) that one.
    pub async fn wakes(&mut self) -> Vec<Update> {
        let asked = self.web_services();
        self.count_pushes(&asked);
        self.lists_of(asked, Occasion::Push).await
    }

    /// Wakes up as after a push whose topic is this pass type.
    pub async fn wakes_for(&mut self, pass_type_identifier: &str) -> Vec<Update> {
        let mut asked = self.web_services();
        asked.retain(|web_service| web_service.pass_type_identifier == pass_type_identifier);
        self.count_pushes(&asked);
        self.lists_of(asked, Occasion::Push).await
    }

    /// Asks every web service for its list without a push, as after a restart of the phone. No news is good.
    pub async fn polls(&mut self) -> Vec<Update> {
        self.lists_of(self.web_services(), Occasion::Poll).await
    }

    /// Counts one push for each pass type, however many web services it has.
    fn count_pushes(&mut self, asked: &[WebService]) {
        let types: HashSet<&str> = asked.iter().map(|asked| asked.pass_type_identifier.as_str()).collect();
        for pass_type in types {
            let passes = self.passes.iter().filter(|pass| pass.pass_type_identifier() == pass_type).count();
            self.push_rates.entry(pass_type.to_owned()).or_default().count_push(self.now, passes);
        }
    }

    async fn lists_of(&mut self, asked: Vec<WebService>, occasion: Occasion) -> Vec<Update> {
        let mut updates = Vec::new();
        for web_service in asked {
            updates.extend(self.lists(&web_service, occasion).await);
        }
        updates
    }

    /// Asks one web service and gets every pass that it names.
    pub(super) async fn lists(&mut self, web_service: &WebService, occasion: Occasion) -> Vec<Update> {
        let reason = if self.tag(web_service).is_none() { Reason::FirstList } else { Reason::List };
        let Some((listing, answer)) = self.asks(web_service).await else { return Vec::new() };
        let Listing::Changes { serial_numbers, last_updated } = listing else {
            self.checks_push(web_service, occasion, &answer);
            return Vec::new();
        };
        if serial_numbers.is_empty() {
            self.checks_push(web_service, occasion, &answer);
        } else {
            self.checks_tag(web_service, serial_numbers.len(), last_updated.as_deref(), &answer);
        }
        if let Some(last_updated) = last_updated {
            self.stores_tag(web_service, last_updated);
        }
        self.gets_listed(web_service, serial_numbers, occasion, reason, &answer).await
    }

    async fn asks(&mut self, web_service: &WebService) -> Option<(Listing, Answer)> {
        let task = self.list_task(web_service, self.tag(web_service));
        let answer = self.performs(&task).await?;
        match read(&answer) {
            Ok(listing) => Some((listing, answer)),
            Err(fault) => {
                self.fails(&task, &fault, Some(&answer));
                None
            }
        }
    }

    async fn gets_listed(
        &mut self,
        web_service: &WebService,
        serial_numbers: Vec<String>,
        occasion: Occasion,
        reason: Reason,
        list: &Answer,
    ) -> Vec<Update> {
        let mut updates = Vec::new();
        for serial_number in without_repetition(serial_numbers) {
            let Some(at) = self.registered(web_service, &serial_number) else {
                self.checks_farewell(web_service, &serial_number, list);
                continue;
            };
            // A server may list the pass that was just issued. Its copy is moments old, so the phone does not mind.
            let reason = if occasion == Occasion::Installation(at) { Reason::Installation } else { reason };
            if let Some(source) = self.passes[at].updates.clone() {
                updates.push(self.gets(at, &source, reason).await);
            }
        }
        updates
    }

    fn list_task(&self, web_service: &WebService, tag: Option<&str>) -> Task {
        let (device, pass_type) = (&self.device_library_identifier, &web_service.pass_type_identifier);
        let segments = ["v1", "devices", device, "registrations", pass_type];
        let mut address = self.joining.address(&web_service.url, &segments);
        if let Some(tag) = tag {
            web_service::push_updated_since(&mut address, tag);
        }
        let tag = tag.unwrap_or("(null)");
        let words =
            format!("Get serial #s task (for device {device}, pass type {pass_type}, last updated {tag}");
        Task::new(web_service, Method::GET, address, &words)
    }

    fn checks_push(&mut self, web_service: &WebService, occasion: Occasion, answer: &Answer) {
        let tag = self.tags.get(web_service);
        // A phone without a tag has never been given one, so no patience was used up.
        let stored_at = tag.map_or(self.now, |tag| tag.stored_at);
        if occasion != Occasion::Push || !self.is_impatient(stored_at) {
            return;
        }
        let tag = tag.map_or("(null)", |tag| tag.text.as_str());
        let text = format!(
            "Device received spurious push. Request for passesUpdatedSince '{tag}' returned no serial numbers. \
             (Device = {})",
            self.device_library_identifier
        );
        self.objects(web_service, Rule::SpuriousPush, &text, answer);
    }

    fn checks_tag(
        &mut self,
        web_service: &WebService,
        count: usize,
        last_updated: Option<&str>,
        answer: &Answer,
    ) {
        let included = format!("Response to 'What changed?' request included {count} serial numbers but");
        match last_updated {
            None => {
                let text = format!("{included} omitted a lastUpdated tag.");
                self.objects(web_service, Rule::OmittedTag, &text, answer);
            }
            Some(tag) if self.tag(web_service) == Some(tag) => {
                let text = format!("{included} the lastUpdated tag ({tag}) remained the same.");
                self.objects(web_service, Rule::SameTag, &text, answer);
            }
            Some(_) => {}
        }
    }

    fn checks_farewell(&mut self, web_service: &WebService, serial_number: &str, answer: &Answer) {
        let left = self.unregistered.get(&(web_service.clone(), serial_number.to_owned()));
        if left.is_some_and(|left| self.elapsed(*left) < FAREWELL) {
            return;
        }
        let text = format!("Update requested for unregistered serial number {serial_number}");
        self.objects(web_service, Rule::UnregisteredSerialNumber, &text, answer);
    }
}

/// Reads a list.
pub(crate) fn read(answer: &Answer) -> Result<Listing, Fault> {
    match answer.status {
        StatusCode::OK => read_changes(answer),
        StatusCode::NO_CONTENT => Ok(Listing::Nothing),
        _ => Err(Fault::of_status(answer)),
    }
}

fn read_changes(answer: &Answer) -> Result<Listing, Fault> {
    if answer.body.is_empty() {
        return Err(Fault::malformed("Missing response data"));
    }
    let body: Map<String, Value> = serde_json::from_slice(&answer.body).map_err(Fault::malformed)?;
    let last_updated = body.get("lastUpdated").map(|tag| text(tag, "lastUpdated")).transpose()?;
    let Some(Value::Array(listed)) = body.get("serialNumbers") else {
        return Err(Fault::malformed("serialNumbers is not an array"));
    };
    let serial_numbers =
        listed.iter().map(|serial| text(serial, "an element of serialNumbers")).collect::<Result<_, _>>()?;
    Ok(Listing::Changes { serial_numbers, last_updated })
}

/// Wallet merges equal requests.
fn without_repetition(serial_numbers: Vec<String>) -> impl Iterator<Item = String> {
    let mut seen = HashSet::new();
    serial_numbers.into_iter().filter(move |serial_number| seen.insert(serial_number.clone()))
}

fn text(value: &Value, name: &str) -> Result<String, Fault> {
    value.as_str().map(ToOwned::to_owned).ok_or_else(|| Fault::malformed(format!("{name} is not a string")))
}
