//! A process that has the file of an event log, and commands beside it that append over its socket.

use std::future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use honoken_event_store::append_socket::{self, ConnectError, Greeting};
use honoken_event_store::{Append, AppendError, EventLog, Position, SqliteLog};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::note::append;
use crate::store::EPOCH;

/// An event log whose process takes appends.
struct Running {
    folder: TempDir,
    log: Arc<SqliteLog>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let log = Arc::new(SqliteLog::open(&folder.path().join("events.sqlite"), EPOCH).await.unwrap());
        let stop = CancellationToken::new();
        let listener = append_socket::listen(&folder.path().join("socket")).unwrap();
        let greeting = Greeting { release: "1".to_owned(), sealed: None };
        let shown = |_| future::ready(());
        let serving = append_socket::serve(listener, log.clone(), greeting, shown, stop.clone());
        Self { log, stop: stop.clone(), serving: tokio::spawn(serving), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("events.sqlite")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    async fn beside(&self) -> SqliteLog {
        let (log, greeting) = SqliteLog::beside_its_process(&self.file(), &self.socket()).await.unwrap();
        assert_eq!(greeting.release, "1");
        log
    }

    async fn says(&self, line: &[u8]) -> String {
        let mut stream = BufStream::new(UnixStream::connect(self.socket()).await.unwrap());
        let mut heard = String::new();
        stream.read_line(&mut heard).await.unwrap();
        // The process closes a connection in the middle of what it does not understand.
        let _ = stream.write_all(line).await;
        let _ = stream.flush().await;
        heard.clear();
        stream.read_line(&mut heard).await.unwrap_or_default();
        heard
    }
}

/// Texts appended to an organisation.
fn of_operator(id: &str, expected_sequence: u64, texts: &[&'static str]) -> Append {
    Append { aggregate_type: "Organization", ..append(id, expected_sequence, texts) }
}

#[tokio::test]
async fn processes_append_in_turn_and_one_that_is_behind_is_a_conflict() {
    let running = Running::start().await;
    running.log.append(of_operator("club", 0, &["one"])).await.unwrap();
    let beside = running.beside().await;
    assert_eq!((beside.epoch(), *beside.head().borrow()), (EPOCH, Position(1)));
    let conflict = beside.append(of_operator("club", 0, &["other"])).await;
    assert!(matches!(conflict, Err(AppendError::Conflict)), "{conflict:?}");
    assert_eq!(beside.append(of_operator("club", 1, &["two", "three"])).await.unwrap(), Position(3));
    assert_eq!(*beside.head().borrow(), Position(3));
    assert_eq!(*running.log.head().borrow(), Position(3), "whoever follows the process is woken");
    let conflict = running.log.append(of_operator("club", 1, &["late"])).await;
    assert!(matches!(conflict, Err(AppendError::Conflict)), "{conflict:?}");
    assert_eq!(running.log.append(of_operator("club", 3, &["four"])).await.unwrap(), Position(4));
    let read = beside.read_after(Position(0), 9).await.unwrap();
    assert_eq!(read, running.log.read_after(Position(0), 9).await.unwrap());
    assert_eq!(read.len(), 4);
    beside.close().await;
}

#[tokio::test]
async fn what_no_command_of_an_operator_sends_is_refused_and_changes_nothing() {
    let running = Running::start().await;
    let beside = running.beside().await;
    let refused = beside.append(append("a", 0, &["a note"])).await;
    assert!(matches!(refused, Err(AppendError::Log(_))), "{refused:?}");
    let none = beside.append(of_operator("club", 0, &[])).await;
    assert!(matches!(none, Err(AppendError::Log(_))), "{none:?}");
    let mut broken = of_operator("club", 0, &["one"]);
    broken.events[0].payload.push('}');
    let broken = beside.append(broken).await;
    assert!(matches!(broken, Err(AppendError::Log(_))), "{broken:?}");
    // Lines of nobody that we know: the connection ends, and others go on.
    for line in [&b"GET / HTTP/1.1\r\n"[..], b"\n", b"{}\n", &vec![b'x'; 5 * 1024 * 1024]] {
        assert_eq!(running.says(line).await, "", "{} bytes", line.len());
    }
    assert_eq!(*running.log.head().borrow(), Position(0));
    assert_eq!(beside.append(of_operator("club", 0, &["one"])).await.unwrap(), Position(1));
}

#[tokio::test]
async fn a_socket_is_for_its_owner_and_replaces_a_dead_one() {
    let running = Running::start().await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&running.socket()), 0o600);
    running.stop.cancel();
    running.serving.await.unwrap();
    let (file, socket) = (running.folder.path().join("events.sqlite"), running.folder.path().join("socket"));
    let unanswered = SqliteLog::beside_its_process(&file, &socket).await;
    assert!(matches!(unanswered, Err(ConnectError::Unanswered { .. })), "{unanswered:?}");
    append_socket::listen(&socket).unwrap();
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_not_known_to_have_failed() {
    let running = Running::start().await;
    let beside = running.beside().await;
    running.stop.cancel();
    running.serving.await.unwrap();
    let lost = beside.append(of_operator("club", 0, &["one"])).await;
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
}
