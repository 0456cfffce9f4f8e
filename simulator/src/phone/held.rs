//! A pass on the phone.

use std::fmt;
use std::time::SystemTime;

use ::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use serde_json::Value;

use super::package::UpdateSource;
use super::{Package, WebService};
use crate::http::Answer;

/// A pass as the phone holds it: its content, and the headers of the last answers.
#[derive(Clone)]
pub struct HeldPass {
    pub(super) package: Package,
    /// The web service is fixed when the pass is added: a URL that changes in an update counts from the next time the
    /// pass is added. The authentication token follows the updates.
    pub(super) updates: Option<UpdateSource>,
    pub(super) is_registered: bool,
    pub(super) received_at: SystemTime,
    last_modified: Option<HeaderValue>,
    etag: Option<HeaderValue>,
}

impl HeldPass {
    /// A pass from a mail or a web page carries no `Last-Modified` of the web service.
    pub(super) fn added(package: Package, now: SystemTime) -> Self {
        let updates = package.updates.clone();
        Self { package, updates, is_registered: false, received_at: now, last_modified: None, etag: None }
    }

    /// Takes the place of the older version. Returns whether the authentication token changed on the way.
    pub(super) fn becomes(&mut self, package: Package, now: SystemTime) -> bool {
        let renewed = package.updates.as_ref().map(|updates| updates.authorization.clone());
        let token_changed = match (&mut self.updates, renewed) {
            (Some(updates), Some(renewed)) => {
                std::mem::replace(&mut updates.authorization, renewed.clone()) != renewed
            }
            _ => false,
        };
        self.package = package;
        self.received_at = now;
        token_changed
    }

    pub(super) fn is_same_pass_as(&self, other: &Self) -> bool {
        let identity = |pass: &Self| {
            (
                pass.web_service().cloned(),
                pass.pass_type_identifier().to_owned(),
                pass.serial_number().to_owned(),
            )
        };
        identity(self) == identity(other)
    }

    pub(super) fn is_of(&self, web_service: &WebService) -> bool {
        self.web_service() == Some(web_service)
    }

    /// Keeps the headers of a 200, changed or not. Without `Last-Modified` there is nothing to echo the next time:
    /// the older value described another answer.
    pub(super) fn keeps_headers(&mut self, answer: &Answer) {
        self.last_modified = answer.headers.get(header::LAST_MODIFIED).cloned();
        self.etag = answer.headers.get(header::ETAG).cloned();
    }

    /// `If-Modified-Since` is the stored text, byte for byte. `If-None-Match` is never sent.
    pub(super) fn conditions(&self) -> HeaderMap {
        let stored = self.last_modified.clone();
        stored.into_iter().map(|value| (header::IF_MODIFIED_SINCE, value)).collect()
    }

    /// The serial number of the pass.
    pub fn serial_number(&self) -> &str {
        self.package.serial_number()
    }

    /// The pass type identifier of the pass.
    pub fn pass_type_identifier(&self) -> &str {
        self.package.pass_type_identifier()
    }

    /// The content of `pass.json`.
    pub fn pass_json(&self) -> &Value {
        self.package.pass_json()
    }

    /// SHA-1 of `manifest.json` in hex, which tells one version of the pass from the next.
    pub fn manifest_hash(&self) -> &str {
        self.package.manifest_hash()
    }

    /// The archive as received.
    pub fn bytes(&self) -> &Bytes {
        self.package.bytes()
    }

    /// The web service the pass is updated by, if it has one.
    pub fn web_service(&self) -> Option<&WebService> {
        self.updates.as_ref().map(|updates| &updates.web_service)
    }

    /// Whether the server accepted the registration and nothing ended it since.
    pub fn is_registered(&self) -> bool {
        self.is_registered
    }

    /// `Last-Modified` of the last 200, when it is readable as text.
    pub fn last_modified(&self) -> Option<&str> {
        self.last_modified.as_ref()?.to_str().ok()
    }

    /// `ETag` of the last 200. The phone notes it for the test and makes no use of it.
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_ref()?.to_str().ok()
    }
}

impl fmt::Debug for HeldPass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HeldPass")
            .field("package", &self.package)
            .field("web_service", &self.web_service())
            .field("is_registered", &self.is_registered)
            .field("last_modified", &self.last_modified)
            .finish_non_exhaustive()
    }
}
