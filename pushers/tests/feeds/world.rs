//! The world of a test: an event log, its projection and a ledger on one engine, and a broker where there is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cqrs_es::persist::SemanticVersionEventUpcaster;
use honoken_domain::content::Content;
use honoken_domain::ids::{
    AuthenticationToken, Digest, OrganizationId, PassId, PassTypeIdentifier, SerialNumber, TeamIdentifier,
    UnixSeconds,
};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::localizations::Localizations;
use honoken_domain::organization::{Organization, OrganizationCommand};
use honoken_domain::pass::{
    Circumstances, IssuePass, OrderedToken, Pass, PassCommand, Precondition, TicketStyle,
};
use honoken_domain::pass_type::{PassType, PassTypeCommand};
use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{
    Append, Committed, Dispatcher, Epoch, EventLog, Log, Metadata, NewEvent, Position,
};
use honoken_projections::{Part, Projector, ReadModel};
use honoken_pushers::feed::in_process::InProcessFeed;
use honoken_pushers::feed::{Feed, Received};
use honoken_pushers::ledger::{self, Ledger};
use honoken_pushers::nats::{JetStreamFeed, Nats, NatsOptions, NatsTls, Relay, RelaySettings};
use honoken_pushers::ports;
use honoken_pushers::source::Source;
pub(crate) use honoken_test_stores::{Engine, eventually, on_both_engines, soon};
use honoken_test_stores::{LIMIT, Location, Sql, Stores};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The file of the ledger, where stores are files.
const LEDGER: &str = "deliveries.sqlite";

/// Between two sweeps here.
pub(crate) const SWEEP: Duration = Duration::from_millis(100);

pub(crate) const EPOCH: Epoch = Epoch(0x00c0_ffee);

pub(crate) const TICKET: &str = "pass.com.example.ticket";

/// A ticket, by its serial number.
pub(crate) fn ticket(serial_number: &str) -> PassId {
    PassId {
        pass_type_identifier: PassTypeIdentifier::parse(TICKET).unwrap(),
        serial_number: SerialNumber::parse(serial_number).unwrap(),
    }
}

fn club() -> OrganizationId {
    OrganizationId::parse("club").unwrap()
}

fn content(seat: &str) -> Content {
    Content::from_value(json!({ "eventName": "Opening", "seat": seat })).unwrap()
}

/// What a newer release knows: version 0 of `PassContentChanged` called the content `text`.
pub(crate) fn newer_release() -> Upcasters {
    Upcasters::current().with(SemanticVersionEventUpcaster::new(
        "PassContentChanged",
        "1",
        Box::new(|mut payload| {
            let event = &mut payload["PassContentChanged"];
            if event["text"].is_object() {
                event["content"] = event["text"].take();
            }
            payload
        }),
    ))
}

/// A clock that only goes when it is told to.
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicI64);

impl ports::Clock for Clock {
    fn unix_ms(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn steady_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) struct World {
    pub(crate) log: Arc<Log>,
    dispatcher: Arc<Dispatcher<Log>>,
    now: AtomicI64,
    stores: Stores,
    pub(crate) model: ReadModel,
    projector: Projector,
    stop: CancellationToken,
    projecting: JoinHandle<()>,
}

impl World {
    /// A club with a pass type and tickets, with a projection that follows.
    pub(crate) async fn new(engine: Engine, tickets: &[&str]) -> Self {
        // What a test that fails had to say.
        drop(tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_test_writer().try_init());
        let stores = Stores::new(engine).await;
        if let Some(server) = stores.location().server() {
            ledger::migrate(server).await.unwrap();
        }
        let log = Arc::new(stores.location().event_log(EPOCH).await);
        // Knows what a newer release knows, so that commands go on behind an event that the projector does not understand.
        let dispatcher = Arc::new(Dispatcher::new(log.clone(), newer_release()));
        let (model, projector, stop, projecting) =
            projects(&log, stores.location(), Upcasters::current()).await;
        let now = AtomicI64::new(1_700_000_000);
        let world = Self { log, dispatcher, now, stores, model, projector, stop, projecting };
        let command =
            OrganizationCommand::Create { organization_id: club(), name: "The club".into(), test: false };
        world.dispatch::<Organization>("club", command, &()).await;
        let command = PassTypeCommand::Create {
            pass_type_identifier: PassTypeIdentifier::parse(TICKET).unwrap(),
            organization_id: club(),
            team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
        };
        world.dispatch::<PassType>(TICKET, command, &()).await;
        for serial in tickets {
            world.issues(serial).await;
        }
        world
    }

    /// Opens the ledger as another process would; on SQLite the one before must be gone.
    pub(crate) async fn ledger(&self) -> Ledger {
        match self.stores.location() {
            Location::Folder(folder) => Ledger::in_file(&folder.join(LEDGER)).await.unwrap(),
            Location::Server(options) => Ledger::on_server(options).await.unwrap(),
        }
    }

    /// The ledger by a server's name for the process, so that its sessions can be told.
    pub(crate) async fn ledger_of(&self, process: &str) -> Ledger {
        let server = self.stores.known_server().clone();
        Ledger::on_server(&server.application_name(process)).await.unwrap()
    }

    /// A connection to the tables of the ledger.
    pub(crate) async fn sql(&self) -> Sql {
        self.stores.location().sql(LEDGER).await
    }

    pub(crate) fn source(&self) -> Source<Log> {
        self.source_as(Upcasters::current())
    }

    pub(crate) fn source_as(&self, upcasters: Upcasters) -> Source<Log> {
        Source::new(self.log.clone(), upcasters, self.model.clone(), self.projector.progress())
    }

    pub(crate) fn feed(&self, ledger: &Ledger) -> InProcessFeed<Log> {
        InProcessFeed::new(self.source(), ledger.clone(), SWEEP)
    }

    pub(crate) fn relay(&self, ledger: &Ledger, nats: &Nats) -> Relay<Log> {
        let settings = RelaySettings { sweep_every: SWEEP };
        Relay::new(self.source(), ledger.clone(), nats.clone(), Arc::<Clock>::default(), settings)
    }

    pub(crate) fn head(&self) -> Position {
        *self.log.head().borrow()
    }

    async fn dispatch<A>(&self, id: &str, command: A::Command, services: &A::Services) -> Committed<A>
    where
        A: Snapshot,
        A::Command: Clone,
    {
        let metadata = Metadata {
            actor: "test".into(),
            request_id: format!("r-{}", self.now.load(Ordering::Relaxed)),
            ..Metadata::default()
        };
        let deadline = tokio::time::Instant::now() + LIMIT;
        self.dispatcher.dispatch::<A>(id, command, services, &metadata, deadline).await.unwrap()
    }

    /// Carries a command to a ticket, and waits until readers see what came of it.
    pub(crate) async fn asks(&self, serial: &str, command: PassCommand) -> Committed<Pass> {
        let committed = self.asks_and_leaves(serial, command).await;
        assert!(self.projector.shows(&committed, LIMIT).await);
        committed
    }

    async fn asks_and_leaves(&self, serial: &str, command: PassCommand) -> Committed<Pass> {
        let circumstances = Circumstances {
            now: UnixSeconds(self.now.fetch_add(1, Ordering::Relaxed)),
            organization_id: club(),
            default_localizations: Localizations::new(),
            default_images: DefaultImages {
                pass_type: Images::new(),
                brand: Images::from([("icon.png".to_owned(), Digest::of(b"brand icon"))]),
            },
            allows_nfc: false,
            precondition: Precondition::None,
            rules: |_, _| Vec::new(),
        };
        self.dispatch::<Pass>(&ticket(serial).to_string(), command, &circumstances).await
    }

    pub(crate) async fn issues(&self, serial: &str) -> Committed<Pass> {
        let id = ticket(serial);
        let command = PassCommand::Issue(Box::new(IssuePass {
            localizations: Localizations::new(),
            voided: false,
            authentication_token: OrderedToken::Fresh(
                AuthenticationToken::parse(Digest::of(serial.as_bytes()).as_str()).unwrap(),
            ),
            id,
            ticket_style: TicketStyle::Event,
            poster: false,
            content: content("issued"),
            assets: Images::new(),
        }));
        self.asks(serial, command).await
    }

    pub(crate) async fn changes(&self, serial: &str, seat: &str) -> Committed<Pass> {
        self.asks(serial, PassCommand::ReplaceContent { content: content(seat) }).await
    }

    /// The same without waiting for the projection, which may stand still.
    pub(crate) async fn changes_unseen(&self, serial: &str, seat: &str) -> Committed<Pass> {
        self.asks_and_leaves(serial, PassCommand::ReplaceContent { content: content(seat) }).await
    }

    /// Appends an event to a ticket as it is.
    pub(crate) async fn records(
        &self,
        serial: &str,
        version: &str,
        name_of_content: &str,
        metadata: &serde_json::Value,
    ) -> Position {
        let id = ticket(serial).to_string();
        let events = self.log.history::<Pass>(&id, 0, 10_000).await.unwrap();
        let seat = format!("recorded {}", events.len());
        let payload = json!({ "PassContentChanged": {
            (name_of_content): content(&seat),
            "etag": Digest::of(seat.as_bytes()),
            "updatedAt": self.now.fetch_add(1, Ordering::Relaxed),
        }});
        let append = Append {
            aggregate_type: "Pass",
            aggregate_id: id,
            expected_sequence: events.len() as u64,
            events: vec![NewEvent {
                event_type: "PassContentChanged".into(),
                event_version: version.into(),
                payload: payload.to_string(),
            }],
            metadata: metadata.to_string(),
            recorded_at_ms: 1,
        };
        let position = self.log.append(append).await.unwrap();
        self.reaches(position).await;
        position
    }

    /// A change of content that only a newer release understands: it is parked.
    pub(crate) async fn changes_in_the_old_way(&self, serial: &str) -> Position {
        self.records(serial, "0", "text", &json!({})).await
    }

    async fn reaches(&self, position: Position) {
        let mut progress = self.projector.progress();
        let reached = progress.wait_for(|progress| progress.position >= position);
        soon("the projection of the log", reached).await.unwrap();
    }

    /// The program is replaced by one that understands what is parked, and an operator retries that.
    pub(crate) async fn is_upgraded_and_retries(&mut self, parked: Position) {
        self.stop.cancel();
        soon("the end of the projector", &mut self.projecting).await.unwrap();
        (self.model, self.projector, self.stop, self.projecting) =
            projects(&self.log, self.stores.location(), newer_release()).await;
        self.retries(parked).await;
    }

    pub(crate) async fn retries(&self, parked: Position) {
        self.projector.retry(parked).await.unwrap();
    }

    pub(crate) async fn skips(&self, parked: Position) {
        self.projector.skip(parked, "nobody misses it".into()).await.unwrap();
    }

    /// A projector that understands what is parked, beside that of this release: it only watches until it is asked.
    pub(crate) async fn newer_release_retries(&self, parked: Position) {
        let model = self.stores.location().read_model().await;
        let stop = CancellationToken::new();
        let started = Projector::start(self.log.clone(), newer_release(), model, Part::Watch, stop.clone());
        let (projector, runner) = started.await.unwrap();
        let running = tokio::spawn(runner);
        projector.retry(parked).await.unwrap();
        stop.cancel();
        running.await.unwrap();
    }
}

async fn projects(
    log: &Arc<Log>,
    location: &Location,
    upcasters: Upcasters,
) -> (ReadModel, Projector, CancellationToken, JoinHandle<()>) {
    let model = location.read_model().await;
    let stop = CancellationToken::new();
    let started = Projector::start(log.clone(), upcasters, model.clone(), Part::Run, stop.clone());
    let (projector, runner) = started.await.unwrap();
    (model, projector, stop, tokio::spawn(runner))
}

/// A relay at work.
pub(crate) struct Relaying {
    pub(crate) figures: tokio::sync::watch::Receiver<honoken_pushers::feed::figures::FeedFigures>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Relaying {
    pub(crate) fn start(relay: Relay<Log>) -> Self {
        let stop = CancellationToken::new();
        Self { figures: relay.figures(), task: tokio::spawn(relay.run(stop.clone())), stop }
    }

    /// As `SIGTERM` would have it.
    pub(crate) async fn stops(self) {
        self.stop.cancel();
        soon("the end of the relay", self.task).await.unwrap();
    }

    /// As `kill -9` would have it.
    pub(crate) async fn dies(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn reaches(&self, position: Position) {
        let mut figures = self.figures.clone();
        soon("the relay", figures.wait_for(|figures| figures.position >= position)).await.unwrap();
    }
}

pub(crate) async fn connect(server: &honoken_test_nats::Server) -> Nats {
    let options = NatsOptions {
        url: server.url().into(),
        creds_file: None,
        tls: NatsTls::default(),
        name: "honoken".into(),
    };
    Nats::connect(&options).await.unwrap()
}

/// What is said about a ticket: serial number and position.
pub(crate) type Heard = (String, u64);

pub(crate) fn heard<R>(received: &Received<R>) -> Heard {
    let message = received.message.as_ref().unwrap();
    (message.serial_number.as_str().to_owned(), message.position)
}

/// The next message, which is said to be in the ledger only by [`lands`].
pub(crate) async fn next<F: Feed>(feed: &mut F) -> Received<F::Receipt> {
    soon("a message", feed.next(1)).await.unwrap().pop().unwrap()
}

/// Nobody holds the pass, and the ledger knows that it is done with.
pub(crate) async fn lands<F: Feed>(feed: &mut F, ledger: &Ledger, received: Received<F::Receipt>) -> Heard {
    let heard = heard(&received);
    let pass = ticket(&heard.0);
    ledger.enqueue(&[], &[(pass, Position(heard.1))], 1).await.unwrap();
    feed.ack(received.receipt).await.unwrap();
    heard
}

/// Takes so many messages and lets them land.
pub(crate) async fn hears<F: Feed>(feed: &mut F, ledger: &Ledger, count: usize) -> Vec<Heard> {
    let mut all = Vec::new();
    while all.len() < count {
        let received = next(feed).await;
        all.push(lands(feed, ledger, received).await);
    }
    all
}

/// Says nothing for a while in which it would have had the time to sweep several times.
pub(crate) async fn is_silent<F: Feed>(feed: &mut F) {
    let next = tokio::time::timeout(8 * SWEEP, feed.next(10)).await;
    assert!(next.is_err(), "{:?}", next.unwrap().unwrap().iter().map(heard).collect::<Vec<_>>());
}

pub(crate) fn jetstream(nats: &Nats) -> JetStreamFeed {
    JetStreamFeed::new(nats.clone())
}
