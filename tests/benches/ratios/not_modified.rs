//! A 304 from the running program, beside an answer of the same program that asks no store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use honoken_tests::server::{Home, Ready};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{DeviceRoutes, Integrator};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::rounds::{Comparison, PAIRS, Pair, Side, Spread, Stopwatch, rate};
use crate::{PROGRAM, processor};

const CONNECTIONS: usize = 32;
const ROUND: Duration = Duration::from_secs(2);

const COMPARISON: Comparison = Comparison {
    title: "not_modified: 304 to a phone",
    ours: Side {
        name: "ours",
        does: "`GET /v1/passes/{type}/{serial}` with token and `If-None-Match`: token check and one row, each connection its own pass",
        unit: "answers/s",
    },
    ceiling: Side {
        name: "ceiling",
        does: "`GET /health/live`: routing, request id and log line, but no store",
        unit: "answers/s",
    },
    boundary: "from a request in the generator to the whole answer, 32 keep-alive connections over loopback. The generator shares \
               the machine's cores with the program, so both sides hold the cost of asking: the ratio flatters",
};

const PROCESSOR: Comparison = Comparison {
    title: "not_modified: the program's own processor time",
    ours: Side { name: "ours", does: "the 304s of the same rounds", unit: "answers per second of one core" },
    ceiling: Side {
        name: "ceiling",
        does: "the `/health/live` of the same rounds",
        unit: "answers per second of one core",
    },
    boundary: "user and system time of the program alone, in steps of a hundredth of a second; the generator is left out",
};

pub(crate) async fn run() {
    let home = Home::new(PROGRAM).await;
    let mut process = home.spawns("127.0.0.1:0");
    let ready = eventually(PATIENCE, "the ready file", async || home.reads_ready_file()).await;
    let id = process.id().expect("the program is running");
    let host = ready.base_url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let phones = phones(&ready, &host).await;
    let health = vec![get("/health/live", &host); CONNECTIONS];
    let (mut by_clock, mut by_processor, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=PAIRS {
        let ours = async || asked(id, &host, &phones, StatusCode::NOT_MODIFIED).await;
        let ceiling = async || asked(id, &host, &health, StatusCode::OK).await;
        let (ours, ceiling) = if round % 2 == 0 {
            let ours = ours().await;
            (ours, ceiling().await)
        } else {
            let ceiling = ceiling().await;
            (ours().await, ceiling)
        };
        by_clock.push(Pair { ours: ours.rate, ceiling: ceiling.rate });
        by_processor.push(Pair { ours: ours.rate_of_core, ceiling: ceiling.rate_of_core });
        busy.extend([ours.busy, ceiling.busy]);
    }
    process.kill().await.expect("the program can be killed");
    COMPARISON.report(&by_clock[1..]);
    PROCESSOR.report(&by_processor[1..]);
    println!("  cores that the program kept busy: {}", Spread::of(busy));
}

type Question = Request<Empty<Bytes>>;

/// What one round came to.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// Answers per second.
    rate: f64,
    /// Answers per second of the program's processor time.
    rate_of_core: f64,
    /// Cores that the program kept busy.
    busy: f64,
}

/// Asks each of the questions over and over, on a connection of its own, until the round is over.
async fn asked(id: u32, host: &str, questions: &[Question], expected: StatusCode) -> Round {
    let mut connections = Vec::new();
    for question in questions {
        connections.push((connected(host).await, question.clone()));
    }
    let (watch, start) = (Arc::new(Stopwatch::start()), processor::of_process(id));
    let mut tasks = JoinSet::new();
    for (mut connection, question) in connections {
        let watch = watch.clone();
        tasks.spawn(async move {
            let mut answers = 0;
            while watch.elapsed() < ROUND {
                asks(&mut connection, question.clone(), expected).await;
                answers += 1;
            }
            answers
        });
    }
    let answers: usize = tasks.join_all().await.into_iter().sum();
    let (time, spent) = (watch.elapsed(), processor::of_process(id).saturating_sub(start));
    Round {
        rate: rate(answers, time),
        rate_of_core: rate(answers, spent),
        busy: spent.as_secs_f64() / time.as_secs_f64(),
    }
}

async fn connected(host: &str) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(host).await.expect("the program listens");
    stream.set_nodelay(true).expect("a socket option");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    sender
}

async fn asks(connection: &mut SendRequest<Empty<Bytes>>, question: Question, expected: StatusCode) {
    connection.ready().await.expect("the connection is kept alive");
    let answer = connection.send_request(question).await.expect("an answer");
    assert_eq!(answer.status(), expected, "another answer than the one that is measured");
    answer.into_body().collect().await.expect("the whole answer");
}

fn get(path: &str, host: &str) -> Question {
    let request = Request::get(path).header(header::HOST, host);
    request.body(Empty::new()).expect("a request")
}

/// A pass for every connection, and the question of a phone that has it already.
async fn phones(ready: &Ready, host: &str) -> Vec<Question> {
    let (integrator, devices) = (Integrator::new(ready), DeviceRoutes::below(format!("http://{host}/v1")));
    let mut questions = Vec::new();
    for number in 0..CONNECTIONS {
        let change = integrator.issues(&format!("P-{number}")).await;
        let pass = integrator.credentials(&change.serial_number).await;
        let mut question = get(&format!("/v1{}", devices.pass_path(&pass)), host);
        let headers = [
            (header::AUTHORIZATION, pass.authorization()),
            (header::IF_NONE_MATCH, format!("\"{}\"", change.etag)),
        ];
        for (name, value) in headers {
            question.headers_mut().insert(name, value.try_into().expect("a header"));
        }
        questions.push(question);
    }
    questions
}
