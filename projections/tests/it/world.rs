//! The world of a test: a log, a dispatcher, and projectors that come and go.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cqrs_es::persist::SemanticVersionEventUpcaster;
use honoken_domain::brand_assets::{BRAND_ID, BrandAssets, BrandAssetsCommand};
use honoken_domain::content::Content;
use honoken_domain::ids::{
    AuthenticationToken, DeviceLibraryIdentifier, Digest, OrganizationId, PassId, PassTypeIdentifier,
    PushToken, RegistrationId, SerialNumber, TeamIdentifier, UnixSeconds,
};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::organization::{Organization, OrganizationCommand};
use honoken_domain::pass::{Circumstances, IssuePass, Pass, PassCommand, Precondition, TicketStyle};
use honoken_domain::pass_type::{PassType, PassTypeCommand};
use honoken_domain::registration::{Registration, RegistrationCommand};
use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{
    Append, Committed, DispatchError, Dispatcher, Epoch, EventLog, Metadata, NewEvent, Position, SqliteLog,
};
use honoken_projections::WALLET;
use honoken_projections::{Progress, Projector, ReadModel};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing that works takes this long; what takes longer has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const TICKET: &str = "pass.com.example.ticket";
pub(crate) const OTHER: &str = "pass.com.example.other";

/// Waits for something that must happen.
#[track_caller]
pub(crate) fn soon<T>(what: &'static str, event: impl Future<Output = T>) -> impl Future<Output = T> {
    let from = std::panic::Location::caller();
    async move {
        let outcome = tokio::time::timeout(LIMIT, event).await;
        outcome.unwrap_or_else(|_| panic!("{from}: {what} did not happen within {LIMIT:?}"))
    }
}

pub(crate) fn pass_type(name: &str) -> PassTypeIdentifier {
    PassTypeIdentifier::parse(name).unwrap()
}

pub(crate) fn serial(text: &str) -> SerialNumber {
    SerialNumber::parse(text).unwrap()
}

pub(crate) fn device(name: &str) -> DeviceLibraryIdentifier {
    DeviceLibraryIdentifier::parse(name).unwrap()
}

pub(crate) fn pass_id(pass_type_identifier: &str, serial_number: &str) -> PassId {
    PassId { pass_type_identifier: pass_type(pass_type_identifier), serial_number: serial(serial_number) }
}

/// A ticket, by its serial number.
pub(crate) fn ticket(serial_number: &str) -> PassId {
    pass_id(TICKET, serial_number)
}

pub(crate) fn club() -> OrganizationId {
    OrganizationId::parse("club").unwrap()
}

pub(crate) fn content(seat: &str) -> Content {
    Content::from_value(json!({ "eventName": "Opening", "seat": seat })).unwrap()
}

pub(crate) fn token_of(id: &PassId) -> AuthenticationToken {
    AuthenticationToken::parse(Digest::of(id.to_string().as_bytes()).as_str()).unwrap()
}

pub(crate) fn icon() -> Images {
    Images::from([("icon.png".to_owned(), Digest::of(b"brand icon"))])
}

/// What every decision about a pass falls back to in these tests.
pub(crate) fn default_images() -> DefaultImages {
    DefaultImages { pass_type: Images::new(), brand: icon() }
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

pub(crate) struct World {
    folder: TempDir,
    pub(crate) log: Arc<SqliteLog>,
    /// Knows what a newer release knows, so that commands go on behind an event that the projector does not understand.
    dispatcher: Arc<Dispatcher<SqliteLog>>,
    now: AtomicI64,
}

impl World {
    /// An empty log.
    pub(crate) async fn empty() -> Self {
        let folder = TempDir::new().unwrap();
        let log = SqliteLog::open(&folder.path().join("events.sqlite"), Epoch(0x00c0_ffee)).await.unwrap();
        let log = Arc::new(log);
        let dispatcher = Arc::new(Dispatcher::new(log.clone(), newer_release()));
        Self { folder, log, dispatcher, now: AtomicI64::new(1_700_000_000) }
    }

    /// A club with two pass types.
    pub(crate) async fn new() -> Self {
        let world = Self::empty().await;
        world.creates_organization("club").await;
        for name in [TICKET, OTHER] {
            world.creates_pass_type(name).await;
        }
        world
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.path().join("events.sqlite")
    }

    pub(crate) fn read_model_file(&self) -> PathBuf {
        self.folder.path().join("read_model.sqlite")
    }

    pub(crate) fn head(&self) -> Position {
        *self.log.head().borrow()
    }

    /// The next second of this world's clock.
    fn tick(&self) -> UnixSeconds {
        UnixSeconds(self.now.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) async fn dispatch<A>(
        &self,
        aggregate_id: &str,
        command: A::Command,
        services: &A::Services,
    ) -> Result<Committed<A>, DispatchError<A::Error>>
    where
        A: Snapshot,
        A::Command: Clone,
    {
        let metadata = Metadata {
            actor: "test".into(),
            organization: None,
            request_id: "r-1".into(),
            recorded_at_ms: self.now.load(Ordering::Relaxed) * 1000,
        };
        self.dispatcher.dispatch::<A>(aggregate_id, command, services, &metadata).await
    }

    pub(crate) async fn creates_organization(&self, id: &str) -> Committed<Organization> {
        let command = OrganizationCommand::Create {
            organization_id: OrganizationId::parse(id).unwrap(),
            name: format!("The {id}"),
        };
        self.dispatch::<Organization>(id, command, &()).await.unwrap()
    }

    pub(crate) async fn adds_api_key(&self, key: &str) -> Committed<Organization> {
        let command = OrganizationCommand::AddApiKey {
            key_digest: Digest::of(key.as_bytes()),
            label: format!("key {key}"),
        };
        self.dispatch::<Organization>("club", command, &()).await.unwrap()
    }

    pub(crate) async fn creates_pass_type(&self, name: &str) -> Committed<PassType> {
        let command = PassTypeCommand::Create {
            pass_type_identifier: pass_type(name),
            organization_id: club(),
            team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
        };
        self.dispatch::<PassType>(name, command, &()).await.unwrap()
    }

    pub(crate) async fn puts_type_image(&self, name: &str, file: &str, bytes: &str) -> Committed<PassType> {
        let command = PassTypeCommand::PutAssets {
            assets: Images::from([(file.into(), Digest::of(bytes.as_bytes()))]),
        };
        self.dispatch::<PassType>(name, command, &()).await.unwrap()
    }

    pub(crate) async fn puts_brand_image(&self, file: &str, bytes: &str) -> Committed<BrandAssets> {
        let command = BrandAssetsCommand::PutAssets {
            assets: Images::from([(file.into(), Digest::of(bytes.as_bytes()))]),
        };
        self.dispatch::<BrandAssets>(BRAND_ID, command, &()).await.unwrap()
    }

    /// Carries a command to a pass.
    pub(crate) async fn asks(
        &self,
        id: &PassId,
        command: PassCommand,
    ) -> Result<Committed<Pass>, DispatchError<honoken_domain::pass::PassError>> {
        let circumstances = Circumstances {
            now: self.tick(),
            organization_id: club(),
            default_images: default_images(),
            precondition: Precondition::None,
        };
        self.dispatch::<Pass>(&id.to_string(), command, &circumstances).await
    }

    pub(crate) async fn issues(&self, id: &PassId, seat: &str) -> Committed<Pass> {
        self.asks(id, order(id, seat)).await.unwrap()
    }

    pub(crate) async fn changes(&self, id: &PassId, seat: &str) -> Committed<Pass> {
        self.asks(id, PassCommand::ReplaceContent { content: content(seat) }).await.unwrap()
    }

    pub(crate) async fn registers(
        &self,
        device_name: &str,
        pass: &PassId,
        push_token: &str,
    ) -> Committed<Registration> {
        let command = RegistrationCommand::Register {
            serial_number: pass.serial_number.clone(),
            push_token: PushToken::parse(push_token).unwrap(),
            at: self.tick(),
        };
        self.dispatch::<Registration>(&registration(device_name, pass), command, &()).await.unwrap()
    }

    pub(crate) async fn unregisters(&self, device_name: &str, pass: &PassId) -> Committed<Registration> {
        let command = RegistrationCommand::Unregister { serial_number: pass.serial_number.clone() };
        self.dispatch::<Registration>(&registration(device_name, pass), command, &()).await.unwrap()
    }

    /// Appends an event as it is to the end of a stream, whatever it says.
    pub(crate) async fn records(
        &self,
        aggregate_type: &'static str,
        aggregate_id: &str,
        (event_type, event_version): (&str, &str),
        payload: &Value,
    ) -> Position {
        let stream = self.log.load(aggregate_type, aggregate_id, 0).await.unwrap();
        let append = Append {
            aggregate_type,
            aggregate_id: aggregate_id.into(),
            expected_sequence: stream.len() as u64,
            events: vec![NewEvent {
                event_type: event_type.into(),
                event_version: event_version.into(),
                payload: payload.to_string(),
            }],
            metadata: "{}".into(),
            recorded_at_ms: 1,
        };
        self.log.append(append).await.unwrap()
    }

    /// A change of content that only a newer release understands.
    pub(crate) async fn changes_in_the_old_way(&self, id: &PassId, seat: &str) -> Position {
        let payload = json!({ "PassContentChanged": {
            "text": content(seat),
            "etag": Digest::of(seat.as_bytes()),
            "updatedAt": self.tick(),
        }});
        self.records("Pass", &id.to_string(), ("PassContentChanged", "0"), &payload).await
    }

    /// A projector of this release.
    pub(crate) async fn projects(&self) -> Running {
        self.projects_as(Upcasters::current()).await
    }

    pub(crate) async fn projects_as(&self, upcasters: Upcasters) -> Running {
        Running::start(self.log.clone(), &self.read_model_file(), upcasters).await
    }

    /// The tables as a projection from zero would fill them.
    pub(crate) async fn projected_anew(&self) -> Dump {
        self.projected_anew_as(Upcasters::current()).await
    }

    pub(crate) async fn projected_anew_as(&self, upcasters: Upcasters) -> Dump {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("fresh.sqlite");
        let running = Running::start(self.log.clone(), &file, upcasters).await;
        running.reaches(self.head()).await;
        running.stops().await;
        dump(&file, "wallet_").await
    }

    /// The tables as they are.
    pub(crate) async fn tables(&self) -> Dump {
        dump(&self.read_model_file(), "wallet_").await
    }

    /// The tables as they are, with what is parked and skipped.
    pub(crate) async fn all_tables(&self) -> Dump {
        dump(&self.read_model_file(), "").await
    }

    /// A connection to the read model beside the projector's.
    pub(crate) async fn sql(&self) -> SqliteConnection {
        connect(&self.read_model_file()).await
    }

    pub(crate) async fn execute(&self, statement: &str) {
        let mut connection = self.sql().await;
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    pub(crate) async fn set_checkpoint(&self, position: u64) {
        self.execute(&format!("update projection_checkpoint set position = {position}")).await;
    }

    /// The first column of every row, as text.
    pub(crate) async fn column(&self, query: &str) -> Vec<String> {
        let mut connection = self.sql().await;
        sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap()
    }
}

pub(crate) fn order(id: &PassId, seat: &str) -> PassCommand {
    PassCommand::Issue(Box::new(IssuePass {
        id: id.clone(),
        ticket_style: TicketStyle::Event,
        poster: false,
        content: content(seat),
        assets: Images::new(),
        authentication_token: token_of(id),
    }))
}

/// The stream of a device with the type of a pass.
pub(crate) fn registration(device_name: &str, pass: &PassId) -> String {
    RegistrationId {
        pass_type_identifier: pass.pass_type_identifier.clone(),
        device_library_identifier: device(device_name),
    }
    .aggregate_id()
}

/// A projector at work, and the questions that can be asked meanwhile.
pub(crate) struct Running {
    pub(crate) model: ReadModel,
    pub(crate) projector: Projector,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start<L: EventLog>(log: Arc<L>, file: &Path, upcasters: Upcasters) -> Self {
        let model = ReadModel::open(file).await.unwrap();
        let stop = CancellationToken::new();
        let (projector, runner) =
            Projector::start(log, upcasters, model.clone(), stop.clone()).await.unwrap();
        Self { model, projector, stop, task: tokio::spawn(runner) }
    }

    #[track_caller]
    pub(crate) fn reaches(&self, position: Position) -> impl Future<Output = ()> {
        let mut progress = self.projector.progress();
        soon("the projection of the log", async move {
            progress.wait_for(|progress| progress.position >= position).await.unwrap();
        })
    }

    pub(crate) fn progress(&self) -> Progress {
        self.projector.progress().borrow().clone()
    }

    /// As `SIGTERM` would have it.
    pub(crate) async fn stops(self) {
        self.stop.cancel();
        soon("the end of the projector", self.task).await.unwrap();
        self.model.close().await;
    }

    /// As `kill -9` would have it, except that what SQLite was told already may still happen.
    pub(crate) async fn dies(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        self.model.close().await;
    }

    /// What is parked: position, and whether it only waits.
    pub(crate) async fn parked(&self) -> Vec<(u64, bool)> {
        let parked = self.model.parked_events(WALLET, 10_000).await.unwrap();
        assert_eq!(self.model.parked_count(WALLET).await.unwrap(), parked.len() as u64);
        parked.iter().map(|event| (event.position.0, event.waiting)).collect()
    }
}

/// Every row of every table, sorted.
pub(crate) type Dump = BTreeMap<String, Vec<String>>;

pub(crate) async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).busy_timeout(LIMIT).connect().await.unwrap()
}

async fn dump(file: &Path, prefix: &str) -> Dump {
    let mut connection = connect(file).await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_master
         where type = 'table' and name like $1 || '%' and name not like '\\_%' escape '\\' and name not like 'sqlite%'",
    )
    .bind(prefix)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(tables.len() >= 8, "{tables:?}");
    let mut dump = Dump::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("select name from pragma_table_info($1)")
            .bind(&table)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let columns: Vec<_> =
            columns.iter().map(|column| format!("'{column}=' || quote({column})")).collect();
        let query = format!("select {} as line from {table} order by line", columns.join(" || ' ' || "));
        dump.insert(table, sqlx::query_scalar(&query).fetch_all(&mut connection).await.unwrap());
    }
    connection.close().await.unwrap();
    dump
}

/// Fails with the rows that differ, not with all of them.
#[track_caller]
pub(crate) fn assert_same(actual: &Dump, expected: &Dump) {
    for (table, rows) in expected {
        let missing: Vec<_> = rows.iter().filter(|row| !actual[table].contains(row)).take(5).collect();
        let surplus: Vec<_> = actual[table].iter().filter(|row| !rows.contains(row)).take(5).collect();
        assert!(actual[table] == *rows, "{table} differs\nmissing: {missing:#?}\nsurplus: {surplus:#?}");
    }
    assert_eq!(actual.len(), expected.len());
}
