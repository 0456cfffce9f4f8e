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
