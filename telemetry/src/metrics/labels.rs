//! Labels, and the closed sets that their values come from.

use http::StatusCode;

/// A label, which distinguishes the series of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The service, as it is called here.
    Service,
    /// Its release.
    Version,
    /// The commit that it was built from.
    GitSha,
    /// The environment that it runs in.
    Environment,
    /// The callers that a route is for.
    Area,
    /// The route of a request.
    Route,
    /// The status of an answer.
    Status,
    /// What requests wait for.
    Queue,
    /// Why a connection was closed early.
    ClosedBecause,
    /// The limit that a caller exceeded.
    Limit,
    /// The credentials that a caller showed.
    Credentials,
    /// The type of an aggregate.
    Aggregate,
    /// The command that it was given.
    Command,
    /// The result of a command.
    CommandResult,
    /// The result of a build.
    BuildResult,
    /// Where an image was read.
    ImageSource,
    /// The meaning of a line of a phone's log.
    Class,
    /// The days until a certificate ends.
    WithinDays,
    /// A store.
    Store,
    /// The state of a database connection.
    ConnectionState,
    /// The outcome of a push. Its values belong to the room that pushes.
    PushOutcome,
    /// How a delivery ended. Its values belong to the room that pushes.
    DeliveryState,
    /// A part that an operator can pause. Its values belong to the room that pushes.
    Pausable,
    /// The lines that callers without credentials can cause.
    AnonymousLine,
    /// The priority of a line of log output.
    LinePriority,
}

/// The values that a label can have.
pub(super) enum Values<'a> {
    /// These.
    Closed(&'a [&'static str]),
    /// Those of another closed set, described in words.
    Described(&'static str),
}

/// One of the values of a label. Its type is a closed set.
pub trait LabelValue: Copy {
    /// The label.
    const LABEL: Label;

    /// Its stable name.
    fn label(self) -> &'static str;
}

/// The closed sets that belong to rooms above this one, which cannot know them.
#[derive(Debug, Clone, Default)]
pub struct LabelSets(Vec<(Label, Vec<&'static str>)>);

impl LabelSets {
    /// With all values of one more label.
    #[must_use]
    pub fn with<V: LabelValue>(mut self, all: impl IntoIterator<Item = V>) -> Self {
        self.0.push((V::LABEL, all.into_iter().map(V::label).collect()));
        self
    }

    /// None for a label whose set was not given.
    fn of(&self, label: Label) -> &[&'static str] {
        self.0.iter().find(|(known, _)| *known == label).map_or(&[], |(_, names)| names.as_slice())
    }
}

impl Label {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Service => "service_name",
            Self::Version => "service_version",
            Self::GitSha => "git_sha",
            Self::Environment => "environment",
            Self::Area => "area",
            Self::Route => "route",
            Self::Status => "status",
            Self::Queue => "queue",
            Self::ClosedBecause => "because",
            Self::Limit => "limit",
            Self::Credentials => "credentials",
            Self::Aggregate => "aggregate",
            Self::Command => "command",
            Self::CommandResult | Self::BuildResult => "result",
            Self::ImageSource => "source",
            Self::Class => "class",
            Self::WithinDays => "within_days",
            Self::Store => "store",
            Self::ConnectionState | Self::DeliveryState => "state",
            Self::PushOutcome => "outcome",
            Self::Pausable => "part",
            Self::AnonymousLine => "lines",
            Self::LinePriority => "level",
        }
    }

    pub(super) fn values(self, sets: &LabelSets) -> Values<'_> {
        match self {
            Self::Service => Values::Described("`SERVICE_NAME`"),
            Self::Version => Values::Described("`HONOKEN_RELEASE_VERSION`"),
            Self::GitSha => Values::Described("`GIT_SHA`"),
            Self::Environment => Values::Described("`ENVIRONMENT`"),
            Self::Area => Values::Closed(Area::NAMES),
            Self::Route => {
                Values::Described("as in the router, such as `/v1/passes/{type}/{serial}`; `-` for none")
            }
            Self::Status => Values::Described("HTTP status"),
            Self::Queue => Values::Closed(Queue::NAMES),
            Self::ClosedBecause => Values::Closed(ClosedBecause::NAMES),
            Self::Limit => Values::Closed(RateLimit::NAMES),
            Self::Credentials => Values::Closed(Credentials::NAMES),
            Self::Aggregate => Values::Described("name of the aggregate"),
            Self::Command => Values::Described("name of the command, such as `replace_content`"),
            Self::CommandResult => Values::Closed(CommandResult::NAMES),
            Self::BuildResult => Values::Closed(BuildResult::NAMES),
            Self::ImageSource => Values::Closed(ImageSource::NAMES),
            Self::Class => Values::Closed(MessageClass::NAMES),
            Self::WithinDays => Values::Closed(WithinDays::NAMES),
            Self::Store => Values::Closed(Store::NAMES),
            Self::ConnectionState => Values::Closed(ConnectionState::NAMES),
            Self::PushOutcome | Self::DeliveryState | Self::Pausable => Values::Closed(sets.of(self)),
            Self::AnonymousLine => Values::Closed(AnonymousLine::NAMES),
            Self::LinePriority => Values::Closed(LinePriority::NAMES),
        }
    }
}

/// A closed set of values: an enum whose variants have names.
macro_rules! values {
    ($(#[$doc:meta])* $set:ident: $($(#[$variant_doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $set { $($(#[$variant_doc])* $variant),+ }

        impl $set {
            /// The names of all of them.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its stable name.
            pub fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }
    };
}

values! {
    /// The callers that a route is for.
    Area:
    /// Phones.
    Device = "device",
    /// Integrators.
    Manage = "manage",
    /// Operators.
    Admin = "admin",
    /// Monitoring of the process, and paths without a route.
    Service = "service",
}

impl Area {
    /// The area of a route.
    pub fn of(route: &str) -> Self {
        let is_below = |roots: &[&str]| roots.iter().any(|root| route.starts_with(root));
        match route {
            _ if is_below(&["/v1/"]) => Self::Device,
            _ if is_below(&["/manage/"]) => Self::Manage,
            _ if is_below(&["/admin/", "/api/admin/"]) => Self::Admin,
            _ => Self::Service,
        }
    }
}

values! {
    /// What requests wait for.
    Queue:
    /// A permit for phones.
    Device = "device",
    /// A permit for integrators.
    Manage = "manage",
    /// A permit for operators.
    Admin = "admin",
    /// The building of a pass.
    Build = "build",
    /// The moment from which on the push token of a device may be written again.
    PushToken = "push_token",
}

values! {
    /// Why a connection was closed early.
    ClosedBecause:
    /// All connections were in use, and it had waited longest for the other side.
    Crowded = "crowded",
    /// Its address had too many.
    Address = "address",
}

values! {
    /// The limit that a caller exceeded.
    RateLimit:
    /// Requests of an organisation.
    Manage = "manage",
    /// Wrong credentials of a client.
    Failures = "failures",
    /// Registrations for a pass that come from one address.
    Registrations = "registrations",
    /// Changes of one device.
    Device = "device",
    /// Passes that visitors have inspected.
    Visits = "visits",
    /// Persons who enrol with their passes.
    Personalizations = "personalizations",
    /// Requests of one address, but those of phones.
    General = "general",
    /// Registrations of a device and downloads of a pass that come from one address.
    Passkit = "passkit",
}

values! {
    /// The credentials that a caller showed.
    Credentials:
    /// The authentication token of a pass.
    Token = "token",
    /// An API key.
    Key = "key",
    /// The password of an operator.
    Password = "password",
    /// The signature of an operator's request.
    Signature = "signature",
}

values! {
    /// The result of a command.
    CommandResult:
    /// It gave events.
    Changed = "changed",
    /// Nothing had to change.
    Unchanged = "unchanged",
    /// The aggregate refused it.
    Refused = "refused",
    /// Other commands kept changing the aggregate.
    Conflict = "conflict",
    /// The event log was unavailable.
    Unavailable = "unavailable",
    /// An event of the aggregate does not decode.
    Undecodable = "undecodable",
}

values! {
    /// The result of a build.
    BuildResult:
    /// A pass.
    Built = "built",
    /// No pass; the log output gives the reason.
    Failed = "failed",
}

values! {
    /// Where an image was read that was not in memory.
    ImageSource:
    /// In the cache on disk.
    Disk = "disk",
    /// In the image store.
    Store = "store",
}

values! {
    /// The days until a certificate ends.
    WithinDays:
    /// Sixty.
    Sixty = "60",
    /// Thirty.
    Thirty = "30",
    /// Fourteen.
    Fourteen = "14",
    /// Seven.
    Seven = "7",
    /// One.
    One = "1",
}

impl WithinDays {
    /// The number.
    pub fn days(self) -> i64 {
        match self {
            Self::Sixty => 60,
            Self::Thirty => 30,
            Self::Fourteen => 14,
            Self::Seven => 7,
            Self::One => 1,
        }
    }
}

values! {
    /// Which store.
    Store:
    /// The event log.
    Log = "log",
    /// The read model.
    ReadModel = "read_model",
    /// The ledger of deliveries.
    Deliveries = "deliveries",
}

values! {
    /// The lines that callers without credentials can cause.
    AnonymousLine:
    /// A line that a phone sent.
    Phone = "phone",
    /// The line about an answered request.
    Request = "request",
    /// The reason why a request could not be answered.
    Error = "error",
}

values! {
    /// The priority of a line of log output when there is no room for all.
    LinePriority:
    /// It is at `ERROR`, or reports dropped lines.
    Error = "error",
    /// Any other.
    Other = "other",
}

values! {
    /// The state of a database connection.
    ConnectionState:
    /// A statement runs on it.
    Used = "used",
    /// It is idle.
    Idle = "idle",
}

values! {
    /// The meaning of a line of a phone's log. The words are Wallet's own; see `device/log.rs`.
    MessageClass:
    /// The service answered 401.
    AuthenticationFailure = "authentication_failure",
    /// The service gave a status that the call does not have.
    UnexpectedResponseCode = "unexpected_response_code",
    /// An answer could not be read.
    MalformedResponse = "malformed_response",
    /// A pass was not accepted: its signature, its manifest or its content.
    InvalidPass = "invalid_pass",
    /// Another pass than the one asked for.
    WrongPass = "wrong_pass",
    /// After a push, nothing had changed.
    SpuriousPush = "spurious_push",
    /// A pass was listed as changed and had not.
    UnchangedUpdate = "unchanged_update",
    /// The service answered 200 with the pass that the phone had, where 304 was possible.
    IgnoredIfModifiedSince = "ignored_if_modified_since",
    /// No `Last-Modified`.
    MissingLastModified = "missing_last_modified",
    /// Changes without a new tag.
    SameTag = "same_tag",
    /// Changes without a tag.
    OmittedTag = "omitted_tag",
    /// A pass was listed that the phone no longer has.
    UnregisteredSerialNumber = "unregistered_serial_number",
    /// A personalization changed nothing.
    UnchangedPersonalization = "unchanged_personalization",
    /// The words are unknown.
    Unknown = "unknown",
}

/// The value of a label. Every constructor takes it from a closed set.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(pub(super) Label, pub(super) &'a str);

impl<'a> Value<'a> {
    /// The route of a request, as the router has it: those are a closed set, unlike the paths that callers send.
    pub fn route(route: &'a str) -> Self {
        Self(Label::Route, route)
    }

    /// The status of an answer.
    pub fn status(status: &'a StatusCode) -> Self {
        Self(Label::Status, status.as_str())
    }

    /// The type of an aggregate, and the command it was given.
    pub fn command(aggregate: &'static str, command: &'static str) -> [Value<'static>; 2] {
        [Value(Label::Aggregate, aggregate), Value(Label::Command, command)]
    }
}

macro_rules! label_values {
    ($($set:ident as $label:ident),+) => {
        $(impl LabelValue for $set {
            const LABEL: Label = Label::$label;

            fn label(self) -> &'static str {
                self.name()
            }
        })+
    };
}

impl<V: LabelValue> From<V> for Value<'static> {
    fn from(value: V) -> Self {
        Self(V::LABEL, value.label())
    }
}

label_values!(
    Area as Area,
    Queue as Queue,
    ClosedBecause as ClosedBecause,
    RateLimit as Limit,
    CommandResult as CommandResult,
    BuildResult as BuildResult,
    ImageSource as ImageSource,
    MessageClass as Class,
    Store as Store,
    WithinDays as WithinDays,
    ConnectionState as ConnectionState,
    AnonymousLine as AnonymousLine,
    Credentials as Credentials,
    LinePriority as LinePriority
);
