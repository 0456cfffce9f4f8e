//! `kill -9` at any moment loses nothing that was acknowledged.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use honoken_simulator::Package;
use honoken_tests::device::{device, push_token};
use honoken_tests::server::{Home, Honoken};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{
    Change, Credentials, DeviceRoutes, Integrator, a_ticket, drawing, etag, package, storage,
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use crate::{PROGRAM, a_fresh_service, a_service};

const INTEGRATORS: usize = 8;
const PHONES: usize = 4;
/// Contents that each ticket gets, one after the other; the seat is its number.
const SEATS: usize = 5;

/// What one integrator knows about one ticket.
#[derive(Debug, Clone)]
struct Ticket {
    serial_number: String,
    /// The last content that was sent, answered or not.
    sent: usize,
    /// The last content that was acknowledged, and how.
    acknowledged: Option<(usize, Change)>,
}

/// Everything that was said to the service, and what it promised.
#[derive(Debug, Default)]
struct Ledger {
    tickets: Mutex<Vec<Ticket>>,
    /// The last thing a device was promised about a pass: that it is registered, or not any more.
    registrations: Mutex<HashMap<(String, String), bool>>,
    /// Requests to register or unregister that were never answered: either outcome is right.
    unanswered: Mutex<Vec<(String, String)>>,
    acknowledged: AtomicUsize,
}

impl Ledger {
    fn acknowledges(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    fn update(&self, at: usize, change: impl FnOnce(&mut Ticket)) {
        change(&mut self.tickets.lock().expect("nobody panics with the ledger")[at]);
    }

    fn opens(&self, serial_number: &str) -> usize {
        let mut tickets = self.tickets.lock().expect("nobody panics with the ledger");
        tickets.push(Ticket { serial_number: serial_number.to_owned(), sent: 0, acknowledged: None });
        tickets.len() - 1
    }

    fn tickets(&self) -> Vec<Ticket> {
        self.tickets.lock().expect("nobody panics with the ledger").clone()
    }
}

/// Issues tickets and changes them until nobody answers any more.
async fn integrates(integrator: Integrator, name: String, ledger: Arc<Ledger>) {
    for number in 0.. {
        let serial_number = format!("{name}-{number}");
        let at = ledger.opens(&serial_number);
        for seat in 0..SEATS {
            ledger.update(at, |ticket| ticket.sent = seat);
            let content = a_ticket(&seat.to_string());
            let answer = if seat == 0 {
                let order = integrator.order(&serial_number, &content).to_string();
                integrator.tries(Method::POST, "/manage/v1/passes", &[], order).await
            } else {
                let path = format!("{}/content", integrator.path(&serial_number));
                integrator.tries(Method::PUT, &path, &[], content.to_string()).await
            };
            let Ok(answer) = answer else { return };
            let expected = if seat == 0 { StatusCode::CREATED } else { StatusCode::OK };
            answer.assert_status(expected);
            let change = Change::read(&answer);
            assert!(change.changed);
            ledger.update(at, |ticket| ticket.acknowledged = Some((seat, change)));
            ledger.acknowledges();
        }
    }
}

/// Registers devices with tickets that were acknowledged, and unregisters every third, until nobody answers any more.
async fn registers(integrator: Integrator, devices: DeviceRoutes, name: usize, ledger: Arc<Ledger>) {
    for number in 0.. {
        let device = device(name * 10_000 + number);
        let issued: Vec<Ticket> =
            ledger.tickets().into_iter().filter(|ticket| ticket.acknowledged.is_some()).collect();
        let Some(ticket) = issued.get((number * 7) % issued.len().max(1)) else {
            tokio::task::yield_now().await;
            continue;
        };
        let Some(pass) = finds(&integrator, &ticket.serial_number).await else { return };
        let key = (device.clone(), ticket.serial_number.clone());
        let authorization = pass.authorization();
        let headers = [("authorization", authorization.as_str())];
        let path = devices.registration_path(&device, &pass);
        let body = format!("{{\"pushToken\":\"{}\"}}", push_token(number, 0));
        let Ok(answer) = devices.tries(Method::POST, &path, &headers, body).await else {
            ledger.unanswered.lock().expect("nobody panics with the ledger").push(key);
            return;
        };
        answer.assert_status(StatusCode::CREATED);
        ledger.registrations.lock().expect("nobody panics with the ledger").insert(key.clone(), true);
        ledger.acknowledges();
        if number % 3 == 2 {
            let Ok(answer) = devices.tries(Method::DELETE, &path, &headers, "").await else {
                ledger.unanswered.lock().expect("nobody panics with the ledger").push(key);
                return;
            };
            answer.assert_status(StatusCode::OK);
            ledger.registrations.lock().expect("nobody panics with the ledger").insert(key, false);
            ledger.acknowledges();
        }
    }
}

/// What the holder of a pass knows, while the service answers.
async fn finds(integrator: &Integrator, serial_number: &str) -> Option<Credentials> {
    let path = format!("{}/pkpass", integrator.path(serial_number));
    let answer = integrator.tries(Method::GET, &path, &[], "").await.ok()?;
    let package = Package::open(answer.assert_status(StatusCode::OK).body.clone()).expect("a readable pass");
    Some(Credentials {
        pass_type_identifier: integrator.pass_type_identifier().to_owned(),
        serial_number: serial_number.to_owned(),
        token: package.pass_json()["authenticationToken"].as_str().expect("a token").to_owned(),
    })
}

/// Puts load on the service and kills it after `count` further acknowledgements.
async fn kills_under_load(honoken: &mut Honoken, round: usize, count: usize, ledger: &Arc<Ledger>) {
    let target = ledger.acknowledged.load(Ordering::Relaxed) + count;
    let integrator = honoken.integrator();
    let mut workers = Vec::new();
    for number in 0..INTEGRATORS {
        let name = format!("R{round}-I{number}");
        workers.push(tokio::spawn(integrates(integrator.clone(), name, ledger.clone())));
    }
    for number in 0..PHONES {
        let name = round * 100 + number + 1;
        workers.push(tokio::spawn(registers(integrator.clone(), honoken.devices(), name, ledger.clone())));
    }
    eventually(PATIENCE, "enough is acknowledged to kill it", async || {
        (ledger.acknowledged.load(Ordering::Relaxed) >= target).then_some(())
    })
    .await;
    honoken.kill().await;
    for worker in join_all(workers).await {
        worker.expect("whatever was answered was a proper answer");
    }
}

/// Compares a ticket with what was promised about it.
fn assert_kept(ticket: &Ticket, state: Option<&Value>) {
    let Some(state) = state else {
        assert!(ticket.acknowledged.is_none(), "an acknowledged pass is gone: {ticket:?}");
        return;
    };
    etag::assert_belongs(state);
    let seat: usize = state["content"]["seat"].as_str().expect("a seat").parse().expect("a number");
    assert!(seat <= ticket.sent, "nobody ever sent {seat}: {ticket:?}");
    let Some((acknowledged, change)) = &ticket.acknowledged else { return };
    assert!(seat >= *acknowledged, "an acknowledged change is lost, the pass shows {seat}: {ticket:?}");
    let position = state["position"].as_u64().expect("a position");
    if seat == *acknowledged {
        assert_eq!(
            (position, &state["etag"]),
            (change.position, &Value::from(change.etag.clone())),
            "{ticket:?}"
        );
    } else {
        assert!(position > change.position, "{ticket:?}");
    }
}

async fn assert_everything_is_kept(honoken: &Honoken, ledger: &Ledger) {
    let (integrator, devices) = (honoken.integrator(), honoken.devices());
    for ticket in ledger.tickets() {
        let answer = integrator.get(&ticket.serial_number).await;
        let state =
            (answer.status != StatusCode::NOT_FOUND).then(|| answer.assert_status(StatusCode::OK).json());
        assert_kept(&ticket, state.as_ref());
    }
    let unanswered = ledger.unanswered.lock().expect("nobody panics with the ledger").clone();
    let registrations = ledger.registrations.lock().expect("nobody panics with the ledger").clone();
    for (key, is_registered) in registrations.into_iter().filter(|(key, _)| !unanswered.contains(key)) {
        let (device, serial_number) = key;
        let listed = devices.lists(&device, integrator.pass_type_identifier(), None).await;
        let expected = is_registered.then(|| vec![serial_number]);
        assert_eq!(listed.map(|(serials, _)| serials), expected, "device {device}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_when_the_program_is_killed_under_load() {
    let mut honoken = a_service().await;
    let ledger = Arc::new(Ledger::default());
    for (round, count) in [1, 40, 90, 150, 220].into_iter().enumerate() {
        kills_under_load(&mut honoken, round, count, &ledger).await;
        if round % 2 == 1 {
            // Killed again while it is getting up.
            let mut process = honoken.home().spawns("127.0.0.1:0");
            process.kill().await.unwrap();
        }
        honoken.restart().await;
        let ready = honoken.request(Method::GET, "/health/ready", HeaderMap::new(), "").await;
        ready.assert_status(StatusCode::OK);
        assert_everything_is_kept(&honoken, &ledger).await;
    }
    honoken.terminate().await;
    let positions = honoken.storage().positions().await;
    assert!(positions.iter().copied().eq(1..=i64::try_from(positions.len()).unwrap()), "the log has a gap");
}

/// Gives its ticket one new image after the other until nobody answers any more.
async fn redecorates(
    integrator: Integrator,
    serial_number: String,
    acknowledged: Arc<AtomicUsize>,
) -> Option<String> {
    let mut last = None;
    for shade in 0..=u8::MAX {
        let image = drawing::png(160, 50, shade);
        let path = integrator.asset_path(&serial_number, "logo.png");
        let Ok(answer) = integrator.tries(Method::PUT, &path, &[], image.clone()).await else { return last };
        answer.assert_status(StatusCode::OK);
        last = Some(etag::sha256(&image));
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_was_acknowledged_is_in_the_pass_after_a_kill() {
    let mut honoken = a_service().await;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let integrator = honoken.integrator();
    let serials: Vec<String> = (0..INTEGRATORS).map(|number| format!("D-{number}")).collect();
    let mut workers = Vec::new();
    for serial in &serials {
        integrator.issues(serial).await;
        workers.push(tokio::spawn(redecorates(integrator.clone(), serial.clone(), acknowledged.clone())));
    }
    eventually(PATIENCE, "some images are acknowledged", async || {
        (acknowledged.load(Ordering::Relaxed) >= 60).then_some(())
    })
    .await;
    honoken.kill().await;
    let promised = join_all(workers).await;
    honoken.restart().await;
    let integrator = honoken.integrator();
    for (serial, promised) in serials.iter().zip(promised) {
        let state = integrator.state(serial).await;
        let shown = etag::sha256(&package::files(&integrator.downloads(serial).await)["logo.png"].0);
        assert_eq!(state["assets"]["logo.png"], shown, "the file holds what the tag names");
        let shade = (0..=u8::MAX).position(|shade| etag::sha256(&drawing::png(160, 50, shade)) == shown);
        let promised = promised.expect("whatever was answered was a proper answer");
        let least =
            (0..=u8::MAX).position(|shade| Some(etag::sha256(&drawing::png(160, 50, shade))) == promised);
        assert!(shade >= least, "{serial} shows image {shade:?}, and {least:?} was acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_is_behind_after_a_kill_catches_up_with_the_log() {
    let mut honoken = a_service().await;
    let ledger = Arc::new(Ledger::default());
    kills_under_load(&mut honoken, 0, 120, &ledger).await;
    honoken.restart().await;
    let wallet = honoken.operator().wallet_projection().await;
    assert_eq!((&wallet["position"], &wallet["parked"]), (&wallet["head"], &Value::from(0)));
    honoken.terminate().await;
    let storage = honoken.storage();
    let live = storage.dump_read_model().await;
    storage.throws_read_model_away().await;
    honoken.restart().await;
    let operator = honoken.operator();
    eventually(PATIENCE, "the projection is at the head again", async || {
        let wallet = operator.wallet_projection().await;
        (wallet["position"] == wallet["head"]).then_some(())
    })
    .await;
    honoken.terminate().await;
    assert_eq!(storage.dump_read_model().await, live);
}

/// How far a first start has come: files in the data folder, and on Postgres tables in the database as well.
async fn progress(home: &Home) -> usize {
    storage::files_below(&home.data_dir()).len() + home.storage().tables().await.len()
}

/// Kills a first start as soon as it has come this far, starts again, and uses the service.
async fn assert_survives_a_first_start_cut_off_at(count: usize) {
    let home = Home::new(PROGRAM).await;
    let mut process = home.spawns("127.0.0.1:0");
    eventually(PATIENCE, "some files and tables, or the ready file", async || {
        let is_far_enough = progress(&home).await >= count || home.ready_file().exists();
        is_far_enough.then_some(())
    })
    .await;
    process.kill().await.expect("the process can be killed");
    let honoken = Honoken::start_in(home).await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    for serial in ["A-1", &honoken.ready().serial_number] {
        integrator.state(serial).await;
        package::assert_verifies(&integrator.downloads(serial).await, &honoken.ready().ca_file).await;
    }
}

#[tokio::test]
async fn a_first_start_that_is_cut_off_anywhere_is_picked_up_by_the_next() {
    let whole = progress(a_fresh_service().await.home()).await;
    for count in (0..=whole).step_by(3) {
        assert_survives_a_first_start_cut_off_at(count).await;
    }
}

#[tokio::test]
async fn a_start_that_is_cut_off_again_and_again_gets_there_in_the_end() {
    let home = Home::new(PROGRAM).await;
    for count in [1, 2, 4, 8, 12, 16, 20, 24] {
        let mut process = home.spawns("127.0.0.1:0");
        eventually(PATIENCE, "some files and tables, or the ready file", async || {
            (progress(&home).await >= count || home.ready_file().exists()).then_some(())
        })
        .await;
        process.kill().await.unwrap();
    }
    let honoken = Honoken::start_in(home).await;
    let integrator = honoken.integrator();
    integrator.issues("A-1").await;
    package::assert_verifies(&integrator.downloads("A-1").await, &honoken.ready().ca_file).await;
}
