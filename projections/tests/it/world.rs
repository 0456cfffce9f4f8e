//! The world of a test: an event log, a dispatcher, and projectors that come and go. Event log and read model are on one engine.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cqrs_es::persist::SemanticVersionEventUpcaster;
use honoken_domain::apns_key::{ApnsKey, ApnsKeyCommand, ApnsKeyError, ApnsKeyInstallation};
use honoken_domain::brand_assets::{BRAND_ID, BrandAssets, BrandAssetsCommand};
use honoken_domain::certificate::{Certificate, CertificateCommand, CertificateError, Installation};
use honoken_domain::content::Content;
use honoken_domain::ids::{
    ApnsKeyId, AuthenticationToken, DeviceLibraryIdentifier, Digest, KeyRef, OrganizationId, PassId,
    PassTypeIdentifier, PushToken, RegistrationId, SerialNumber, TeamIdentifier, UnixSeconds,
    UploadedImageId,
};
use honoken_domain::images::{DefaultImages, Images};
use honoken_domain::localizations::Localizations;
use honoken_domain::organization::{Organization, OrganizationCommand, Scopes};
use honoken_domain::pass::{
    Circumstances, IssuePass, OrderedToken, Pass, PassCommand, Precondition, TicketStyle,
};
use honoken_domain::pass_type::{PassType, PassTypeCommand};
use honoken_domain::registration::{Registration, RegistrationCommand};
use honoken_domain::sealed::Sealed;
use honoken_domain::snapshot::Snapshot;
use honoken_domain::upcasters::Upcasters;
use honoken_domain::uploaded_image::{UploadedImage, UploadedImageCommand};
use honoken_event_store::{
    Append, Committed, DispatchError, Dispatcher, Epoch, EventLog, Log, Metadata, NewEvent, Position,
};
use honoken_projections::{Part, Progress, Projector, ReadModel, WALLET};
use honoken_test_postgres::Cluster;
pub(crate) use honoken_test_stores::{
    Engine, LIMIT, Location, Sql, Stores, eventually, on_both_engines, soon,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) const EPOCH: Epoch = Epoch(0x00c0_ffee);

pub(crate) const TICKET: &str = "pass.com.example.ticket";
pub(crate) const OTHER: &str = "pass.com.example.other";

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
    pub(crate) log: Arc<Log>,
    /// Knows what a newer release knows, so that commands go on behind an event that the projector does not understand.
    dispatcher: Arc<Dispatcher<Log>>,
    now: AtomicI64,
    pub(crate) stores: Stores,
}

impl World {
    /// An empty event log.
    pub(crate) async fn empty(engine: Engine) -> Self {
        Self::on(Stores::new(engine).await).await
    }

    async fn on(stores: Stores) -> Self {
        let log = Arc::new(stores.location().event_log(EPOCH).await);
        let dispatcher = Arc::new(Dispatcher::new(log.clone(), newer_release()));
        Self { log, dispatcher, now: AtomicI64::new(1_700_000_000), stores }
    }

    /// A club with two pass types.
    pub(crate) async fn new(engine: Engine) -> Self {
        Self::empty(engine).await.founded().await
    }

    /// The same in a server of the test's own.
    pub(crate) async fn in_cluster(cluster: &Cluster) -> Self {
        Self::on(Stores::in_cluster(cluster).await).await.founded().await
    }

    async fn founded(self) -> Self {
        self.creates_organization("club").await;
        for name in [TICKET, OTHER] {
            self.creates_pass_type(name).await;
        }
        self
    }

    /// A connection to the event log beside its own.
    pub(crate) async fn log_sql(&self) -> Sql {
        self.stores.location().event_log_sql().await
    }

    pub(crate) fn head(&self) -> Position {
        *self.log.head().borrow()
    }

    /// The next second of this world's clock.
    pub(crate) fn tick(&self) -> UnixSeconds {
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
            urgent: false,
            recorded_at_ms: self.now.load(Ordering::Relaxed) * 1000,
        };
        let deadline = Instant::now() + LIMIT;
        self.dispatcher.dispatch::<A>(aggregate_id, command, services, &metadata, deadline).await
    }

    pub(crate) async fn creates_organization(&self, id: &str) -> Committed<Organization> {
        let command = OrganizationCommand::Create {
            organization_id: OrganizationId::parse(id).unwrap(),
            name: format!("The {id}"),
            test: false,
        };
        self.dispatch::<Organization>(id, command, &()).await.unwrap()
    }

    pub(crate) async fn adds_api_key(&self, key: &str) -> Committed<Organization> {
        self.adds_api_key_with(key, Scopes::default()).await
    }

    /// Adds a key with these scopes, or gives them to one that is known.
    pub(crate) async fn adds_api_key_with(&self, key: &str, scopes: Scopes) -> Committed<Organization> {
        let command = OrganizationCommand::AddApiKey {
            key_digest: Digest::of(key.as_bytes()),
            label: format!("key {key}"),
            scopes,
            expires_at: None,
        };
        self.dispatch::<Organization>("club", command, &()).await.unwrap()
    }

    /// Replaces a key by another one at 1000; the new one is refused from `ends` on, the old one from 1100.
    pub(crate) async fn rotates_api_key(
        &self,
        key: &str,
        new: &str,
        ends: Option<i64>,
    ) -> Committed<Organization> {
        let command = OrganizationCommand::RotateApiKey {
            key_digest: Digest::of(key.as_bytes()),
            new_digest: Digest::of(new.as_bytes()),
            new_expires_at: ends.map(UnixSeconds),
            now: UnixSeconds(1000),
            ends_at: UnixSeconds(1100),
        };
        self.dispatch::<Organization>("club", command, &()).await.unwrap()
    }

    pub(crate) async fn revokes_api_key(&self, key: &str) -> Committed<Organization> {
        let command = OrganizationCommand::RevokeApiKey { key_digest: Digest::of(key.as_bytes()) };
        self.dispatch::<Organization>("club", command, &()).await.unwrap()
    }

    /// Carries a command to the certificate of a pass type.
    pub(crate) async fn asks_certificate(
        &self,
        name: &str,
        command: CertificateCommand,
    ) -> Result<Committed<Certificate>, DispatchError<CertificateError>> {
        self.dispatch::<Certificate>(name, command, &()).await
    }

    /// Carries a command to an APNs key of these tests' team.
    pub(crate) async fn asks_apns_key(
        &self,
        key: u8,
        command: ApnsKeyCommand,
    ) -> Result<Committed<ApnsKey>, DispatchError<ApnsKeyError>> {
        self.dispatch::<ApnsKey>(&apns_key_id(key).to_string(), command, &()).await
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
            job: None,
        };
        self.dispatch::<PassType>(name, command, &()).await.unwrap()
    }

    pub(crate) async fn puts_brand_image(&self, file: &str, bytes: &str) -> Committed<BrandAssets> {
        let command = BrandAssetsCommand::PutAssets {
            assets: Images::from([(file.into(), Digest::of(bytes.as_bytes()))]),
            job: None,
        };
        self.dispatch::<BrandAssets>(BRAND_ID, command, &()).await.unwrap()
    }

    pub(crate) async fn uploads(
        &self,
        organization_id: &OrganizationId,
        image: &[u8],
    ) -> Committed<UploadedImage> {
        let id = UploadedImageId { organization_id: organization_id.clone(), digest: Digest::of(image) };
        let command = UploadedImageCommand::Upload { id: id.clone(), bytes: image.len() as u64 };
        self.dispatch::<UploadedImage>(&id.to_string(), command, &()).await.unwrap()
    }

    pub(crate) async fn removes_upload(
        &self,
        organization_id: &OrganizationId,
        image: &[u8],
    ) -> Committed<UploadedImage> {
        let id = UploadedImageId { organization_id: organization_id.clone(), digest: Digest::of(image) };
        let command = UploadedImageCommand::Remove { id: id.clone() };
        self.dispatch::<UploadedImage>(&id.to_string(), command, &()).await.unwrap()
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
            default_localizations: Localizations::new(),
            default_images: default_images(),
            allows_nfc: false,
            precondition: Precondition::None,
            rules: |_, _| Vec::new(),
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

    /// APNs says that the push token of a device has been dead since now.
    pub(crate) async fn forgets(
        &self,
        device_name: &str,
        pass: &PassId,
        push_token: &str,
    ) -> Committed<Registration> {
        let at = self.tick();
        let command = RegistrationCommand::ForgetToken {
            push_token: PushToken::parse(push_token).unwrap(),
            since_ms: Some(at.0 * 1000),
            at,
        };
        self.dispatch::<Registration>(&registration(device_name, pass), command, &()).await.unwrap()
    }

    pub(crate) fn time_passes(&self) {
        self.now.fetch_add(1, Ordering::Relaxed);
    }

    /// Appends an event as it is to the end of a stream, whatever it says.
    pub(crate) async fn records(
        &self,
        aggregate_type: &'static str,
        aggregate_id: &str,
        (event_type, event_version): (&str, &str),
        payload: &Value,
    ) -> Position {
        let events = self.log.read_after(Position(0), u32::MAX >> 1).await.unwrap();
        let stream = events.iter().filter(|recorded| {
            recorded.event.aggregate_type == aggregate_type && recorded.event.aggregate_id == aggregate_id
        });
        let append = Append {
            aggregate_type,
            aggregate_id: aggregate_id.into(),
            expected_sequence: stream.count() as u64,
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
        Running::start(self.log.clone(), self.stores.location(), upcasters).await
    }

    /// Lets time go by.
    pub(crate) fn waits(&self, seconds: i64) -> UnixSeconds {
        UnixSeconds(self.now.fetch_add(seconds, Ordering::Relaxed) + seconds)
    }

    /// The tables as a projection from zero would fill them.
    pub(crate) async fn projected_anew(&self) -> Dump {
        self.projected_anew_as(Upcasters::current()).await
    }

    pub(crate) async fn projected_anew_as(&self, upcasters: Upcasters) -> Dump {
        let stores = Stores::new(self.stores.engine()).await;
        let running = Running::start(self.log.clone(), stores.location(), upcasters).await;
        running.reaches(self.head()).await;
        running.stops().await;
        let mut tables = dump(stores.location()).await;
        tables.retain(|table, _| table.starts_with("wallet_"));
        tables
    }

    /// The tables as they are.
    pub(crate) async fn tables(&self) -> Dump {
        let mut tables = self.all_tables().await;
        tables.retain(|table, _| table.starts_with("wallet_"));
        tables
    }

    /// The tables as they are, with the checkpoint, and what is parked and skipped.
    pub(crate) async fn all_tables(&self) -> Dump {
        dump(self.stores.location()).await
    }

    /// A connection to the read model beside the projector's.
    pub(crate) async fn sql(&self) -> Sql {
        self.stores.location().read_model_sql().await
    }

    pub(crate) async fn execute(&self, statement: &str) {
        let mut connection = self.sql().await;
        connection.execute(statement).await;
        connection.close().await;
    }

    /// The file with all it holds; on a server the tables stay.
    pub(crate) async fn throws_read_model_away(&self) {
        let Some(file) = self.stores.location().read_model_file() else {
            let tables: Vec<_> = self.all_tables().await.into_keys().collect();
            return self.execute(&format!("truncate {}", tables.join(", "))).await;
        };
        std::fs::remove_file(&file).unwrap();
        for suffix in ["-wal", "-shm"] {
            let mut beside = file.clone().into_os_string();
            beside.push(suffix);
            // After a clean end these are gone already.
            drop(std::fs::remove_file(beside));
        }
    }

    pub(crate) async fn set_checkpoint(&self, position: u64) {
        self.execute(&format!("update projection_checkpoint set position = {position}")).await;
    }

    /// The first column of every row, as text.
    pub(crate) async fn column(&self, query: &str) -> Vec<String> {
        let mut connection = self.sql().await;
        let column = connection.column(query).await;
        connection.close().await;
        column
    }
}

/// A certificate of this name, which nobody could sign with.
pub(crate) fn installation(pass_type_name: &str, name: &str) -> Installation {
    Installation {
        pass_type_identifier: pass_type(pass_type_name),
        team_identifier: TeamIdentifier::parse("ABCDE12345").unwrap(),
        certificate_serial: hex::encode(name),
        fingerprint: Digest::of(name.as_bytes()),
        not_before: UnixSeconds(1_700_000_000),
        not_after: UnixSeconds(1_800_000_000),
        certificate: format!("certificate {name}"),
        intermediate: "intermediate".into(),
        private_key: sealed(1),
        is_enhanced: Some(false),
        job: None,
        description: None,
        requested_key: None,
    }
}

/// The APNs key of this number, of these tests' team.
pub(crate) fn apns_key_id(key: u8) -> ApnsKeyId {
    ApnsKeyId::parse(&format!("ABCDE12345/KEY{key:07}")).unwrap()
}

/// An APNs key from this file, which nobody could push with.
pub(crate) fn apns_key(key: u8, file: &str) -> ApnsKeyInstallation {
    let ApnsKeyId { team_identifier, key_identifier } = apns_key_id(key);
    ApnsKeyInstallation {
        key_ref: (key > 1).then(|| KeyRef::parse(format!("key-{key}")).unwrap()),
        team_identifier,
        key_identifier,
        fingerprint: Digest::of(file.as_bytes()),
        private_key: sealed(1),
    }
}

/// A secret under key 1, which nobody could open.
pub(crate) fn sealed(letter: u8) -> Sealed {
    let letter = char::from(b'A' + letter % 26);
    Sealed::parse(format!("v1.{}", letter.to_string().repeat(40))).unwrap()
}

pub(crate) fn order(id: &PassId, seat: &str) -> PassCommand {
    PassCommand::Issue(Box::new(IssuePass {
        id: id.clone(),
        ticket_style: TicketStyle::Event,
        poster: false,
        content: content(seat),
        assets: Images::new(),
        localizations: Localizations::new(),
        voided: false,
        authentication_token: OrderedToken::Fresh(token_of(id)),
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

/// The cutoff of a rebuild that purges nothing.
pub(crate) const NEVER: UnixSeconds = UnixSeconds(0);

/// A projector at work, and the questions that can be asked meanwhile.
pub(crate) struct Running {
    pub(crate) model: ReadModel,
    pub(crate) projector: Projector,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start<L: EventLog>(log: Arc<L>, location: &Location, upcasters: Upcasters) -> Self {
        Self::start_as(log, location, upcasters, Part::Run).await
    }

    pub(crate) async fn start_as<L: EventLog>(
        log: Arc<L>,
        location: &Location,
        upcasters: Upcasters,
        part: Part,
    ) -> Self {
        let model = location.read_model().await;
        let stop = CancellationToken::new();
        let (projector, runner) =
            Projector::start(log, upcasters, model.clone(), part, stop.clone()).await.unwrap();
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

    /// As `kill -9` would have it, except that what the store was told already may still happen.
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

/// Columns of Postgres's checkpoint that say who projects, and not what has been projected.
const LEASE: [&str; 4] = ["fence", "leased_until", "holder_pid", "holder_started"];

/// Rows are lines with the names of the columns, as both engines can make them.
async fn dump(location: &Location) -> Dump {
    let mut connection = location.read_model_sql().await;
    let (tables, columns_of, quoted) = match connection {
        Sql::Sqlite(_) => (
            "select name from sqlite_master where type = 'table' and name not like 'sqlite%' and name <> '_sqlx_migrations'",
            "select name from pragma_table_info('{table}')",
            "quote({column})",
        ),
        Sql::Postgres(_) => (
            "select tablename::text from pg_tables
             where schemaname = current_schema() and (tablename like 'wallet\\_%' or tablename in ('projection_checkpoint', 'parked_event', 'skipped_event'))",
            "select attname::text from pg_attribute where attrelid = '{table}'::regclass and attnum > 0 order by attnum",
            "quote_nullable({column}::text)",
        ),
    };
    let tables = connection.column(tables).await;
    assert_eq!(tables.len(), 18, "{tables:?}");
    let mut dump = Dump::new();
    for table in tables {
        let columns = connection.column(&columns_of.replace("{table}", &table)).await;
        let columns = columns.iter().filter(|column| !LEASE.contains(&column.as_str()));
        let cells: Vec<_> =
            columns.map(|column| format!("'{column}=' || {}", quoted.replace("{column}", column))).collect();
        let query = format!("select {} as line from {table} order by line", cells.join(" || ' ' || "));
        dump.insert(table, connection.column(&query).await);
    }
    connection.close().await;
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
