//! The stand-in with its threads, and the handles by which a test lets things go wrong.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

use crate::faults::Refusal;
use crate::server::Listening;
use crate::state::State;
use crate::tls::{LOGIN, Security};

/// A server in this process, with threads of its own, so that tests may block or not. It goes with this value.
#[derive(Debug)]
pub struct StandIn {
    state: Arc<State>,
    runtime: Option<Runtime>,
    address: SocketAddr,
    /// Bound and deaf: while the server is stopped, nobody else is given its port.
    _reserved: TcpSocket,
    security: Option<Security>,
    listening: Mutex<Option<Listening>>,
}

impl StandIn {
    /// One at a free port of this machine.
    ///
    /// # Panics
    ///
    /// When the machine has no threads or no port for it.
    pub fn start() -> Self {
        Self::at(0).expect("there is a free port")
    }

    /// One with TLS, a certificate of its own and one user, all of which its connection string names.
    ///
    /// # Panics
    ///
    /// When the machine has no threads or no port for it, or no program `openssl`.
    pub fn secured() -> Self {
        Self::with(0, Some(Security::new())).expect("there is a free port")
    }

    /// One at this port of this machine, a free one if it is 0; an error if it is taken.
    ///
    /// # Panics
    ///
    /// When the machine has no threads for it.
    pub fn at(port: u16) -> io::Result<Self> {
        Self::with(port, None)
    }

    fn with(port: u16, security: Option<Security>) -> io::Result<Self> {
        let threads =
            Builder::new_multi_thread().worker_threads(2).thread_name("kurrentdb").enable_all().build();
        let runtime = threads.expect("the machine has threads");
        let state = Arc::new(State::new());
        let tls = security.as_ref().map(Security::acceptor);
        let reserved = reserve(port)?;
        let address = reserved.local_addr()?;
        let listening = Listening::at(runtime.handle(), &state, address, tls)?;
        Ok(StandIn {
            state,
            runtime: Some(runtime),
            address,
            _reserved: reserved,
            security,
            listening: Mutex::new(Some(listening)),
        })
    }

    /// The way to it, for any client: `esdb://…`.
    ///
    /// # Panics
    ///
    /// When temporary files have names that are no text.
    pub fn connection_string(&self) -> String {
        match &self.security {
            None => format!("esdb://{}?tls=false", self.address),
            Some(security) => {
                let authority = security.authority();
                let authority = authority.to_str().expect("a path that is text");
                format!("esdb://{LOGIN}@{}?tls=true&tlsCaFile={authority}", self.address)
            }
        }
    }

    fn listening(&self) -> std::sync::MutexGuard<'_, Option<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the port and cuts all connections. What is stored is kept.
    pub fn stop(&self) {
        if let Some(listening) = self.listening().take() {
            listening.close();
        }
        self.state.connections.cut();
    }

    /// Opens the port again, with what was stored before.
    ///
    /// # Panics
    ///
    /// When something else took the port meanwhile.
    pub fn start_again(&self) {
        let mut listening = self.listening();
        if listening.is_none() {
            let runtime = self.runtime.as_ref().expect("it is there until the end");
            let tls = self.security.as_ref().map(Security::acceptor);
            let again = Listening::at(runtime.handle(), &self.state, self.address, tls);
            *listening = Some(again.expect("the port is still free"));
        }
    }

    /// Cuts all connections that there are; new ones are taken.
    pub fn cut_connections(&self) {
        self.state.connections.cut();
    }

    /// Stores the next so many appends, and cuts their connections instead of answering.
    pub fn lose_answers(&self, count: u64) {
        self.state.faults.lose_answers(count);
    }

    /// Cuts the connection of a reader in the middle, once so many more events were read by anybody; a few of them may not have arrived.
    pub fn cut_a_read_after(&self, events: u64) {
        self.state.faults.cut_a_read_after(events);
    }

    /// Refuses all appends from now on, or none any more. Nothing refused is stored.
    pub fn refuse_appends(&self, refusal: Option<Refusal>) {
        self.state.faults.refuse_appends(refusal);
    }

    /// Refuses appends of more bytes than this from now on; 1 MiB to begin with.
    pub fn limit_appends(&self, bytes: usize) {
        self.state.faults.set_append_limit(bytes);
    }

    /// Gives readings of `$all` every event from now on, whatever filter they have; the real server does that to none.
    pub fn ignore_filters(&self, ignores: bool) {
        self.state.faults.ignore_filters(ignores);
    }

    /// Takes connections and never answers, or answers again what was asked meanwhile.
    pub fn hang(&self, is_hanging: bool) {
        self.state.faults.hang(is_hanging);
    }

    /// Loses everything behind a position, and all connections, as when a backup is restored. New events take the positions again.
    pub fn set_back(&self, position: u64) {
        self.state.log().set_back(position);
        self.state.connections.cut();
    }

    /// Puts other bytes in the place of an event's data, as damage on disk would.
    ///
    /// # Panics
    ///
    /// When there is no such event.
    pub fn replace_event_bytes(&self, stream: &str, revision: u64, bytes: impl Into<Bytes>) {
        let replaced = self.state.log().replace_data(stream, revision, bytes.into());
        assert!(replaced, "{stream} has no event {revision}");
    }

    /// The position of the newest event of all streams, the server's own counted.
    pub fn position(&self) -> u64 {
        self.state.log().last().commit
    }

    /// How many appends it decided on so far, conflicts and repetitions counted, refused ones not.
    pub fn appends(&self) -> u64 {
        self.state.faults.appends()
    }

    /// How many readings were begun so far, subscriptions counted.
    pub fn reads(&self) -> u64 {
        self.state.faults.reads()
    }
}

fn reserve(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    Ok(socket)
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its threads is not allowed in a test that is asynchronous itself.
            runtime.shutdown_background();
        }
    }
}
