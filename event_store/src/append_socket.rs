//! Appends from another process of the same machine, to an event log whose file a running process has.
//!
//! A SQLite file has one process that writes. A command of an operator that comes while the service runs reads the file beside it, and sends what it
//! appends over a Unix socket in the data folder: a line of JSON for each append, and a line for each answer. The service says first which release it
//! is, since another one might write events that it does not know. The folder and the socket are for their owner alone, who could write the file as
//! well, so whoever connects is believed.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate;
use honoken_domain::apns_key::ApnsKey;
use honoken_domain::certificate::Certificate;
use honoken_domain::job::Job;
use honoken_domain::organization::Organization;
use honoken_domain::pass_type::PassType;
use honoken_domain::uploaded_image::UploadedImage;
use honoken_telemetry::error_chain;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::{AppendError, LogError};
use crate::event::{Append, NewEvent};
use crate::log::EventLog;
use crate::position::Position;

/// Commands at a time; more wait.
const VISITORS: usize = 8;

/// The limit on the length of a line, far beyond a certificate with its key.
const LINE_BYTES: u64 = 4 * 1024 * 1024;

/// The longest time between two lines, on either side.
const PATIENCE: Duration = Duration::from_secs(30);

/// The aggregates that commands of operators change.
const CHANGED: [&str; 6] =
    [Organization::TYPE, PassType::TYPE, Certificate::TYPE, ApnsKey::TYPE, Job::TYPE, UploadedImage::TYPE];

/// The first line, from the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Greeting {
    /// The release of its program, with the commit.
    pub release: String,
    /// A text that it sealed under its current encryption key, so that a command can tell whether it has the same key; `None` without a key.
    pub sealed: Option<String>,
}

/// An append.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    aggregate_type: String,
    aggregate_id: String,
    expected_sequence: u64,
    events: Vec<NewEvent>,
    metadata: String,
    recorded_at_ms: i64,
}

/// The outcome of an append.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Reply {
    Appended { position: u64 },
    Conflict,
    Refused { reason: String },
    Unknown { reason: String },
}

/// The reason that another process gave.
#[derive(Debug, thiserror::Error)]
#[error("the running process says: {0}")]
struct Said(String);

/// Why no event log could be opened beside a running process.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No process answers on the socket.
    #[error("no process answers on {}", socket.display())]
    Unanswered {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Listens on a socket that only its owner can open. One that an ended process left there is replaced; the caller has the folder alone.
///
/// # Errors
/// The operating system's; a path longer than about a hundred bytes cannot be one of a socket.
pub fn listen(socket: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes appends until `stop`. `shown` ends once readers see the event log up to a position, or after a while.
pub async fn serve<L: EventLog, F: Future<Output = ()> + Send + 'static>(
    listener: UnixListener,
    log: Arc<L>,
    greeting: Greeting,
    shown: impl Fn(Position) -> F + Clone + Send + Sync + 'static,
    stop: CancellationToken,
) {
    let owner = owner_of(&listener);
    let places = Arc::new(Semaphore::new(VISITORS));
    let mut visits = JoinSet::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        while visits.try_join_next().is_some() {}
        let (stream, place) = match accepted {
            Some((Ok((stream, _)), place)) => (stream, place),
            Some((Err(fault), _)) => {
                tracing::warn!(error = error_chain(&fault), "a command of an operator could not connect");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            None => break,
        };
        if !is_of(&stream, owner) {
            tracing::warn!("refused a connection of another user to the socket of operators' commands");
            continue;
        }
        let (log, greeting, shown) = (log.clone(), greeting.clone(), shown.clone());
        visits.spawn(async move {
            if let Err(fault) = host(stream, &*log, &greeting, shown).await {
                tracing::debug!(error = error_chain(&fault), "the connection of an operator's command ended");
            }
            drop(place);
        });
    }
    // An append that was taken is on its way to the disk whoever waits for it; its command asks again.
    visits.shutdown().await;
}

/// The user whose socket it is.
fn owner_of(listener: &UnixListener) -> Option<u32> {
    let address = listener.local_addr().ok()?;
    Some(std::fs::metadata(address.as_pathname()?).ok()?.uid())
}

/// Whether the other end is a process of the owner, or of the system's administrator.
fn is_of(stream: &UnixStream, owner: Option<u32>) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || Some(peer.uid()) == owner)
}

async fn host<L: EventLog, F: Future<Output = ()> + Send>(
    stream: UnixStream,
    log: &L,
    greeting: &Greeting,
    shown: impl Fn(Position) -> F,
) -> io::Result<()> {
    let mut stream = BufStream::new(stream);
    write_line(&mut stream, greeting).await?;
    while let Some(order) = read_line::<Order>(&mut stream).await? {
        let reply = match order.into_append() {
            Ok(append) => reply_to(log.append(append).await),
            Err(reason) => Reply::Refused { reason },
        };
        if let Reply::Appended { position } = reply {
            shown(Position(position)).await;
        }
        write_line(&mut stream, &reply).await?;
    }
    Ok(())
}

impl Order {
    fn new(append: Append) -> Self {
        Self {
            aggregate_type: append.aggregate_type.to_owned(),
            aggregate_id: append.aggregate_id,
            expected_sequence: append.expected_sequence,
            events: append.events,
            metadata: append.metadata,
            recorded_at_ms: append.recorded_at_ms,
        }
    }

    fn into_append(self) -> Result<Append, String> {
        let known = CHANGED.iter().find(|known| **known == self.aggregate_type);
        let aggregate_type =
            known.ok_or_else(|| format!("commands of operators do not change a {}", self.aggregate_type))?;
        if self.events.is_empty() {
            return Err("there is no event".to_owned());
        }
        let texts = self.events.iter().map(|event| &event.payload).chain([&self.metadata]);
        for text in texts {
            serde_json::from_str::<&RawValue>(text)
                .map_err(|fault| format!("an event is not JSON: {fault}"))?;
        }
        Ok(Append {
            aggregate_type,
            aggregate_id: self.aggregate_id,
            expected_sequence: self.expected_sequence,
            events: self.events,
            metadata: self.metadata,
            recorded_at_ms: self.recorded_at_ms,
        })
    }
}

fn reply_to(outcome: Result<Position, AppendError>) -> Reply {
    match outcome {
        Ok(position) => Reply::Appended { position: position.0 },
        Err(AppendError::Conflict) => Reply::Conflict,
        Err(fault @ AppendError::Log(_)) => Reply::Refused { reason: error_chain(&fault) },
        Err(fault @ AppendError::Unknown(_)) => Reply::Unknown { reason: error_chain(&fault) },
    }
}

/// The words of a process that takes appends on a socket, for a command that appends elsewhere.
///
/// # Errors
/// When no process answers on the socket.
pub async fn greeting(socket: &Path) -> Result<Greeting, ConnectError> {
    Ok(Visitor::connect(socket).await?.1)
}

/// The end of a command.
#[derive(Debug)]
pub(crate) struct Visitor {
    stream: Mutex<BufStream<UnixStream>>,
    head: watch::Sender<Position>,
}

impl Visitor {
    /// Connects to the process that has the file.
    pub(crate) async fn connect(socket: &Path) -> Result<(Self, Greeting), ConnectError> {
        let greeted = async {
            let mut stream = BufStream::new(UnixStream::connect(socket).await?);
            let greeting: Option<Greeting> = read_line(&mut stream).await?;
            Ok((stream, greeting.ok_or(io::ErrorKind::UnexpectedEof)?))
        };
        let greeted: io::Result<_> = greeted.await;
        let (stream, greeting) =
            greeted.map_err(|source| ConnectError::Unanswered { socket: socket.to_owned(), source })?;
        Ok((Self { stream: Mutex::new(stream), head: watch::channel(Position(0)).0 }, greeting))
    }

    /// The position of the last event that this command knows of, from that of the file.
    pub(crate) fn follows(&self, head: Position) -> watch::Receiver<Position> {
        self.head.send_replace(head);
        self.head.subscribe()
    }

    /// Appends. A connection that breaks leaves open whether it did.
    pub(crate) async fn append(&self, append: Append) -> Result<Position, AppendError> {
        let mut stream = self.stream.lock().await;
        let replied = async {
            write_line(&mut stream, &Order::new(append)).await?;
            let reply: Option<Reply> = read_line(&mut stream).await?;
            reply.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
        };
        let refused = LogError::unavailable("written");
        match replied.await.map_err(|fault| AppendError::Unknown(fault.into()))? {
            Reply::Appended { position } => {
                let position = Position(position);
                self.head.send_if_modified(|head| std::mem::replace(head, position.max(*head)) < position);
                Ok(position)
            }
            Reply::Conflict => Err(AppendError::Conflict),
            Reply::Refused { reason } => Err(refused(Said(reason)).into()),
            Reply::Unknown { reason } => Err(AppendError::Unknown(Said(reason).into())),
        }
    }
}

async fn write_line(stream: &mut BufStream<UnixStream>, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let written = async {
        stream.write_all(&line).await?;
        stream.flush().await
    };
    timeout(PATIENCE, written).await?
}

/// The next line; `None` at the end.
async fn read_line<T: DeserializeOwned>(stream: &mut BufStream<UnixStream>) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    timeout(PATIENCE, stream.take(LINE_BYTES).read_until(b'\n', &mut line)).await??;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
