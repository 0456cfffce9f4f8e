//! Getting the current version of a pass:
//! <https://developer.apple.com/documentation/walletpasses/send-an-updated-pass>.

use ::http::{Method, StatusCode, header};

use super::package::UpdateSource;
use super::task::{Fault, Task};
use super::{HeldPass, Package, Phone, PhoneError, Rule};
use crate::http::Answer;

const PKPASS: &str = "application/vnd.apple.pkpass";

/// The outcome of one request for a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The pass asked for.
    pub serial_number: String,
    /// How the server answered; `None` without an answer.
    pub status: Option<StatusCode>,
    /// Whether the phone now shows another version: another manifest, not merely another signature.
    pub changed: bool,
}

/// Why the phone gets a pass, which decides whether it minds an unchanged one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It was added a moment ago.
    Installation,
    /// The server listed it when asked without a tag, hence for all there are.
    FirstList,
    /// The server listed it as changed.
    List,
    /// The user pulled to refresh.
    User,
}

/// An answer as the server meant it.
enum Version {
    Same,
    Sent(Box<Package>),
}

impl Phone {
    /// Pulls to refresh: gets the pass, whether it is registered or not.
    pub async fn refreshes(&mut self, serial_number: &str) -> Result<Update, PhoneError> {
        let at = self.position(serial_number)?;
        let updates = self.updates_of(at)?;
        Ok(self.gets(at, &updates, Reason::User).await)
    }

    pub(super) async fn gets(&mut self, at: usize, updates: &UpdateSource, reason: Reason) -> Update {
        let serial_number = self.passes[at].serial_number().to_owned();
        let task = self.get_task(&self.passes[at], updates);
        let Some(answer) = self.performs(&task).await else {
            return Update { serial_number, status: None, changed: false };
        };
        let changed = match read(&answer, &self.passes[at]) {
            Ok(version) => self.accept(at, version, updates, reason, &answer),
            Err(fault) => {
                self.fails(&task, &fault, Some(&answer));
                false
            }
        };
        Update { serial_number, status: Some(answer.status), changed }
    }

    fn get_task(&self, pass: &HeldPass, updates: &UpdateSource) -> Task {
        let (serial_number, pass_type) = (pass.serial_number(), pass.pass_type_identifier());
        let segments = ["v1", "passes", pass_type, serial_number];
        let address = self.joining.address(&updates.web_service.url, &segments);
        let since = pass.last_modified().unwrap_or("(null)");
        let words = format!(
            "Get pass task (pass type {pass_type}, serial number {serial_number}, if-modified-since {since}"
        );
        Task::new(&updates.web_service, Method::GET, address, &words)
            .with_header(header::AUTHORIZATION, updates.authorization.clone())
            .with_headers(pass.conditions())
    }

    /// Returns whether the pass on the phone changed.
    fn accept(
        &mut self,
        at: usize,
        version: Version,
        updates: &UpdateSource,
        reason: Reason,
        answer: &Answer,
    ) -> bool {
        let Version::Sent(package) = version else {
            self.checks_announcement(at, updates, reason, answer);
            return false;
        };
        self.checks_last_modified(at, updates, answer);
        let changed = package.manifest_hash() != self.passes[at].manifest_hash();
        if changed {
            self.replaces(at, *package, updates, answer);
        } else {
            self.checks_condition(at, updates, answer);
            self.checks_announcement(at, updates, reason, answer);
        }
        self.passes[at].keeps_headers(answer);
        changed
    }

    fn replaces(&mut self, at: usize, package: Package, updates: &UpdateSource, answer: &Answer) {
        if self.passes[at].becomes(package, self.now) {
            let serial_number = self.passes[at].serial_number();
            let text =
                format!("The update to serial number '{serial_number}' changed the authentication token.");
            self.objects(&updates.web_service, Rule::AuthenticationTokenChanged, &text, answer);
        }
    }

    fn checks_last_modified(&mut self, at: usize, updates: &UpdateSource, answer: &Answer) {
        if answer.headers.contains_key(header::LAST_MODIFIED) {
            return;
        }
        let serial_number = self.passes[at].serial_number();
        let text = format!(
            "Server response for serial number '{serial_number}' did not provide a 'last-modified' header."
        );
        self.objects(&updates.web_service, Rule::MissingLastModified, &text, answer);
    }

    fn checks_condition(&mut self, at: usize, updates: &UpdateSource, answer: &Answer) {
        let pass = &self.passes[at];
        if pass.conditions().is_empty() {
            return;
        }
        let since = pass.last_modified().unwrap_or_default();
        let text = format!(
            "Server ignored the 'if-modified-since' header ({since}) and returned the full unchanged pass data for \
             serial number '{}'.",
            pass.serial_number()
        );
        self.objects(&updates.web_service, Rule::IgnoredIfModifiedSince, &text, answer);
    }

    fn checks_announcement(&mut self, at: usize, updates: &UpdateSource, reason: Reason, answer: &Answer) {
        let pass = &self.passes[at];
        if reason != Reason::List || !self.is_impatient(pass.received_at) {
            return;
        }
        let serial_number = pass.serial_number();
        let text = format!(
            "Server requested update to serial number '{serial_number}', but the pass was unchanged."
        );
        self.objects(&updates.web_service, Rule::UnchangedUpdate, &text, answer);
    }
}

fn read(answer: &Answer, held: &HeldPass) -> Result<Version, Fault> {
    match answer.status {
        StatusCode::OK => read_package(answer, held),
        StatusCode::NOT_MODIFIED => Ok(Version::Same),
        _ => Err(Fault::of_authorized_status(answer)),
    }
}

fn read_package(answer: &Answer, held: &HeldPass) -> Result<Version, Fault> {
    let content_type = answer.header("content-type").unwrap_or("(null)");
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case(PKPASS) {
        let text = format!("Received content type {content_type} instead of {PKPASS}");
        return Err(Fault::new(Rule::WrongContentType, text));
    }
    let package = Package::open(answer.body.clone())
        .map_err(|error| Fault::new(Rule::InvalidPass, format!("Received invalid pass data ({error})")))?;
    is_the_requested(&package, held)?;
    Ok(Version::Sent(Box::new(package)))
}

fn is_the_requested(package: &Package, held: &HeldPass) -> Result<(), Fault> {
    let mismatch = |what: &str, requested: &str, received: &str| {
        let text = format!("Requested {what} {requested}, received {what} {received}");
        Err(Fault::new(Rule::WrongPass, text))
    };
    if package.pass_type_identifier() != held.pass_type_identifier() {
        return mismatch("pass of type", held.pass_type_identifier(), package.pass_type_identifier());
    }
    if package.serial_number() != held.serial_number() {
        return mismatch("serial number", held.serial_number(), package.serial_number());
    }
    Ok(())
}
