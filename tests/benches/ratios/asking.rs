//! A load generator for HTTP that costs little: questions are bytes made beforehand, and of an answer only what must be known is looked at. Every
//! side of a comparison is asked by it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::processor;
use crate::rounds::{PAIRS, Stopwatch, rate};

/// Length of one round.
const ROUND: Duration = Duration::from_secs(1);

/// The bytes of a `GET`.
pub(crate) fn get(host: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n");
    for (name, value) in headers {
        head.extend([*name, ": ", *value, "\r\n"]);
    }
    head.push_str("\r\n");
    head.into()
}

/// The bytes of a `POST` or `PUT` with a JSON body.
pub(crate) fn send(method: &str, host: &str, path: &str, authorization: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {authorization}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into()
}

/// A connection that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn to(host: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 2048], filled: 0 })
    }

    /// Asks, and reads the whole answer. A body must say its length.
    pub(crate) async fn asks(&mut self, question: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(question).await?;
        self.filled = 0;
        let end = loop {
            self.reads_on().await?;
            let head = self.buffer[..self.filled].windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = head {
                break end + 4;
            }
        };
        let (status, length) = meaning(&self.buffer[..end])?;
        while self.filled < end + length {
            self.reads_on().await?;
        }
        let (head, body) = self.buffer[..end + length].split_at(end);
        Ok(Answer { status, head: text(head)?, body })
    }

    async fn reads_on(&mut self) -> io::Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
        self.filled += read;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl Answer<'_> {
    /// The value of a header, by its lowercase name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

fn text(head: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(head).map_err(io::Error::other)
}

/// Status and length of the body.
fn meaning(head: &[u8]) -> io::Result<(u16, usize)> {
    let head = text(head)?;
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status"))?;
    let length = match status {
        204 | 304 => Some(0),
        _ => header(head, "content-length").and_then(|length| length.parse().ok()),
    };
    Ok((status, length.ok_or_else(|| io::Error::other("no length"))?))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Who is asked what.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The process that answers.
    pub(crate) process: u32,
    pub(crate) host: String,
    /// One for each connection, asked over and over.
    pub(crate) questions: Vec<Vec<u8>>,
    /// Status and bytes of the body of every answer.
    pub(crate) expected: (u16, usize),
}

/// What one round came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// Answers per second.
    pub(crate) rate: f64,
    /// Answers per second of the program's processor time.
    pub(crate) rate_of_core: f64,
    /// Cores that the program kept busy.
    pub(crate) busy: f64,
}

/// Rounds of each target, in turn; a first one of each is thrown away.
pub(crate) async fn in_turn(targets: &[Target]) -> Vec<Vec<Round>> {
    let mut rounds = vec![Vec::new(); targets.len()];
    for turn in 0..=PAIRS {
        // Who goes first changes, so that nobody always follows the same.
        for place in 0..targets.len() {
            let which = (turn + place) % targets.len();
            rounds[which].push(targets[which].is_asked().await);
        }
    }
    rounds.iter().map(|rounds| rounds[1..].to_vec()).collect()
}

impl Target {
    pub(crate) async fn is_asked(&self) -> Round {
        let mut connections = Vec::new();
        for question in &self.questions {
            connections.push((Connection::to(&self.host).await.expect("it listens"), question.clone()));
        }
        let (watch, start) = (Arc::new(Stopwatch::start()), processor::of_process(self.process));
        let mut tasks = JoinSet::new();
        for (mut connection, question) in connections {
            let (watch, expected) = (watch.clone(), self.expected);
            tasks.spawn(async move {
                let mut answers = 0;
                while watch.elapsed() < ROUND {
                    let answer = connection.asks(&question).await.expect("an answer");
                    assert_eq!(
                        (answer.status, answer.body.len()),
                        expected,
                        "another answer than is measured"
                    );
                    answers += 1;
                }
                answers
            });
        }
        let answers: usize = tasks.join_all().await.into_iter().sum();
        let spent = processor::of_process(self.process).saturating_sub(start);
        let time = watch.elapsed();
        Round {
            rate: rate(answers, time),
            rate_of_core: rate(answers, spent),
            busy: spent.as_secs_f64() / time.as_secs_f64(),
        }
    }
}
