//! The world of a test: passes and registrations that came about by commands, a ledger, and subscribers that come and go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use honoken_domain::content::Content;
use honoken_domain::ids::{
    AuthenticationToken, DeviceLibraryIdentifier, Digest, OrganizationId, PassId, PassTypeIdentifier,
    PushToken, RegistrationId, SerialNumber, TeamIdentifier, UnixSeconds,
};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::localizations::Localizations;
use honoken_domain::organization::{Organization, OrganizationCommand};
use honoken_domain::pass::{
    Circumstances, IssuePass, OrderedToken, Pass, PassCommand, Precondition, TicketStyle,
};
use honoken_domain::pass_type::{PassType, PassTypeCommand};
use honoken_domain::registration::{Registration, RegistrationCommand};
use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{Committed, Dispatcher, Epoch, Log, Metadata, Position};
use honoken_projections::{Part, Projector, ReadModel};
use honoken_pushers::feed::{Feed, FeedError, Received};
use honoken_pushers::ledger::{self, Delivery, Ledger};
use honoken_pushers::message::PassContentChanged;
use honoken_pushers::ports::{Clock, Credentials};
use honoken_pushers::subscriber::fan_out::FanOut;
use honoken_pushers::subscriber::sender::Sender;
use honoken_pushers::subscriber::{Ports, Settings};
use honoken_test_postgres::Cluster;
pub(crate) use honoken_test_stores::{Engine, eventually, on_both_engines, soon};
use honoken_test_stores::{LIMIT, Location, Stores};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::fake_apns::{Counts, FakeApns, FakeCredentials, FakeDeadTokens, FakeIds, FakeTime};

/// The file of the ledger, where stores are files.
const LEDGER: &str = "deliveries.sqlite";

const EPOCH: Epoch = Epoch(7);

pub(crate) const TICKET: &str = "pass.com.example.ticket";

pub(crate) struct World {
    stores: Stores,
    dispatcher: Dispatcher<Log>,
    projector: Projector,
    pub(crate) read_model: ReadModel,
    /// As one process has it open.
    pub(crate) ledger: Ledger,
    pub(crate) time: Arc<FakeTime>,
    seconds: AtomicI64,
    _projecting: DropGuard,
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        Self::on(Stores::new(engine).await).await
    }

    pub(crate) async fn in_cluster(cluster: &Cluster) -> Self {
        Self::on(Stores::in_cluster(cluster).await).await
    }

    async fn on(stores: Stores) -> Self {
        if let Some(server) = stores.location().server() {
            ledger::migrate(server).await.unwrap();
        }
        let log = Arc::new(stores.location().event_log(EPOCH).await);
        let read_model = stores.location().read_model().await;
        let stop = CancellationToken::new();
        let (projector, runner) =
            Projector::start(log.clone(), Upcasters::current(), read_model.clone(), Part::Run, stop.clone())
                .await
                .unwrap();
        tokio::spawn(runner);
        let world = Self {
            ledger: open_ledger(stores.location()).await,
            stores,
            dispatcher: Dispatcher::new(log, Upcasters::current()),
            projector,
            read_model,
            time: FakeTime::new(),
            seconds: AtomicI64::new(1_700_000_000),
            _projecting: stop.drop_guard(),
        };
        let command =
            OrganizationCommand::Create { organization_id: club(), name: "The club".into(), test: false };
        world.dispatch::<Organization>("club", command, &()).await;
        let command = PassTypeCommand::Create {
            pass_type_identifier: topic(),
            organization_id: club(),
            team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
        };
        world.dispatch::<PassType>(TICKET, command, &()).await;
        world
    }

    /// The ledger, as another process opens it.
    pub(crate) async fn opens_ledger(&self) -> Ledger {
        open_ledger(self.stores.location()).await
    }

    async fn dispatch<A>(&self, id: &str, command: A::Command, services: &A::Services) -> Committed<A>
    where
        A: Snapshot,
        A::Command: Clone,
        A::Error: std::fmt::Debug,
    {
        let metadata = Metadata {
            actor: "test".into(),
            organization: None,
            request_id: "r-1".into(),
            recorded_at_ms: self.seconds.load(Ordering::Relaxed) * 1000,
            urgent: false,
        };
        let deadline = tokio::time::Instant::now() + LIMIT;
        self.dispatcher.dispatch::<A>(id, command, services, &metadata, deadline).await.unwrap()
    }

    async fn shows(&self, position: Position) {
        let mut progress = self.projector.progress();
        soon("the projection", async {
            progress.wait_for(|progress| progress.position >= position).await.unwrap();
        })
        .await;
    }

    async fn asks(&self, pass: &PassId, command: PassCommand) -> Committed<Pass> {
        let circumstances = Circumstances {
            now: UnixSeconds(self.seconds.fetch_add(1, Ordering::Relaxed)),
            organization_id: club(),
            default_localizations: Localizations::new(),
            default_images: DefaultImages {
                pass_type: Images::new(),
                brand: Images::from([("icon.png".to_owned(), Digest::of(b"icon"))]),
            },
            allows_nfc: false,
            precondition: Precondition::None,
            rules: |_, _| Vec::new(),
        };
        let committed = self.dispatch::<Pass>(&pass.to_string(), command, &circumstances).await;
        self.shows(committed.position).await;
        committed
    }

    pub(crate) async fn issues(&self, serial: &str) -> PassId {
        let pass = ticket(serial);
        let command = PassCommand::Issue(Box::new(IssuePass {
            id: pass.clone(),
            ticket_style: TicketStyle::Event,
            poster: false,
            content: content("first"),
            assets: Images::new(),
            localizations: Localizations::new(),
            voided: false,
            authentication_token: OrderedToken::Fresh(
                AuthenticationToken::parse(Digest::of(serial.as_bytes()).as_str()).unwrap(),
            ),
        }));
        self.asks(&pass, command).await;
        pass
    }

    /// Changes a pass, and gives what is said about it.
    pub(crate) async fn changes(&self, pass: &PassId, seat: &str) -> PassContentChanged {
        let committed = self.asks(pass, PassCommand::ReplaceContent { content: content(seat) }).await;
        let position = committed.position;
        PassContentChanged {
            event_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{pass} {position}").as_bytes()),
            organisation_id: club(),
            pass_type_identifier: pass.pass_type_identifier.clone(),
            serial_number: pass.serial_number.clone(),
            etag: committed.aggregate.etag().unwrap().clone(),
            updated_at: "2026-01-01T00:00:00Z".into(),
            update_tag: format!("00000007-{position}"),
            position: position.0,
            urgent: false,
        }
    }

    pub(crate) async fn registers(&self, device: &str, pass: &PassId, token: &str) {
        let command = RegistrationCommand::Register {
            serial_number: pass.serial_number.clone(),
            push_token: PushToken::parse(token).unwrap(),
            at: UnixSeconds(self.seconds.load(Ordering::Relaxed)),
        };
        let committed = self.dispatch::<Registration>(&registration(device), command, &()).await;
        self.shows(committed.position).await;
    }

    /// Many devices, `device-0` with `token-0` and so on.
    pub(crate) async fn registers_many(&self, pass: &PassId, devices: usize) {
        let all = (0..devices).map(|number| async move {
            self.registers(&format!("device-{number}"), pass, &format!("token-{number}")).await;
        });
        let mut running = futures::StreamExt::buffer_unordered(futures::stream::iter(all), 64);
        while futures::StreamExt::next(&mut running).await.is_some() {}
    }

    pub(crate) async fn unregisters(&self, device: &str, pass: &PassId) {
        let command = RegistrationCommand::Unregister { serial_number: pass.serial_number.clone() };
        let committed = self.dispatch::<Registration>(&registration(device), command, &()).await;
        self.shows(committed.position).await;
    }

    /// What the first column of a question to the ledger is, and the second.
    pub(crate) async fn asks_ledger(&self, question: &str) -> BTreeMap<String, i64> {
        let mut connection = self.stores.location().sql(LEDGER).await;
        let rows = connection.counts(question).await;
        connection.close().await;
        rows.into_iter().collect()
    }

    /// Changes the ledger behind its back, on a server.
    pub(crate) async fn tells_ledger(&self, statement: &str) {
        assert_eq!(self.stores.engine(), Engine::Postgres, "a file has no clock of its own");
        let mut connection = self.stores.location().sql(LEDGER).await;
        connection.execute(statement).await;
        connection.close().await;
    }

    /// How many deliveries are in each state.
    pub(crate) async fn states(&self) -> BTreeMap<String, i64> {
        self.asks_ledger("select state, count(*) from delivery group by state").await
    }

    /// Waits until no delivery is pending and so many are in a state.
    #[track_caller]
    pub(crate) fn ends_with<'a>(&'a self, expected: &'a [(&'a str, i64)]) -> impl Future<Output = ()> + 'a {
        let from = std::panic::Location::caller();
        let expected: BTreeMap<String, i64> =
            expected.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect();
        async move {
            let deadline = tokio::time::Instant::now() + LIMIT;
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                let states = self.states().await;
                if states == expected {
                    return;
                }
                assert!(tokio::time::Instant::now() < deadline, "{from}: {states:?} instead of {expected:?}");
                ticks.tick().await;
            }
        }
    }

    pub(crate) async fn last(&self, pass: &PassId) -> Vec<Delivery> {
        self.ledger.last_deliveries(pass, 10).await.unwrap()
    }

    pub(crate) fn now(&self) -> i64 {
        self.time.unix_ms()
    }
}

async fn open_ledger(location: &Location) -> Ledger {
    match location {
        Location::Folder(folder) => Ledger::in_file(&folder.join(LEDGER)).await.unwrap(),
        Location::Server(options) => Ledger::on_server(options).await.unwrap(),
    }
}

pub(crate) fn topic() -> PassTypeIdentifier {
    PassTypeIdentifier::parse(TICKET).unwrap()
}

pub(crate) fn ticket(serial: &str) -> PassId {
    PassId { pass_type_identifier: topic(), serial_number: SerialNumber::parse(serial).unwrap() }
}

fn club() -> OrganizationId {
    OrganizationId::parse("club").unwrap()
}

fn content(seat: &str) -> Content {
    Content::from_value(json!({ "eventName": "Opening", "seat": seat })).unwrap()
}

fn registration(device: &str) -> String {
    let device_library_identifier = DeviceLibraryIdentifier::parse(device).unwrap();
    RegistrationId { pass_type_identifier: topic(), device_library_identifier }.aggregate_id()
}

/// Hands out what a test posts, until it is done.
pub(crate) struct TestFeed {
    came: mpsc::UnboundedReceiver<Received<Receipt>>,
    post: Post,
}

pub(crate) struct Receipt(Result<PassContentChanged, String>, u64);

/// Where tests post messages, and see what became of them.
#[derive(Clone)]
pub(crate) struct Post {
    letters: mpsc::UnboundedSender<Received<Receipt>>,
    done: watch::Sender<usize>,
    pub(crate) again: Arc<AtomicUsize>,
    pub(crate) hopeless: watch::Sender<usize>,
    /// Whether `done` is never heard of, as if the process died before.
    pub(crate) deaf: bool,
}

impl TestFeed {
    pub(crate) fn new() -> (Self, Post) {
        let (letters, came) = mpsc::unbounded_channel();
        let post = Post {
            letters,
            done: watch::Sender::default(),
            again: Arc::default(),
            hopeless: watch::Sender::default(),
            deaf: false,
        };
        (Self { came, post: post.clone() }, post)
    }

    /// One in which the process stops before it says that a message is done.
    pub(crate) fn deaf() -> (Self, Post) {
        let (mut feed, post) = Self::new();
        feed.post.deaf = true;
        (feed, post)
    }
}

impl Post {
    pub(crate) fn says(&self, message: &PassContentChanged) {
        self.posts(Ok(message.clone()), 1);
    }

    pub(crate) fn posts(&self, message: Result<PassContentChanged, String>, attempt: u64) {
        let receipt = Receipt(message.clone(), attempt);
        let received = Received { message, request_id: Some("r-1".into()), attempt, receipt };
        self.letters.send(received).unwrap_or_else(|_| panic!("nobody reads the feed"));
    }

    /// Waits until so many messages altogether are done.
    #[track_caller]
    pub(crate) fn is_done(&self, messages: usize) -> impl Future<Output = ()> {
        let mut done = self.done.subscribe();
        soon("messages are done", async move {
            done.wait_for(|done| *done >= messages).await.unwrap();
        })
    }
}

impl Feed for TestFeed {
    type Receipt = Receipt;

    async fn next(&mut self, limit: usize) -> Result<Vec<Received<Receipt>>, FeedError> {
        let mut received = Vec::new();
        if self.came.recv_many(&mut received, limit).await == 0 {
            std::future::pending::<()>().await;
        }
        Ok(received)
    }

    async fn ack(&mut self, _receipt: Receipt) -> Result<(), FeedError> {
        if self.post.deaf {
            std::future::pending::<()>().await;
        }
        self.post.done.send_modify(|done| *done += 1);
        Ok(())
    }

    async fn in_progress(&mut self, _receipt: &Receipt) -> Result<(), FeedError> {
        Ok(())
    }

    async fn nak(&mut self, receipt: Receipt, _after: Duration) -> Result<(), FeedError> {
        self.post.again.fetch_add(1, Ordering::Relaxed);
        self.post.posts(receipt.0, receipt.1 + 1);
        Ok(())
    }

    async fn term(&mut self, _receipt: Receipt) -> Result<(), FeedError> {
        self.post.hopeless.send_modify(|count| *count += 1);
        Ok(())
    }
}

/// A process that pushes.
pub(crate) struct Process {
    pub(crate) post: Post,
    pub(crate) counts: Arc<Counts>,
    stop: CancellationToken,
    task: JoinHandle<TestFeed>,
}

/// How a process is made up.
pub(crate) struct Setup<C = FakeCredentials> {
    pub(crate) ledger: Ledger,
    pub(crate) apns: Arc<FakeApns>,
    pub(crate) credentials: Arc<C>,
    pub(crate) dead_tokens: Arc<FakeDeadTokens>,
    pub(crate) settings: Settings,
}

impl Setup {
    pub(crate) fn of(world: &World, apns: &Arc<FakeApns>) -> Self {
        Self {
            ledger: world.ledger.clone(),
            apns: apns.clone(),
            credentials: FakeCredentials::new(),
            dead_tokens: FakeDeadTokens::that_forgets(true),
            settings: Settings { window: Duration::ZERO, ..Settings::default() },
        }
    }
}

impl<C: Credentials> Setup<C> {
    pub(crate) fn ports(&self, world: &World, counts: &Arc<Counts>) -> Ports<FakeApns, C, FakeDeadTokens> {
        Ports {
            apns: self.apns.clone(),
            credentials: self.credentials.clone(),
            dead_tokens: self.dead_tokens.clone(),
            time: world.time.clone(),
            ids: Arc::new(FakeIds),
            observer: counts.clone(),
        }
    }

    pub(crate) fn starts(self, world: &World) -> Process {
        let counts = Arc::new(Counts::default());
        let (feed, post) = TestFeed::new();
        let ports = self.ports(world, &counts);
        let (time, ids) = (ports.time.clone(), ports.ids.clone());
        let read_model = world.read_model.clone();
        let fan_out = FanOut::new(self.ledger.clone(), read_model.clone(), feed, time, ids, self.settings);
        let sender = Sender::new(self.ledger, read_model, ports, self.settings);
        let stop = CancellationToken::new();
        let (works_on, sends) = (fan_out.run(stop.clone()), sender.run(stop.clone()));
        let task = tokio::spawn(async { tokio::join!(works_on, sends).0 });
        Process { post, counts, stop, task }
    }
}

impl Process {
    /// As `SIGTERM` would have it.
    pub(crate) async fn stops(self) {
        self.stop.cancel();
        soon("the end of the subscriber", self.task).await.unwrap();
    }

    /// As `kill -9` would have it: everything it was doing ends where it is.
    pub(crate) async fn dies(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|ended| ended.is_cancelled()));
    }
}

/// Writes messages into the ledger, and ends when they are done.
pub(crate) async fn fans_out(world: &World, messages: &[PassContentChanged]) {
    let (feed, post) = TestFeed::new();
    let ids = Arc::new(FakeIds);
    let fan_out = FanOut::new(
        world.ledger.clone(),
        world.read_model.clone(),
        feed,
        world.time.clone(),
        ids,
        Settings::default(),
    );
    let stop = CancellationToken::new();
    let task = tokio::spawn(fan_out.run(stop.clone()));
    for message in messages {
        post.says(message);
    }
    post.is_done(messages.len()).await;
    stop.cancel();
    soon("the end of the fan-out", task).await.unwrap();
}
