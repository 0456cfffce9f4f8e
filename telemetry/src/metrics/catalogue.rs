//! Every metric, in one table.

use std::fmt::Write as _;

use super::labels::{Label, LabelSets, Values};

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
    /// `honoken.credentials.refused`
    CredentialsRefused,
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
    /// `honoken.passes.incomplete`
    PassesIncomplete,
    /// `honoken.passes.cached`
    PassesCached,
    /// `honoken.images.read`
    ImagesRead,
    /// `honoken.images.store.failures`
    ImageStoreFailures,
    /// `honoken.passes.cache.size`
    PassesCacheSize,
    /// `honoken.pass.signing`
    PassSigning,
    /// `honoken.certificates.ending`
    CertificatesEnding,
    /// `honoken.log.head`
    LogHead,
    /// `honoken.projection.position`
    ProjectionPosition,
    /// `honoken.projection.lag`
    ProjectionLag,
    /// `honoken.projection.parked`
    ProjectionParked,
    /// `honoken.rebuild.position`
    RebuildPosition,
    /// `honoken.rebuild.left`
    RebuildLeft,
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
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What a value is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    None,
    Seconds,
    Bytes,
}

/// One metric.
pub(super) struct Row {
    pub metric: Metric,
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub labels: &'static [Label],
    pub help: &'static str,
}

/// In the order of [`Metric`].
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    Row { metric: Metric::BuildInfo, name: "honoken.build.info", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Service, Label::Version, Label::GitSha, Label::Environment], help: "always 1; the labels name the running program" },
    Row { metric: Metric::ConnectionsOpen, name: "honoken.connections.open", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "open connections of callers" },
    Row { metric: Metric::ConnectionsClosed, name: "honoken.connections.closed", kind: Kind::Counter, unit: Unit::None, labels: &[Label::ClosedBecause], help: "connections closed to make room for others (`crowded`), or because their address had too many of them (`address`)" },
    Row { metric: Metric::Requests, name: "honoken.requests", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Area, Label::Route, Label::Status], help: "requests answered" },
    Row { metric: Metric::RequestDuration, name: "honoken.request.duration", kind: Kind::Histogram, unit: Unit::Seconds, labels: &[Label::Area, Label::Route], help: "time from the head of a request to its answer, with the wait for its turn and without sending the body of the answer" },
    Row { metric: Metric::RequestsInFlight, name: "honoken.requests.in_flight", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Area], help: "requests that have arrived and are not answered yet" },
    Row { metric: Metric::RequestsWaiting, name: "honoken.requests.waiting", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Queue], help: "requests in flight that wait for their turn" },
    Row { metric: Metric::RequestsShed, name: "honoken.requests.shed", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Queue], help: "requests answered 503 because too many waited for their turn, or they had waited too long" },
    Row { metric: Metric::RequestsRateLimited, name: "honoken.requests.rate_limited", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Limit], help: "requests answered 429" },
    Row { metric: Metric::CredentialsRefused, name: "honoken.credentials.refused", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Credentials], help: "wrong credentials: tokens of passes (also for passes that do not exist), API keys, passwords of operators; repeated ones of one address are named in the log output" },
    Row { metric: Metric::RequestsPanicked, name: "honoken.requests.panicked", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "requests answered 500 because their handler panicked: a bug, please report it" },
    Row { metric: Metric::Commands, name: "honoken.commands", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Aggregate, Label::Command, Label::CommandResult], help: "decided commands, by result" },
    Row { metric: Metric::CommandDuration, name: "honoken.command.duration", kind: Kind::Histogram, unit: Unit::Seconds, labels: &[Label::Aggregate], help: "time from a command to its events on disk, or to its refusal" },
    Row { metric: Metric::DevicePolls, name: "honoken.device.polls", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Status], help: "requests of phones for the list of changed passes" },
    Row { metric: Metric::DeviceDownloads, name: "honoken.device.downloads", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Status], help: "requests of phones for a pass; 304 if the phone has it already" },
    Row { metric: Metric::DeviceRegistrations, name: "honoken.device.registrations", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Status], help: "registrations: 201 for a pass that is new on the device, 200 for a known one" },
    Row { metric: Metric::DeviceUnregistrations, name: "honoken.device.unregistrations", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Status], help: "unregistrations" },
    Row { metric: Metric::DeviceMessages, name: "honoken.device.messages", kind: Kind::Counter, unit: Unit::None, labels: &[Label::Class], help: "lines of log output that phones sent to `/v1/log`" },
    Row { metric: Metric::PassesBuilt, name: "honoken.passes.built", kind: Kind::Counter, unit: Unit::None, labels: &[Label::BuildResult], help: "passes that were built and signed" },
    Row { metric: Metric::PassesIncomplete, name: "honoken.passes.incomplete", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "passes built without an image that the image store has lost; the log output names it" },
    Row { metric: Metric::PassesCached, name: "honoken.passes.cached", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "requests for a pass that were answered from memory" },
    Row { metric: Metric::ImagesRead, name: "honoken.images.read", kind: Kind::Counter, unit: Unit::None, labels: &[Label::ImageSource], help: "images that were not in memory and were read from the image store, or from the cache on disk in front of it" },
    Row { metric: Metric::ImageStoreFailures, name: "honoken.images.store.failures", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "reads and writes of the image store that failed with all their attempts" },
    Row { metric: Metric::PassesCacheSize, name: "honoken.passes.cache.size", kind: Kind::Gauge, unit: Unit::Bytes, labels: &[], help: "size of the built passes in memory" },
    Row { metric: Metric::PassSigning, name: "honoken.pass.signing", kind: Kind::Histogram, unit: Unit::Seconds, labels: &[], help: "time to make the manifest, the signature and the archive of one pass, without the wait for a free core" },
    Row { metric: Metric::CertificatesEnding, name: "honoken.certificates.ending", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::WithinDays], help: "certificates that sign now, and expire within so many days" },
    Row { metric: Metric::LogHead, name: "honoken.log.head", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "position of the last event that this process knows" },
    Row { metric: Metric::ProjectionPosition, name: "honoken.projection.position", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "position up to which readers see every event" },
    Row { metric: Metric::ProjectionLag, name: "honoken.projection.lag", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "events between `honoken.projection.position` and `honoken.log.head`" },
    Row { metric: Metric::ProjectionParked, name: "honoken.projection.parked", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "aggregates (passes, registrations …) that stand still because one of their events is parked" },
    Row { metric: Metric::RebuildPosition, name: "honoken.rebuild.position", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "position that a rebuild of the read model in this process has come to; 0 while there is none" },
    Row { metric: Metric::RebuildLeft, name: "honoken.rebuild.left", kind: Kind::Gauge, unit: Unit::Seconds, labels: &[], help: "time until that rebuild has caught up, at its present pace" },
    Row { metric: Metric::ReadModelQuestions, name: "honoken.read_model.questions", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "queries of this process to the tables of the read model" },
    Row { metric: Metric::PassRowsLookedFor, name: "honoken.pass_rows.looked_for", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "lookups of a pass's row in memory, hits and misses: one for each request with a token" },
    Row { metric: Metric::Pushes, name: "honoken.pushes", kind: Kind::Counter, unit: Unit::None, labels: &[Label::PushOutcome], help: "attempted pushes, by the answer of APNs" },
    Row { metric: Metric::PushDuration, name: "honoken.push.duration", kind: Kind::Histogram, unit: Unit::Seconds, labels: &[], help: "time from a push to the answer of APNs, or to the failure that stands for an answer" },
    Row { metric: Metric::DeliveriesEnded, name: "honoken.deliveries.ended", kind: Kind::Counter, unit: Unit::None, labels: &[Label::DeliveryState], help: "deliveries (one state of a pass for one phone) that have ended" },
    Row { metric: Metric::DeliveriesPending, name: "honoken.deliveries.pending", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "pending deliveries of all processes together" },
    Row { metric: Metric::WakesOldest, name: "honoken.wakes.oldest", kind: Kind::Gauge, unit: Unit::Seconds, labels: &[], help: "time for which the longest waiting phone has been due; a phone in its push window is not due" },
    Row { metric: Metric::CredentialsParked, name: "honoken.push.credentials.parked", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "APNs keys and certificates that APNs refuses; nothing is sent with them until an operator acts" },
    Row { metric: Metric::MessagesParked, name: "honoken.messages.parked", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "parked messages: they can never be processed, and wait for an operator" },
    Row { metric: Metric::MessagesPublished, name: "honoken.messages.published", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "messages about changes that the relay has published to NATS" },
    Row { metric: Metric::MessagesSwept, name: "honoken.messages.swept", kind: Kind::Counter, unit: Unit::None, labels: &[], help: "messages that the sweep has republished, because no push was recorded for them" },
    Row { metric: Metric::RelayPosition, name: "honoken.relay.position", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "position in the event log up to which changes were published" },
    Row { metric: Metric::RelayLag, name: "honoken.relay.lag", kind: Kind::Gauge, unit: Unit::None, labels: &[], help: "events that are not published yet" },
    Row { metric: Metric::PushingPaused, name: "honoken.pushing.paused", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Pausable], help: "1 while an operator has paused the part" },
    Row { metric: Metric::StoreConnections, name: "honoken.store.connections", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Store, Label::ConnectionState], help: "connections for reading, by state" },
    Row { metric: Metric::StoreConnectionsLimit, name: "honoken.store.connections.limit", kind: Kind::Gauge, unit: Unit::None, labels: &[Label::Store], help: "limit on the connections for reading; a query waits while all are used" },
    Row { metric: Metric::LogOutputLeftOut, name: "honoken.log_output.left_out", kind: Kind::Counter, unit: Unit::None, labels: &[Label::AnonymousLine], help: "lines of log output that were left out because callers without credentials had used up their share: lines from phones, lines about requests, lines about errors" },
    Row { metric: Metric::LogOutputDropped, name: "honoken.log_output.dropped", kind: Kind::Counter, unit: Unit::None, labels: &[Label::LinePriority], help: "lines of log output that were not written, because standard error was not read or could not be written" },
];

impl Row {
    /// The name that Prometheus knows.
    pub(super) fn exposed(&self) -> String {
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

/// The table, as `docs/metrics.md` has it. `sets`: the values of labels that belong to other rooms.
pub fn table(sets: &LabelSets) -> String {
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
        let values = match label.values(sets) {
            Values::Closed(names) => {
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            }
            Values::Described(words) => words.to_owned(),
        };
        writeln!(text, "| `{}`{of} | {values} |", label.name()).expect("a string takes everything");
    }
    text
}
