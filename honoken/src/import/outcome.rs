//! What became of a line.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To issue a pass.
    Pass,
    /// To register a device.
    Registration,
    /// To take an image.
    Image,
}

/// What a line is about, as far as it says so: without secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) pass_type_identifier: Option<String>,
    pub(super) serial_number: Option<String>,
    /// The beginning of the device library identifier.
    pub(super) device: Option<String>,
}

impl Subject {
    /// Lines about the same pass are sent one after the other: a device cannot be registered for a pass that is still on its way.
    pub(super) fn pass(&self) -> (Option<&str>, Option<&str>) {
        (self.pass_type_identifier.as_deref(), self.serial_number.as_deref())
    }
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// It has no content.
    Empty,
    /// The pass is new.
    Issued,
    /// The registration is new.
    Registered,
    /// The device was registered already and has another push token now, or the image is another one now.
    Updated,
    /// Everything was so before.
    Unchanged,
    /// It was not done.
    Refused(Box<Refusal>),
}

/// Why a line was not done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    /// What the line is about.
    pub(super) subject: Subject,
    /// The status of the answer; `None` when the line was not sent.
    pub(super) status: Option<u16>,
    /// Stable name of the reason.
    pub(super) code: String,
    /// The reason, and the way to mend it.
    pub(super) detail: String,
    /// The faults of the body, as the service names them.
    pub(super) errors: Vec<Value>,
}

impl Refusal {
    /// A line that is not sent.
    pub(super) fn of_line(code: &str, detail: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            subject: Subject::default(),
            status: None,
            code: code.to_owned(),
            detail: detail.into(),
            errors: Vec::new(),
        })
    }

    /// The entry in the file of refused lines.
    pub(super) fn entry(&self, line: u64) -> Value {
        let Self { subject, status, code, detail, errors } = self;
        let mut entry = json!({ "line": line, "code": code, "detail": detail });
        let optional = [
            ("status", status.map(Value::from)),
            ("passTypeIdentifier", subject.pass_type_identifier.clone().map(Value::from)),
            ("serialNumber", subject.serial_number.clone().map(Value::from)),
            ("device", subject.device.clone().map(Value::from)),
            ("errors", (!errors.is_empty()).then(|| errors.clone().into())),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                entry[name] = value;
            }
        }
        entry
    }
}

/// How many lines had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) issued: u64,
    pub(super) registered: u64,
    pub(super) updated: u64,
    pub(super) unchanged: u64,
    pub(super) refused: u64,
}

impl Counts {
    /// Counts one more.
    pub(super) fn add(&mut self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Empty => return,
            Outcome::Issued => &mut self.issued,
            Outcome::Registered => &mut self.registered,
            Outcome::Updated => &mut self.updated,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Refused(_) => &mut self.refused,
        };
        *counter += 1;
    }

    /// The lines with content.
    pub(super) fn total(self) -> u64 {
        self.issued + self.registered + self.updated + self.unchanged + self.refused
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { issued, registered, updated, unchanged, refused } = self;
        write!(
            formatter,
            "{issued} passes issued, {registered} devices registered, {updated} push tokens replaced, {unchanged} unchanged, {refused} refused"
        )
    }
}
