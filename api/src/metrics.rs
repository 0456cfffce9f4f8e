//! What is counted and measured. The table below is all of it; nothing else can be recorded, and every value of a label comes from a closed set, so
//! that no caller can make the number of series grow. `docs/metrics.md` is made from the table.
//!
//! In code and logs a metric has its dotted name, `honoken.device.polls`. Prometheus sees `honoken_device_polls_total`: underscores, then the unit,
//! then `_total` for what only grows.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::MatchedPath;
use honoken_domain::snapshot::Snapshot;
use http::StatusCode;
use prometheus::core::Collector;
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::config::Identity;

/// Everything that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// `honoken.build.info`
    BuildInfo,
    /// `honoken.connections.open`
    ConnectionsOpen,
    /// `honoken.connections.closed`
    ConnectionsClosed,
    /// `honoken.requests`
    Requests,
    /// `honoken.request.duration`
    RequestDuration,
    /// `honoken.requests.in_flight`
    RequestsInFlight,
    /// `honoken.requests.waiting`
    RequestsWaiting,
    /// `honoken.requests.shed`
    RequestsShed,
    /// `honoken.requests.rate_limited`
    RequestsRateLimited,
    /// `honoken.requests.panicked`
    RequestsPanicked,
    /// `honoken.commands`
    Commands,
    /// `honoken.command.duration`
    CommandDuration,
    /// `honoken.device.polls`
    DevicePolls,
    /// `honoken.device.downloads`
    DeviceDownloads,
    /// `honoken.device.registrations`
    DeviceRegistrations,
    /// `honoken.device.unregistrations`
    DeviceUnregistrations,
    /// `honoken.device.messages`
    DeviceMessages,
    /// `honoken.passes.built`
    PassesBuilt,
    /// `honoken.passes.cached`
    PassesCached,
    /// `honoken.passes.cache.size`
    PassesCacheSize,
    /// `honoken.pass.signing`
    PassSigning,
    /// `honoken.log.head`
    LogHead,
    /// `honoken.projection.position`
    ProjectionPosition,
    /// `honoken.projection.lag`
    ProjectionLag,
    /// `honoken.projection.parked`
    ProjectionParked,
    /// `honoken.read_model.questions`
    ReadModelQuestions,
    /// `honoken.pass_rows.looked_for`
    PassRowsLookedFor,
    /// `honoken.pushes`
    Pushes,
    /// `honoken.push.duration`
    PushDuration,
    /// `honoken.deliveries.ended`
    DeliveriesEnded,
    /// `honoken.deliveries.pending`
    DeliveriesPending,
    /// `honoken.wakes.oldest`
    WakesOldest,
    /// `honoken.push.credentials.parked`
    CredentialsParked,
    /// `honoken.messages.parked`
    MessagesParked,
    /// `honoken.messages.published`
    MessagesPublished,
    /// `honoken.messages.swept`
    MessagesSwept,
    /// `honoken.relay.position`
    RelayPosition,
    /// `honoken.relay.lag`
    RelayLag,
    /// `honoken.pushing.paused`
    PushingPaused,
    /// `honoken.store.connections`
    StoreConnections,
    /// `honoken.store.connections.limit`
    StoreConnectionsLimit,
    /// `honoken.log_output.left_out`
    LogOutputLeftOut,
    /// `honoken.log_output.dropped`
    LogOutputDropped,
}

/// Whether it only grows, goes up and down, or is a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What a value is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    None,
    Seconds,
    Bytes,
}

/// What tells the series of a metric apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Service,
    Version,
    GitSha,
    Environment,
    Area,
    Route,
    Status,
    Queue,
    ClosedBecause,
    Limit,
    Aggregate,
    Command,
    CommandResult,
    BuildResult,
    Class,
    Store,
    ConnectionState,
    PushOutcome,
    DeliveryState,
    Pausable,
    AnonymousLine,
    LinePriority,
}

/// The values that a label can have.
enum Values {
    /// These.
    Closed(&'static [&'static str]),
    /// Those of another closed set, in words.
    Described(&'static str),
}

impl Label {
    fn name(self) -> &'static str {
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
            Self::Aggregate => "aggregate",
            Self::Command => "command",
            Self::CommandResult | Self::BuildResult => "result",
            Self::Class => "class",
            Self::Store => "store",
            Self::ConnectionState | Self::DeliveryState => "state",
            Self::PushOutcome => "outcome",
            Self::Pausable => "part",
            Self::AnonymousLine => "lines",
            Self::LinePriority => "level",
        }
    }

    fn values(self) -> Values {
        match self {
            Self::Service => Values::Described("`SERVICE_NAME`"),
            Self::Version => Values::Described("`HONOKEN_RELEASE_VERSION`"),
            Self::GitSha => Values::Described("`GIT_SHA`"),
            Self::Environment => Values::Described("`ENVIRONMENT`"),
            Self::Area => Values::Closed(Area::NAMES),
            Self::Route => Values::Described("as in the router, `/v1/passes/{type}/{serial}`; `-` for none"),
            Self::Status => Values::Described("HTTP status"),
            Self::Queue => Values::Closed(Queue::NAMES),
            Self::ClosedBecause => Values::Closed(ClosedBecause::NAMES),
            Self::Limit => Values::Closed(RateLimit::NAMES),
            Self::Aggregate => Values::Described("name of the aggregate"),
            Self::Command => Values::Described("name of the command, `replace_content`"),
            Self::CommandResult => Values::Closed(CommandResult::NAMES),
            Self::BuildResult => Values::Closed(BuildResult::NAMES),
            Self::Class => Values::Closed(MessageClass::NAMES),
            Self::Store => Values::Closed(Store::NAMES),
            Self::ConnectionState => Values::Closed(ConnectionState::NAMES),
            Self::PushOutcome => Values::Closed(PushOutcome::NAMES),
            Self::DeliveryState => Values::Closed(DeliveryState::NAMES),
            Self::Pausable => Values::Closed(Pausable::NAMES),
            Self::AnonymousLine => Values::Closed(AnonymousLine::NAMES),
            Self::LinePriority => Values::Closed(LinePriority::NAMES),
        }
    }
}

/// One metric.
struct Row {
    metric: Metric,
    name: &'static str,
    kind: Kind,
    unit: Unit,
    labels: &'static [Label],
    help: &'static str,
}

/// In the order of [`Metric`].
#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { metric: Metric::BuildInfo, name: "honoken.build.info", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Service, Label::Version, Label::GitSha, Label::Environment], help: "always 1; the labels say what runs" },
    Row { metric: Metric::ConnectionsOpen, name: "honoken.connections.open", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "connections of callers that are open now" },
    Row { metric: Metric::ConnectionsClosed, name: "honoken.connections.closed", kind: Kind::Counter, unit: Unit::None, labels: &[Label::ClosedBecause], help: "connections closed to make room for others (`crowded`), or because their address had too many (`address`)" },
    Row { metric: Metric::Requests, name: "honoken.requests", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Area, Label::Route, Label::Status], help: "requests answered" },
    Row { metric: Metric::RequestDuration, name: "honoken.request.duration", kind: Kind::Histogram, unit: Unit::Seconds, labels: &[Label::Area, Label::Route], help: "from the head of a request to its answer, waiting for its turn included, sending the body of the answer not" },
    Row { metric: Metric::RequestsInFlight, name: "honoken.requests.in_flight", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Area], help: "requests that have come and are not answered yet" },
    Row { metric: Metric::RequestsWaiting, name: "honoken.requests.waiting", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Queue], help: "of these, requests that wait for their turn" },
    Row { metric: Metric::RequestsShed, name: "honoken.requests.shed", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Queue], help: "requests answered 503 because too many waited for their turn, or they had waited too long" },
    Row { metric: Metric::RequestsRateLimited, name: "honoken.requests.rate_limited", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Limit], help: "requests answered 429" },
    Row { metric: Metric::RequestsPanicked, name: "honoken.requests.panicked", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "requests answered 500 because their handler panicked: a bug, please report it" },
    Row { metric: Metric::Commands, name: "honoken.commands", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Aggregate, Label::Command, Label::CommandResult], help: "commands decided, by what became of them" },
    Row { metric: Metric::CommandDuration, name: "honoken.command.duration", kind: Kind::Histogram, unit: Unit::Seconds, labels: &[Label::Aggregate], help: "from a command to its events on disk, or its refusal" },
    Row { metric: Metric::DevicePolls, name: "honoken.device.polls", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Status], help: "phones that asked what changed" },
    Row { metric: Metric::DeviceDownloads, name: "honoken.device.downloads", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Status], help: "phones that asked for a pass; 304 when they have it already" },
    Row { metric: Metric::DeviceRegistrations, name: "honoken.device.registrations", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Status], help: "phones that registered: 201 for a pass that was new on the device, 200 for one that was not" },
    Row { metric: Metric::DeviceUnregistrations, name: "honoken.device.unregistrations", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Status], help: "phones that unregistered" },
    Row { metric: Metric::DeviceMessages, name: "honoken.device.messages", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Class], help: "lines that phones sent to `/v1/log`" },
    Row { metric: Metric::PassesBuilt, name: "honoken.passes.built", kind: Kind::Counter, unit: Unit::None, labels: &[Label::BuildResult], help: "passes put together and signed" },
    Row { metric: Metric::PassesCached, name: "honoken.passes.cached", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "passes answered from memory" },
    Row { metric: Metric::PassesCacheSize, name: "honoken.passes.cache.size", kind: Kind::Gauge, unit: Unit::Bytes, labels: &[], help: "built passes in memory" },
    Row { metric: Metric::PassSigning, name: "honoken.pass.signing", kind: Kind::Histogram, unit: Unit::Seconds, labels: &[], help: "manifest, signature and archive of one pass, without the wait for a free core" },
    Row { metric: Metric::LogHead, name: "honoken.log.head", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "position of the last event that this process knows" },
    Row { metric: Metric::ProjectionPosition, name: "honoken.projection.position", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "position up to which readers see everything" },
    Row { metric: Metric::ProjectionLag, name: "honoken.projection.lag", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "events between the two" },
    Row { metric: Metric::ProjectionParked, name: "honoken.projection.parked", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "passes, registrations and so on that stand still because an event of theirs is parked" },
    Row { metric: Metric::ReadModelQuestions, name: "honoken.read_model.questions", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "questions that this process has asked the tables of the read model" },
    Row { metric: Metric::PassRowsLookedFor, name: "honoken.pass_rows.looked_for", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "looks into memory for what a phone is answered from, whether it was there or not: one for each request with a token" },
    Row { metric: Metric::Pushes, name: "honoken.pushes", kind: Kind::Counter, unit: Unit::None, labels: &[Label::PushOutcome], help: "pushes tried, by what APNs said to them" },
    Row { metric: Metric::PushDuration, name: "honoken.push.duration", kind: Kind::Histogram, unit: Unit::Seconds, labels: &[], help: "from a push to the answer of APNs, or to what stands for one" },
    Row { metric: Metric::DeliveriesEnded, name: "honoken.deliveries.ended", kind: Kind::Counter, unit: Unit::None, labels: &[Label::DeliveryState], help: "deliveries of one state of a pass to one phone that have come to their end" },
    Row { metric: Metric::DeliveriesPending, name: "honoken.deliveries.pending", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "deliveries that are still to be sent, in all processes together" },
    Row { metric: Metric::WakesOldest, name: "honoken.wakes.oldest", kind: Kind::Gauge, unit: Unit::Seconds, labels: &[], help: "how long the phone that waits longest has been due; phones in their window are not" },
    Row { metric: Metric::CredentialsParked, name: "honoken.push.credentials.parked", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "APNs keys and certificates that APNs refused, so that nothing is sent with them: somebody should act" },
    Row { metric: Metric::MessagesParked, name: "honoken.messages.parked", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "messages that can never succeed and wait for an operator" },
    Row { metric: Metric::MessagesPublished, name: "honoken.messages.published", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "messages about changes that the relay has handed to the broker" },
    Row { metric: Metric::MessagesSwept, name: "honoken.messages.swept", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "messages that the sweep has said once more, because no phone was known to be woken for them" },
    Row { metric: Metric::RelayPosition, name: "honoken.relay.position", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "position of the log up to which changes were handed on" },
    Row { metric: Metric::RelayLag, name: "honoken.relay.lag", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "events that are not handed on yet" },
    Row { metric: Metric::PushingPaused, name: "honoken.pushing.paused", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Pausable], help: "1 while an operator has paused it" },
    Row { metric: Metric::StoreConnections, name: "honoken.store.connections", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Store, Label::ConnectionState], help: "connections for reading" },
    Row { metric: Metric::StoreConnectionsLimit, name: "honoken.store.connections.limit", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Store], help: "the most that there can be; when all are used, questions wait" },
    Row { metric: Metric::LogOutputLeftOut, name: "honoken.log_output.left_out", kind: Kind::Counter, unit: Unit::None, labels: &[Label::AnonymousLine], help: "lines of log output that callers without credentials would have caused beyond their share: lines that phones sent, lines about requests, lines about errors" },
    Row { metric: Metric::LogOutputDropped, name: "honoken.log_output.dropped", kind: Kind::Counter, unit: Unit::None, labels: &[Label::LinePriority], help: "lines of log output that were not written, because standard error was not read or could not be written" },
];

impl Row {
    /// The name that Prometheus knows.
    fn exposed(&self) -> String {
        let mut name = self.name.replace('.', "_");
        name.push_str(match self.unit {
            Unit::None => "",
            Unit::Seconds => "_seconds",
            Unit::Bytes => "_bytes",
        });
        if self.kind == Kind::Counter {
            name.push_str("_total");
        }
        name
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
    /// Who a route is for.
    Area:
    /// Phones.
    Device = "device",
    /// Integrators.
    Manage = "manage",
    /// Operators.
    Admin = "admin",
    /// Whoever looks after the process, and paths that lead nowhere.
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
    /// A turn among those of phones.
    Device = "device",
    /// A turn among those of integrators.
    Manage = "manage",
    /// A turn among those of operators.
    Admin = "admin",
    /// The building of a pass.
    Build = "build",
}

values! {
    /// Why a connection was closed before its time.
    ClosedBecause:
    /// There were no more, and it had waited longest for the other side.
    Crowded = "crowded",
    /// Its address had too many.
    Address = "address",
}

values! {
    /// What a caller had too much of.
    RateLimit:
    /// Requests of an organisation.
    Manage = "manage",
    /// Wrong credentials of a client.
    Failures = "failures",
    /// Registrations for a pass that come from one address.
    Registrations = "registrations",
    /// Changes of one device.
    Device = "device",
}

values! {
    /// What became of a command.
    CommandResult:
    /// Events.
    Changed = "changed",
    /// Nothing had to change.
    Unchanged = "unchanged",
    /// The aggregate said no.
    Refused = "refused",
    /// Others kept changing the aggregate.
    Conflict = "conflict",
    /// The log was away.
    Unavailable = "unavailable",
    /// An event of the aggregate does not decode.
    Undecodable = "undecodable",
}

values! {
    /// What became of a build.
    BuildResult:
    /// A pass.
    Built = "built",
    /// No pass; the log says why.
    Failed = "failed",
}

values! {
    /// Which store.
    Store:
    /// The log.
    Log = "log",
    /// The read model.
    ReadModel = "read_model",
    /// The ledger of deliveries.
    Deliveries = "deliveries",
}

values! {
    /// What became of a push. The words are those of `honoken_pushers::ports::Observer`.
    PushOutcome:
    /// APNs has it.
    Accepted = "accepted",
    /// APNs does not know the phone any more.
    TokenDead = "token_dead",
    /// It is tried again.
    Retry = "retry",
    /// Nothing succeeds with this key or certificate.
    Misconfigured = "misconfigured",
    /// This push never succeeds.
    Refused = "refused",
}

values! {
    /// How a delivery ended. The words are those of `honoken_pushers::ports::Observer`.
    DeliveryState:
    /// APNs has it.
    Sent = "sent",
    /// It was given up.
    Failed = "failed",
    /// Another one stands for it, or nobody waits for it.
    Superseded = "superseded",
    /// The phone is gone.
    Dead = "dead",
}

values! {
    /// What an operator can pause.
    Pausable:
    /// The way from the log to the messages.
    Relay = "relay",
    /// The way from the messages to the phones.
    Pusher = "pusher",
}

values! {
    /// What callers without credentials can make this process log.
    AnonymousLine:
    /// A line that a phone sent.
    Phone = "phone",
    /// How a request was answered.
    Request = "request",
    /// Why a request could not be answered.
    Error = "error",
}

values! {
    /// How much a line of log output matters when there is no room for all.
    LinePriority:
    /// It is at `ERROR`, or tells of dropped lines.
    Error = "error",
    /// Any other.
    Other = "other",
}

values! {
    /// What a connection does.
    ConnectionState:
    /// A question is asked on it.
    Used = "used",
    /// It waits for one.
    Idle = "idle",
}

values! {
    /// What a phone means by a line of its log. The words are Wallet's own; see `device/log.rs`.
    MessageClass:
    /// We answered 401.
    AuthenticationFailure = "authentication_failure",
    /// We answered something that the call does not have.
    UnexpectedResponseCode = "unexpected_response_code",
    /// An answer could not be read.
    MalformedResponse = "malformed_response",
    /// A pass was not accepted: its signature, its manifest or its content.
    InvalidPass = "invalid_pass",
    /// Another pass than the one asked for.
    WrongPass = "wrong_pass",
    /// A push, and then nothing had changed.
    SpuriousPush = "spurious_push",
    /// A pass was listed as changed and had not.
    UnchangedUpdate = "unchanged_update",
    /// 200 with what the phone had already, where 304 was possible.
    IgnoredIfModifiedSince = "ignored_if_modified_since",
    /// No `Last-Modified`.
    MissingLastModified = "missing_last_modified",
    /// Changes without a new tag.
    SameTag = "same_tag",
    /// Changes without a tag.
    OmittedTag = "omitted_tag",
    /// A change of a pass that the phone does not have any more.
    UnregisteredSerialNumber = "unregistered_serial_number",
    /// A personalization that led to nothing.
    UnchangedPersonalization = "unchanged_personalization",
    /// Words that we do not know.
    Unknown = "unknown",
}

/// The route of a request as the router has it, which is a closed set, unlike the paths that callers send.
#[derive(Debug, Clone)]
pub struct Route(Option<MatchedPath>);

impl Route {
    /// The route that was found; `None` when there is none.
    pub fn of(found: Option<&MatchedPath>) -> Self {
        Self(found.cloned())
    }

    /// `/v1/passes/{type}/{serial}`; `-` for none.
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("-", MatchedPath::as_str)
    }
}

/// The value of a label. Each way to make one takes it from a closed set.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(Label, &'a str);

impl<'a> Value<'a> {
    /// The route of a request.
    pub fn route(route: &'a Route) -> Self {
        Self(Label::Route, route.as_str())
    }

    /// The status of an answer.
    pub fn status(status: &'a StatusCode) -> Self {
        Self(Label::Status, status.as_str())
    }

    /// The type of an aggregate, and the command it was given.
    pub fn command<A: Snapshot>(command: &'static str) -> [Value<'static>; 2] {
        [Value(Label::Aggregate, A::TYPE), Value(Label::Command, command)]
    }
}

macro_rules! value_of {
    ($($set:ident as $label:ident),+) => {
        $(impl From<$set> for Value<'static> {
            fn from(value: $set) -> Self {
                Self(Label::$label, value.name())
            }
        })+
    };
}

value_of!(
    Area as Area,
    Queue as Queue,
    ClosedBecause as ClosedBecause,
    RateLimit as Limit,
    CommandResult as CommandResult,
    BuildResult as BuildResult,
    MessageClass as Class,
    Store as Store,
    ConnectionState as ConnectionState,
    PushOutcome as PushOutcome,
    DeliveryState as DeliveryState,
    Pausable as Pausable,
    AnonymousLine as AnonymousLine,
    LinePriority as LinePriority
);

/// Seconds. From an answer from memory to the longest that a request may take.
const BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Where everything is recorded. Clones record to the same place.
#[derive(Clone)]
pub struct Metrics(Arc<Recorded>);

struct Recorded {
    registry: Registry,
    /// In the order of [`Metric`].
    families: Vec<Family>,
}

enum Family {
    Counter(IntCounterVec),
    Gauge(IntGaugeVec),
    Histogram(HistogramVec),
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Nothing recorded yet.
    pub fn new(identity: &Identity) -> Self {
        debug_assert!(TABLE.iter().enumerate().all(|(index, row)| row.metric as usize == index));
        let registry = Registry::new();
        let families = TABLE.iter().map(|row| registered(&registry, row)).collect();
        #[cfg(target_os = "linux")]
        register(&registry, Box::new(ProcessCollector::for_self()));
        let metrics = Self(Arc::new(Recorded { registry, families }));
        metrics
            .gauge(
                Metric::BuildInfo,
                &[
                    Value(Label::Service, &identity.service),
                    Value(Label::Version, &identity.version),
                    Value(Label::GitSha, &identity.git_sha),
                    Value(Label::Environment, identity.environment.as_deref().unwrap_or_default()),
                ],
            )
            .set(1);
        metrics
    }

    /// One series of a counter. Whoever counts often keeps it.
    ///
    /// # Panics
    /// When the metric is none, or has other labels: a slip of the pen, which every test of the place would show.
    pub fn counter(&self, metric: Metric, values: &[Value<'_>]) -> IntCounter {
        match self.family(metric, values) {
            Family::Counter(family) => family.with_label_values(Texts::of(values).as_slice()),
            Family::Gauge(_) | Family::Histogram(_) => panic!("{metric:?} is no counter"),
        }
    }

    /// Counts one.
    pub fn count(&self, metric: Metric, values: &[Value<'_>]) {
        self.counter(metric, values).inc();
    }

    /// One series of a gauge.
    ///
    /// # Panics
    /// As [`Metrics::counter`].
    pub fn gauge(&self, metric: Metric, values: &[Value<'_>]) -> IntGauge {
        match self.family(metric, values) {
            Family::Gauge(family) => family.with_label_values(Texts::of(values).as_slice()),
            Family::Counter(_) | Family::Histogram(_) => panic!("{metric:?} is no gauge"),
        }
    }

    /// One series of a distribution.
    ///
    /// # Panics
    /// As [`Metrics::counter`].
    pub fn histogram(&self, metric: Metric, values: &[Value<'_>]) -> Histogram {
        match self.family(metric, values) {
            Family::Histogram(family) => family.with_label_values(Texts::of(values).as_slice()),
            Family::Counter(_) | Family::Gauge(_) => panic!("{metric:?} is no histogram"),
        }
    }

    /// Notes how long something took.
    pub fn observe(&self, metric: Metric, values: &[Value<'_>], duration: Duration) {
        self.histogram(metric, values).observe(duration.as_secs_f64());
    }

    fn family(&self, metric: Metric, values: &[Value<'_>]) -> &Family {
        let expected = TABLE[metric as usize].labels;
        debug_assert!(
            values.iter().map(|value| value.0).eq(expected.iter().copied()),
            "{metric:?} has the labels {expected:?}, not {values:?}"
        );
        &self.0.families[metric as usize]
    }

    /// Everything, in Prometheus's text format.
    ///
    /// # Errors
    /// When a figure of the process cannot be written, which no figure is known to lead to.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|fault| prometheus::Error::Msg(fault.to_string()))
    }
}

/// What [`Metrics::render`] is (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// As many labels as any metric has.
const MOST_LABELS: usize = 4;

/// The texts of values, which are recorded too often to allocate for each.
struct Texts<'a>([&'a str; MOST_LABELS], usize);

impl<'a> Texts<'a> {
    fn of(values: &[Value<'a>]) -> Self {
        let mut texts = [""; MOST_LABELS];
        for (text, value) in texts.iter_mut().zip(values) {
            *text = value.1;
        }
        Self(texts, values.len().min(MOST_LABELS))
    }

    fn as_slice(&self) -> &[&'a str] {
        &self.0[..self.1]
    }
}

fn register(registry: &Registry, collector: Box<dyn Collector>) {
    registry
        .register(collector)
        .expect("the names of the table differ, and those of the process begin otherwise");
}

fn registered(registry: &Registry, row: &Row) -> Family {
    let labels: Vec<&str> = row.labels.iter().map(|label| label.name()).collect();
    let opts = Opts::new(row.exposed(), row.help);
    let valid = "the table holds valid names";
    let family = match row.kind {
        Kind::Counter => Family::Counter(IntCounterVec::new(opts, &labels).expect(valid)),
        Kind::Gauge => Family::Gauge(IntGaugeVec::new(opts, &labels).expect(valid)),
        Kind::Histogram => {
            let opts = HistogramOpts::from(opts).buckets(BUCKETS.to_vec());
            Family::Histogram(HistogramVec::new(opts, &labels).expect(valid))
        }
    };
    // What has happened never is 0, and not missing: an alert on its growth needs a place to begin.
    for values in combinations(row.labels) {
        match &family {
            Family::Counter(family) => drop(family.with_label_values(&values)),
            Family::Gauge(family) => drop(family.with_label_values(&values)),
            Family::Histogram(family) => drop(family.with_label_values(&values)),
        }
    }
    register(
        registry,
        match &family {
            Family::Counter(family) => Box::new(family.clone()),
            Family::Gauge(family) => Box::new(family.clone()),
            Family::Histogram(family) => Box::new(family.clone()),
        },
    );
    family
}

/// Every combination of values, where all of them can be named here; else none.
fn combinations(labels: &[Label]) -> Vec<Vec<&'static str>> {
    let mut found = vec![Vec::new()];
    for label in labels {
        let Values::Closed(names) = label.values() else { return Vec::new() };
        let longer = |known: Vec<&'static str>| {
            names.iter().map(move |name| known.iter().copied().chain([*name]).collect())
        };
        found = found.into_iter().flat_map(longer).collect();
    }
    found
}

/// The table, as `docs/metrics.md` has it.
pub fn table() -> String {
    let mut text = String::from(
        "| Metric | In Prometheus | Kind | Labels | Meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for row in TABLE {
        let kind = match row.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let unit = match row.unit {
            Unit::None => "",
            Unit::Seconds => ", seconds",
            Unit::Bytes => ", bytes",
        };
        let labels: Vec<String> = row.labels.iter().map(|label| format!("`{}`", label.name())).collect();
        let (name, exposed, labels, help) = (row.name, row.exposed(), labels.join(", "), row.help);
        writeln!(text, "| `{name}` | `{exposed}` | {kind}{unit} | {labels} | {help} |")
            .expect("a string takes everything");
    }
    text.push_str("\n| Label | Values |\n| --- | --- |\n");
    let mut said: Vec<Label> = Vec::new();
    for label in TABLE.iter().flat_map(|row| row.labels) {
        if said.contains(label) {
            continue;
        }
        said.push(*label);
        let of = match label {
            Label::CommandResult => " of a command",
            Label::BuildResult => " of a build",
            Label::ConnectionState => " of a connection",
            Label::DeliveryState => " of a delivery",
            _ => "",
        };
        let values = match label.values() {
            Values::Closed(names) => {
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            }
            Values::Described(words) => words.to_owned(),
        };
        writeln!(text, "| `{}`{of} | {values} |", label.name()).expect("a string takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::generated;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_nothing_twice() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.metric as usize, index, "{}", row.name);
            assert!(row.name.starts_with("honoken."), "{}", row.name);
        }
        assert!(TABLE.iter().all(|row| row.labels.len() <= MOST_LABELS));
        let names: BTreeSet<String> = TABLE.iter().map(Row::exposed).collect();
        assert_eq!(names.len(), TABLE.len());
        let last = Metric::LogOutputDropped as usize;
        assert_eq!(TABLE.len(), last + 1, "every metric has its row");
    }

    #[test]
    fn what_never_happened_is_zero() {
        let identity = Identity { version: "1.2.3".into(), git_sha: "c0ffee".into(), ..Identity::default() };
        let text = Metrics::new(&identity).render().unwrap();
        for line in [
            "honoken_requests_shed_total{queue=\"build\"} 0",
            "honoken_device_messages_total{class=\"spurious_push\"} 0",
            "honoken_requests_panicked_total 0",
            "honoken_build_info{environment=\"\",git_sha=\"c0ffee\",service_name=\"honoken\",service_version=\"1.2.3\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn names_are_made_of_the_dotted_name_the_unit_and_the_kind() {
        assert_eq!(TABLE[Metric::DevicePolls as usize].exposed(), "honoken_device_polls_total");
        assert_eq!(TABLE[Metric::PassSigning as usize].exposed(), "honoken_pass_signing_seconds");
    }

    #[test]
    fn the_documented_metrics_are_those_of_the_code() {
        generated::check("docs/metrics.md", "metrics", &table());
    }

    #[test]
    fn an_area_is_told_by_the_route() {
        for (route, area) in [
            ("/v1/log", Area::Device),
            ("/manage/v1/passes", Area::Manage),
            ("/admin/projections", Area::Admin),
            ("/api/admin/projections", Area::Admin),
            ("/health/live", Area::Service),
            ("/metrics", Area::Service),
            ("-", Area::Service),
        ] {
            assert_eq!(Area::of(route), area, "{route}");
        }
    }
}
