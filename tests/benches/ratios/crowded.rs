//! How soon a newcomer is answered while half requests have all connections.

use std::time::Duration;

use honoken_tests::server::Home;
use honoken_tests::{Engine, a_ticket};

use crate::PROGRAM;
use crate::asking::{Connection, get, send};
use crate::crowds::{self, Crowd, Said};
use crate::rounds::Stopwatch;
use crate::service::Service;

/// More than there are connections.
const HALF_REQUESTS: usize = 17_500;

/// Addresses that they come from: none has more than half of the connections.
const ADDRESSES: usize = 20;

/// Newcomers in a row, each on a connection of its own.
const NEWCOMERS: usize = 500;

/// So many of them in a storm, where each waits for long.
const NEWCOMERS_IN_A_STORM: usize = 60;

pub(crate) async fn run() {
    if !crowds::may_open(HALF_REQUESTS, "crowded") {
        return;
    }
    println!("\ncrowded: newcomers beside {HALF_REQUESTS} half requests, on SQLite");
    println!(
        "  does      connect, ask, read the answer: a phone lists, a phone logs, an integrator changes a pass, in turn"
    );
    println!("  crowd     half of a head and half of a body in turn, from {ADDRESSES} addresses");
    let service = Service::starts_in(Home::on(Engine::Sqlite, PROGRAM).await).await;
    service.integrator().issues("N-1").await;
    let questions = questions(&service);
    // The first ones are thrown away.
    times(&service, &questions).await;
    let alone = times(&service, &questions).await;
    report("alone", &alone, &alone);
    for (name, comes_again, newcomers) in
        [("beside", false, NEWCOMERS), ("storm", true, NEWCOMERS_IN_A_STORM)]
    {
        let crowd = Crowd::comes(&service.host, HALF_REQUESTS, ADDRESSES, &half(comes_again)).await;
        let times = times(&service, &questions[..newcomers]).await;
        report(name, &times, &alone);
        println!("            {} of the crowd were closed meanwhile", crowd.closed());
        crowd.goes().await;
    }
    println!(
        "  storm     as beside, and each that is closed comes again at once; both share the cores with the service"
    );
}

/// Half of a head and half of a body, in turn.
fn half(comes_again: bool) -> Said {
    let head = "GET /v1/passes/a/b HTTP/1.1\r\nHost: h\r\nX-Long: ".to_owned();
    let body =
        format!("POST /v1/log HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n{}", "a ".repeat(1000));
    Said { first: vec![head.into(), body.into()], then: None, comes_again }
}

fn questions(service: &Service) -> Vec<Vec<u8>> {
    let key = format!("Bearer {}", service.ready.api_key);
    let list = format!("/v1/devices/d/registrations/{}", service.ready.pass_type_identifier);
    let content = format!("{}/content", service.integrator().path("N-1"));
    let changes = (0..NEWCOMERS).map(|seat| a_ticket(&seat.to_string()).to_string());
    changes
        .enumerate()
        .map(|(number, content_of_it)| match number % 3 {
            0 => get(&service.host, &list, &[]),
            1 => send("POST", &service.host, "/v1/log", "none", r#"{"logs":["a line"]}"#),
            _ => send("PUT", &service.host, &content, &key, &content_of_it),
        })
        .collect()
}

/// How long each waited, from the first packet of its connection on, in order.
async fn times(service: &Service, questions: &[Vec<u8>]) -> Vec<Duration> {
    let mut times = Vec::new();
    for question in questions {
        let watch = Stopwatch::start();
        let mut connection = Connection::to(&service.host).await.expect("it listens");
        let answer = connection.asks(question).await.expect("an answer");
        assert!(matches!(answer.status, 200 | 204), "status {}", answer.status);
        times.push(watch.elapsed());
    }
    times.sort();
    times
}

fn report(name: &str, times: &[Duration], alone: &[Duration]) {
    let at = |times: &[Duration], share: usize| {
        times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64()
    };
    let figures: Vec<String> = [50, 99, 100]
        .iter()
        .map(|share| {
            format!("{:.2} ms (× {:.2})", at(times, *share) * 1000.0, at(times, *share) / at(alone, *share))
        })
        .collect();
    println!("  {name:<8}  p50 {}, p99 {}, longest {}", figures[0], figures[1], figures[2]);
}
