//! The connection to the server, which is made anew when it is lost.
//!
//! The client of the vendor does most of that. It ends for good when it could not connect, though, and keeps to a node that is gone; so after every
//! failure of a connection it is replaced.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use eventstore::{Client, Error};
use futures::future::BoxFuture;
use sqlx::error::BoxDynError;
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use crate::error::LogError;

/// The longest that a question may take, with all its repetitions.
const PATIENCE: Duration = Duration::from_secs(10);

/// Attempts to ask a server that cannot be connected to.
const ATTEMPTS: u32 = 2;

/// Between two attempts: the first wait, doubled for each further one, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How the client failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It says why.
    #[error("{}", words(.0))]
    Client(Error),
    /// It did not answer.
    #[error("the server did not answer in time")]
    Silent,
    /// The client could not be made: a certificate cannot be read.
    #[error("the client of KurrentDB cannot be made: {0}")]
    Settings(String),
}

/// What a failure says about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The server has not seen it, and another attempt may succeed at once, or not.
    NotSent,
    /// Another node leads; the client turns to it.
    NotLeader,
    /// It is not known whether the server has carried it out.
    Unanswered,
    /// The server has refused it, and will again.
    Refused,
}

/// The transport's words for a connection that was never made.
const NO_CONNECTION: &str = "client error (Connect)";

/// The client shows statuses of the protocol, with headers; an operator needs less where it could not even connect.
fn words(fault: &Error) -> String {
    match fault {
        Error::NotLeaderException(_) => "the server does not lead its cluster".to_owned(),
        Error::AccessDenied => "the server refuses the user of the URL".to_owned(),
        fault if meaning_of(fault) == Meaning::NotSent => {
            "no connection to the server can be made".to_owned()
        }
        fault => format!("the server answered: {fault}"),
    }
}

fn meaning_of(fault: &Error) -> Meaning {
    match fault {
        Error::ConnectionClosed | Error::GrpcConnectionError(_) => Meaning::NotSent,
        Error::NotLeaderException(_) => Meaning::NotLeader,
        // Were the words others, it would only cost time: the request is repeated, which is safe.
        Error::ServerError(text) if text.contains(NO_CONNECTION) => Meaning::NotSent,
        Error::DeadlineExceeded | Error::ServerError(_) => Meaning::Unanswered,
        _ => Meaning::Refused,
    }
}

impl Fault {
    pub(super) fn meaning(&self) -> Meaning {
        match self {
            Self::Client(fault) => meaning_of(fault),
            Self::Silent => Meaning::Unanswered,
            Self::Settings(_) => Meaning::Refused,
        }
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Client(Error::ResourceNotFound))
    }
}

impl Fault {
    /// The failure of an operation.
    pub(super) fn while_it_is(doing: &'static str) -> impl Fn(Self) -> LogError {
        move |fault| LogError::Unavailable { doing, source: BoxDynError::from(fault) }
    }
}

pub(super) struct Connection {
    pub(super) address: Address,
    client: Mutex<Numbered>,
}

/// A client, and how many there have been before it.
#[derive(Clone)]
pub(super) struct Numbered {
    pub(super) client: Client,
    number: u64,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Connection {
    /// The connection is made with the first question.
    pub(super) fn new(address: Address) -> Result<Self, Fault> {
        let client = client(&address)?;
        Ok(Self { address, client: Mutex::new(Numbered { client, number: 0 }) })
    }

    pub(super) fn client(&self) -> Numbered {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes another client instead of one that failed, unless that has been done.
    pub(super) fn replace(&self, failed: &Numbered) {
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number == failed.number {
            match client(&self.address) {
                Ok(client) => *current = Numbered { client, number: failed.number + 1 },
                Err(fault) => {
                    tracing::warn!(error = %fault, "the connection to KurrentDB cannot be made anew");
                }
            }
        }
    }

    /// Asks a question that changes nothing, once more after a failure of the connection.
    pub(super) async fn ask<'a, T>(
        &self,
        work: impl Fn(Client) -> BoxFuture<'a, eventstore::Result<T>> + Send + Sync,
    ) -> Result<T, Fault> {
        let deadline = Instant::now() + PATIENCE;
        let mut attempt = 0;
        loop {
            let current = self.client();
            let asked = timeout_at(deadline, work(current.client.clone())).await;
            let fault = match asked {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(fault)) => Fault::Client(fault),
                Err(_) => Fault::Silent,
            };
            attempt += 1;
            match fault.meaning() {
                Meaning::Refused => return Err(fault),
                Meaning::NotLeader => {}
                Meaning::NotSent | Meaning::Unanswered => {
                    self.replace(&current);
                    if attempt >= ATTEMPTS {
                        return Err(fault);
                    }
                }
            }
            let wait = wait(attempt);
            if Instant::now() + wait >= deadline {
                return Err(fault);
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// How long to wait before the next attempt.
pub(super) fn wait(attempts: u32) -> Duration {
    WAITS.1.min(WAITS.0 * 2_u32.saturating_pow(attempts.saturating_sub(1)))
}

fn client(address: &Address) -> Result<Client, Fault> {
    // The client would install another provider of cryptography for the whole process.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::new(address.settings.clone()).map_err(|fault| Fault::Settings(fault.to_string()))
}
