//! A 304 from the running program, beside a server of files and beside the store alone.

use std::time::Duration;

use honoken_database::postgres;
use honoken_domain::ids::PassId;
use honoken_projections::ReadModel;
use honoken_tests::{Change, Credentials, Engine};
use tokio::task::JoinSet;

use crate::asking::{Connection, Round, Target, get, in_turn};
use crate::nginx::{self, Nginx};
use crate::rounds::{Comparison, PAIRS, Pair, Side, Spread, Stopwatch, rate};
use crate::service::Service;

const CONNECTIONS: usize = 32;

const OURS: Side = Side {
    name: "ours",
    does: "`GET /v1/passes/{type}/{serial}` with token and `If-None-Match`, each connection its own pass",
    unit: "answers/s",
};

const BOUNDARY: &str = "from a question in the generator to the whole answer, 32 keep-alive connections over loopback. The generator shares \
                        the machine's cores with the server, so both sides hold the cost of asking: the ratio flatters the slower";

const HEALTH: Side =
    Side { name: "ceiling", does: "`GET /health/live` of the same process", unit: "answers/s" };

const NGINX: Side = Side {
    name: "ceiling",
    does: "nginx, one process, 304 for a file of the size of the pass, without a log",
    unit: "answers/s",
};

const PROCESSOR: &str = "user and system time of the server alone, in steps of a hundredth of a second; the generator is left out";

const SELECTS: Comparison = Comparison {
    title: "not_modified: 304 to a phone, Postgres",
    ours: OURS,
    ceiling: Side {
        name: "ceiling",
        does: "the same row by its primary key, from 32 tasks through the same kind of pool, without HTTP",
        unit: "rows/s",
    },
    boundary: "as on SQLite, and from the statement to the row",
};

pub(crate) async fn run() {
    on_sqlite().await;
    on_postgres().await;
}

async fn on_sqlite() {
    let service = Service::starts(Engine::Sqlite).await;
    let phones = phones(&service).await;
    let pass = service.integrator().downloads(&phones[0].0.serial_number).await;
    let nginx = Nginx::serving(&pass).await;
    let health = get(&service.host, "/health/live", &[]);
    let mut connection = Connection::to(&service.host).await.expect("it listens");
    let length = connection.asks(&health).await.expect("an answer").body.len();
    let mut targets =
        vec![not_modified(&service, &phones), service.target(vec![health; CONNECTIONS], (200, length))];
    if let Some(nginx) = &nginx {
        targets.push(file_not_modified(nginx).await);
    }
    let rounds = in_turn(&targets).await;
    for (ceiling, rounds_of_ceiling) in [HEALTH, NGINX].into_iter().zip(&rounds[1..]) {
        report("not_modified: 304 to a phone, SQLite", ceiling, &rounds[0], rounds_of_ceiling);
    }
    println!("  cores that the program kept busy: {}", Spread::of(rounds[0].iter().map(|round| round.busy)));
}

fn report(title: &'static str, ceiling: Side, ours: &[Round], theirs: &[Round]) {
    let pairs = |figure: fn(&Round) -> f64| -> Vec<Pair> {
        let pairs = ours.iter().zip(theirs);
        pairs.map(|(ours, ceiling)| Pair { ours: figure(ours), ceiling: figure(ceiling) }).collect()
    };
    Comparison { title, ours: OURS, ceiling, boundary: BOUNDARY }.report(&pairs(|round| round.rate));
    let unit = "answers per second of one core";
    let [ours, ceiling] = [OURS, ceiling].map(|side| Side { does: "the same rounds", unit, ..side });
    Comparison { title: "the same, by the server's own processor time", ours, ceiling, boundary: PROCESSOR }
        .report(&pairs(|round| round.rate_of_core));
}

/// The question of whoever has the file already.
async fn file_not_modified(nginx: &Nginx) -> Target {
    let mut connection = Connection::to(&nginx.host).await.expect("nginx listens");
    let answer = connection.asks(&get(&nginx.host, nginx::PATH, &[])).await.expect("an answer");
    let etag = answer.header("etag").expect("a tag").to_owned();
    let question = get(&nginx.host, nginx::PATH, &[("if-none-match", &etag)]);
    let questions = vec![question; CONNECTIONS];
    Target { process: nginx.id(), host: nginx.host.clone(), questions, expected: (304, 0) }
}

async fn on_postgres() {
    let service = Service::starts(Engine::Postgres).await;
    let options = postgres::options(service.home.database_url().expect("a database")).expect("a URL");
    let read_model = ReadModel::on_server(&options).await.expect("the read model opens");
    let phones = phones(&service).await;
    let target = not_modified(&service, &phones);
    let ids = phones.iter().map(|(pass, _)| format!("{}/{}", pass.pass_type_identifier, pass.serial_number));
    let ids: Vec<PassId> = ids.map(|id| PassId::parse(&id).expect("an id")).collect();
    let mut pairs = Vec::new();
    for round in 0..=PAIRS {
        let (ours, ceiling) = if round % 2 == 0 {
            let ours = target.is_asked().await;
            (ours, rows_per_second(&read_model, &ids).await)
        } else {
            let ceiling = rows_per_second(&read_model, &ids).await;
            (target.is_asked().await, ceiling)
        };
        pairs.push(Pair { ours: ours.rate, ceiling });
    }
    SELECTS.report(&pairs[1..]);
    read_model.close().await;
}

async fn rows_per_second(read_model: &ReadModel, ids: &[PassId]) -> f64 {
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for id in ids {
        let (read_model, id) = (read_model.clone(), id.clone());
        tasks.spawn(async move {
            let mut rows = 0;
            while watch.elapsed() < Duration::from_secs(1) {
                read_model.pass_row(&id).await.expect("an answer").expect("a row");
                rows += 1;
            }
            rows
        });
    }
    let rows: usize = tasks.join_all().await.into_iter().sum();
    rate(rows, watch.elapsed())
}

/// A pass for every connection, and its latest change.
async fn phones(service: &Service) -> Vec<(Credentials, Change)> {
    let integrator = service.integrator();
    let mut phones = Vec::new();
    for number in 0..CONNECTIONS {
        let change = integrator.issues(&format!("P-{number}")).await;
        phones.push((integrator.credentials(&change.serial_number).await, change));
    }
    phones
}

/// The questions of phones that have their passes already.
fn not_modified(service: &Service, phones: &[(Credentials, Change)]) -> Target {
    let questions = phones.iter().map(|(pass, change)| {
        let etag = format!("\"{}\"", change.etag);
        service.question(pass, &[("if-none-match", &etag)])
    });
    service.target(questions.collect(), (304, 0))
}
