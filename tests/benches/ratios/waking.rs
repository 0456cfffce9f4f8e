//! From a change to the phones: how soon one is woken, how many a second are, and what an outage of APNs costs.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use honoken_simulator::apns::{self, Answer, FakeApns, Rule};
use honoken_tests::fleet::Fleet;
use honoken_tests::operator::Operator;
use honoken_tests::server::Home;
use honoken_tests::waiting::eventually;
use honoken_tests::{DeviceRoutes, Engine};
use tempfile::TempDir;

use crate::apns::Ours;
use crate::phones::memory;
use crate::rounds::{Comparison, Pair, Side, Stopwatch};
use crate::service::Service;
use crate::{FOLDER, PROGRAM, disk, visible};

/// Changes that wake one phone, one at a time; between the rounds the disk is looked at.
const WAKES: usize = 200;
const ROUNDS: usize = 10;

/// Phones that hold one pass.
const PHONES: usize = 100_000;

/// Changes of that pass, after one that does not count.
const CHANGES: usize = 3;

/// Pushes in flight on either side: what the program allows itself.
const IN_FLIGHT: usize = 200;

/// Phones whose pushes are due while APNs is away.
const PATIENT: usize = 2_000;

/// How long it is away.
const OUTAGE: Duration = Duration::from_mins(1);

/// Long enough for whatever is waited for here.
const PATIENCE: Duration = Duration::from_mins(10);

const SERIAL_NUMBER: &str = "WAKING";

/// The program beside a fake APNs, with phones that hold one pass.
struct Stage {
    server: Arc<FakeApns>,
    service: Service,
    operator: Operator,
    _folder: TempDir,
}

impl Stage {
    async fn with(engine: Engine, phones: usize) -> Self {
        let server = FakeApns::start(apns::Options { records: false, ..apns::Options::default() });
        let server = Arc::new(server.expect("the server starts"));
        let folder = TempDir::new_in(FOLDER).expect("a folder");
        let authorities = folder.path().join("apns.pem");
        server.write_ca(&authorities).expect("a file");
        let home = Home::on(engine, PROGRAM).await;
        let home = home.with_variable("HONOKEN_APNS_ENDPOINT", server.url());
        let home = home.with_variable("HONOKEN_APNS_CA_FILE", authorities.display().to_string());
        let service = Service::starts_in(home).await;
        let integrator = service.integrator();
        integrator.issues(SERIAL_NUMBER).await;
        let pass = integrator.credentials(SERIAL_NUMBER).await;
        let routes = DeviceRoutes::below(format!("{}/v1", service.ready.base_url));
        Fleet::registers(&routes, &[pass], 0..phones).await;
        let operator = Operator::new(&service.ready);
        Self { server, service, operator, _folder: folder }
    }

    async fn changes(&self, seat: &str) {
        self.service.integrator().moves_to(SERIAL_NUMBER, seat).await;
    }

    /// Waits until the ledger holds nothing that is to be sent.
    async fn has_noted_all(&self) {
        eventually(PATIENCE, "everybody is woken", async || {
            let pushing = self.operator.pushing().await;
            (pushing["relay"]["lag"] == 0 && pushing["deliveries"]["pending"] == 0).then_some(())
        })
        .await;
    }

    /// A change that wakes all phones; how many a second, from the request on until the last was answered.
    async fn wakes_all(&self, seat: &str, phones: usize) -> f64 {
        let before = self.server.count();
        let watch = Stopwatch::start();
        self.changes(seat).await;
        let expected = before + phones as u64;
        eventually(PATIENCE, "all phones are woken", async || {
            (self.server.count() >= expected).then_some(())
        })
        .await;
        let rate = watch.rate(phones);
        self.has_noted_all().await;
        assert_eq!(self.server.count(), expected, "each phone is woken once");
        rate
    }
}

pub(crate) async fn run() {
    for (engine, name) in [(Engine::Sqlite, "SQLite"), (Engine::Postgres, "Postgres")] {
        soon(engine, name).await;
    }
    for (engine, title) in
        [(Engine::Sqlite, "waking: all phones, SQLite"), (Engine::Postgres, "waking: all phones, Postgres")]
    {
        many(engine, title).await;
    }
    outage().await;
}

/// One phone, and nobody else.
async fn soon(engine: Engine, name: &str) {
    let stage = Stage::with(engine, 1).await;
    let folder = TempDir::new_in(FOLDER).expect("a folder");
    let mut probe = File::create(folder.path().join("probe")).expect("a file");
    let (mut times, mut syncs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        syncs.push(1.0 / disk::syncs_per_second(&mut probe));
        for number in 0..WAKES / ROUNDS {
            let expected = stage.server.count() + 1;
            let watch = Stopwatch::start();
            let woken = async {
                stage.server.wait_until("a push", |server| server.count() >= expected).await;
                watch.elapsed()
            };
            let seat = format!("{round}-{number}");
            let (time, ()) = tokio::join!(woken, stage.changes(&seat));
            if round > 0 {
                times.push(time);
            }
            stage.has_noted_all().await;
        }
    }
    let title = format!(
        "waking, {name}: from a command over HTTP to the push at APNs, on a server with nothing else to do"
    );
    visible::report(&title, &mut times, syncs);
    println!(
        "  boundary  from the request in the generator to the push in the fake APNs, {} changes, one at a time on connections that are open",
        times.len()
    );
}

/// Very many phones, beside the client of APNs alone.
async fn many(engine: Engine, title: &'static str) {
    let stage = Stage::with(engine, PHONES).await;
    let before = memory(stage.service.id());
    let alone = Ours::to(&stage.server, 1, IN_FLIGHT);
    let (mut pairs, mut after_each) = (Vec::new(), Vec::new());
    for round in 0..=CHANGES {
        let ours = stage.wakes_all(&format!("{round}"), PHONES).await;
        after_each.push(memory(stage.service.id()).0.to_string());
        let ceiling = alone.pushes(PHONES).await;
        if round > 0 {
            pairs.push(Pair { ours, ceiling });
        }
    }
    let after = memory(stage.service.id());
    Comparison {
        title,
        ours: Side {
            name: "ours",
            does: "a change of one pass that 100,000 phones hold: log, projection, registrations, ledger, APNs, ledger",
            unit: "pushes/s",
        },
        ceiling: Side { name: "ceiling", does: "the client of APNs alone, as many in flight", unit: "pushes/s" },
        boundary: "from the command over HTTP to the last push at the fake APNs; the program, its database, the fake and the ceiling share the cores",
    }
    .report(&pairs);
    println!(
        "  memory    {} MiB before, {} MiB at the most, after each change {} MiB",
        before.0,
        after.1,
        after_each.join(", ")
    );
}

/// APNs is away when pushes are due.
async fn outage() {
    let stage = Stage::with(Engine::Sqlite, PATIENT).await;
    stage.wakes_all("before", PATIENT).await;
    let before = stage.server.count();
    stage.server.answer(Rule::always(Answer::refused(503, "ServiceUnavailable")));
    stage.changes("during").await;
    tokio::time::sleep(OUTAGE).await;
    let during = stage.server.count() - before;
    stage.server.answer_normally();
    let watch = Stopwatch::start();
    stage.has_noted_all().await;
    let caught_up = watch.elapsed();
    let requests = stage.server.count() - before;
    println!("\nwaking: {PATIENT} pushes are due while APNs answers 503 for {} s", OUTAGE.as_secs());
    println!("  requests  {during} during the outage, {requests} in all");
    println!("  after it  everybody is woken {:.1} s later", caught_up.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let ratio = requests as f64 / PATIENT as f64;
    println!("  requests ÷ pushes due: {ratio:.3}");
}
