//! Ten thousand phones that were told of a change and all come at once.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use honoken_tests::device::{device, push_token};
use honoken_tests::server::Home;
use honoken_tests::{Credentials, DeviceRoutes, Engine, a_ticket};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _, Row};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::PROGRAM;
use crate::asking::{Connection, get, send};
use crate::rounds::Stopwatch;
use crate::service::Service;

const PHONES: usize = 10_000;

/// Connections on which passes are issued and changed and phones registered.
const WORKERS: usize = 32;

/// A phone with a pass of its own.
struct Phone {
    registration: Vec<u8>,
    change: Vec<u8>,
    lists: Vec<u8>,
    fetches: Vec<u8>,
    /// What the list must name.
    serial_number: String,
}

/// How long a phone waited, from its first packet on.
struct Waited {
    /// Until it was told that its pass has changed; it connected before.
    list: Duration,
    /// From there until it had the pass.
    pass: Duration,
    whole: Duration,
    /// Connections that the service closed while the phone needed one more answer, or after the last.
    closed: usize,
}

/// Open files of this program beside those connections.
const OTHER_FILES: u64 = 200;

pub(crate) async fn run() {
    let needed = PHONES as u64 + OTHER_FILES;
    if rlimit::increase_nofile_limit(needed).expect("a limit") < needed {
        println!("\nphones: left out, since this program may not open {needed} files (ulimit -Hn)");
        return;
    }
    // All of them come from one address here.
    let home = Home::on(Engine::Sqlite, PROGRAM).await;
    let home = home.with_variable("HONOKEN_CONNECTIONS_PER_ADDRESS", PHONES.to_string());
    let service = Service::starts_in(home).await;
    let host: Arc<str> = service.host.as_str().into();
    let orders = (0..PHONES).map(|number| {
        let order = service.integrator().order(&format!("P-{number}"), &a_ticket("1A"));
        send("POST", &host, "/manage/v1/passes", &key(&service), &order.to_string())
    });
    all_answered(&host, orders.collect(), 201).await;
    let phones = Arc::new(phones(&service).await);
    all_answered(&host, phones.iter().map(|phone| phone.registration.clone()).collect(), 201).await;
    all_answered(&host, phones.iter().map(|phone| phone.change.clone()).collect(), 200).await;

    println!("\nphones: {PHONES} of them come at once after a change of all their passes, on SQLite");
    println!(
        "  does      connect, list with a tag from before the change, get the pass that the list names: built and signed for the first time"
    );
    println!(
        "  boundary  from the moment that all are let go to the last byte; phones and service share the cores"
    );
    let before = memory(service.id());
    let watch = Stopwatch::start();
    let barrier = Arc::new(Barrier::new(PHONES));
    let mut tasks = JoinSet::new();
    for number in 0..PHONES {
        let (host, phones, barrier) = (host.clone(), phones.clone(), barrier.clone());
        tasks.spawn(async move {
            barrier.wait().await;
            comes(&host, &phones[number]).await
        });
    }
    let outcomes = tasks.join_all().await;
    let took = watch.elapsed();
    let during = memory(service.id());
    let closed: usize = outcomes.iter().flatten().map(|waited| waited.closed).sum();
    let mut troubles: BTreeMap<String, usize> = BTreeMap::new();
    let mut waits = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(waited) => waits.push(waited),
            Err(trouble) => *troubles.entry(trouble).or_default() += 1,
        }
    }
    println!(
        "  all       {} of {PHONES} have their pass after {:.2} s, {:.0} a second",
        waits.len(),
        took.as_secs_f64(),
        crate::rounds::rate(waits.len(), took)
    );
    for (name, part) in [
        ("list", (|waited| waited.list) as fn(&Waited) -> Duration),
        ("pass", |waited| waited.pass),
        ("whole", |waited| waited.whole),
    ] {
        let mut times: Vec<Duration> = waits.iter().map(part).collect();
        times.sort();
        let at =
            |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1))).copied();
        let [half, most, last] = [50, 99, 100].map(|share| at(share).unwrap_or_default().as_secs_f64());
        println!("  {name:<8}  p50 {half:.2} s, p99 {most:.2} s, longest {last:.2} s");
    }
    println!("  closed    {closed} connections, because there were no more");
    println!(
        "  memory    {} MiB before, {} MiB at the most, {} MiB after",
        before.0,
        during.1,
        memory(service.id()).0
    );
    assert_eq!(troubles, BTreeMap::new(), "phones that did not get their pass, by what they met");
}

async fn comes(host: &str, phone: &Phone) -> Result<Waited, String> {
    let watch = Stopwatch::start();
    let trouble = |step: &'static str| move |fault: std::io::Error| format!("{step}: {fault}");
    let mut caller = Caller { host, connection: None, closed: 0 };
    let (status, body) = caller.asks(&phone.lists).await.map_err(trouble("list"))?;
    if status != 200 || !String::from_utf8_lossy(&body).contains(&phone.serial_number) {
        return Err(format!("list: status {status}"));
    }
    let list = watch.elapsed();
    let (status, body) = caller.asks(&phone.fetches).await.map_err(trouble("pass"))?;
    if status != 200 || !body.starts_with(b"PK") {
        return Err(format!("pass: status {status}"));
    }
    let whole = watch.elapsed();
    Ok(Waited { list, pass: whole.saturating_sub(list), whole, closed: caller.closed })
}

/// Asks as HTTP clients do: a connection may be closed between two questions, and then a `GET` is asked again on a new one (RFC 9112 section
/// 9.3.1). There are more phones than connections, so the service closes some.
struct Caller<'a> {
    host: &'a str,
    connection: Option<Connection>,
    closed: usize,
}

impl Caller<'_> {
    async fn asks(&mut self, question: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => Connection::to(self.host).await?,
            };
            match connection.asks(question).await {
                Ok(answer) => {
                    let answered = (answer.status, answer.body.to_vec());
                    let closes = answer.header("connection").is_some_and(|value| value == "close");
                    self.closed += usize::from(closes);
                    self.connection = (!closes).then_some(connection);
                    return Ok(answered);
                }
                Err(fault) if is_closed(&fault) && self.closed < MOST_CLOSED => self.closed += 1,
                Err(fault) => return Err(fault),
            }
        }
    }
}

/// A phone that meets more closed connections has a trouble.
const MOST_CLOSED: usize = 5;

fn is_closed(fault: &io::Error) -> bool {
    matches!(
        fault.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn key(service: &Service) -> String {
    format!("Bearer {}", service.ready.api_key)
}

/// What each phone will ask.
async fn phones(service: &Service) -> Vec<Phone> {
    let host = &service.host;
    let routes = DeviceRoutes::below(String::new());
    let tag = service.integrator().issues("the tag of a moment before the change").await.update_tag;
    let mut phones = Vec::new();
    for (number, pass) in passes(service, &service.home.data_dir()).await.into_iter().enumerate() {
        let device = device(number);
        let body = format!(r#"{{"pushToken":"{}"}}"#, push_token(number, 0));
        let registration = routes.registration_path(&device, &pass);
        let list = format!(
            "/v1/devices/{device}/registrations/{}?passesUpdatedSince={tag}",
            pass.pass_type_identifier
        );
        let content = format!("{}/content", service.integrator().path(&pass.serial_number));
        phones.push(Phone {
            registration: send("POST", host, &format!("/v1{registration}"), &pass.authorization(), &body),
            change: send("PUT", host, &content, &key(service), &a_ticket("2B").to_string()),
            lists: get(host, &list, &[]),
            fetches: service.question(&pass, &[("if-modified-since", "Tue, 14 Nov 2023 22:13:20 GMT")]),
            serial_number: format!("\"{}\"", pass.serial_number),
        });
    }
    phones
}

/// The passes with their tokens, which are nowhere but in the passes themselves and in the table.
async fn passes(service: &Service, data_dir: &Path) -> Vec<Credentials> {
    let options = SqliteConnectOptions::new().filename(data_dir.join("read_model.sqlite")).read_only(true);
    let mut connection = options.connect().await.expect("the read model opens");
    let rows = sqlx::query(
        "select serial_number, authentication_token from wallet_pass where serial_number like 'P-%'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the table can be read");
    connection.close().await.expect("the file closes");
    let pass_type_identifier = service.ready.pass_type_identifier.clone();
    assert_eq!(rows.len(), PHONES, "all passes are there");
    rows.iter()
        .map(|row| Credentials {
            pass_type_identifier: pass_type_identifier.clone(),
            serial_number: row.get("serial_number"),
            token: row.get("authentication_token"),
        })
        .collect()
}

/// Asks all questions, a few at a time.
async fn all_answered(host: &Arc<str>, questions: Vec<Vec<u8>>, status: u16) {
    let questions = Arc::new(questions);
    let mut tasks = JoinSet::new();
    for worker in 0..WORKERS {
        let (host, questions) = (host.clone(), questions.clone());
        tasks.spawn(async move {
            let mut connection = Connection::to(&host).await.expect("it listens");
            for question in questions.iter().skip(worker).step_by(WORKERS) {
                let answer = connection.asks(question).await.expect("an answer");
                assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(answer.body));
            }
        });
    }
    tasks.join_all().await;
}

/// MiB of a process in memory, now and at the most.
pub(crate) fn memory(id: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{id}/status")).expect("the process is there");
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}
