//! A server of the test's own.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use honoken_test_servers::{PATIENCE, eventually, free_port};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::{database, programs};

/// Ports to try before the first start is given up: a free one may be taken before the server has it.
const PORTS: usize = 5;

/// A Postgres server that can be stopped, killed and started again, at the same address. It answers on 127.0.0.1 only, trusts every client
/// there, and syncs its commits. Dropping this kills the server and removes everything.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    port: u16,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    postmaster: Child,
    /// A pipe that no process writes to. All processes of the server inherit its other end, so it ends when the last of them does.
    lifeline: ChildStdout,
}

impl Cluster {
    /// A new server, running.
    ///
    /// # Panics
    ///
    /// When Postgres is not installed or does not start.
    pub async fn start() -> Self {
        let mut cluster = Self { folder: programs::folder(), port: 0, server: None };
        let mut initdb = programs::command("initdb", cluster.folder.path());
        let arguments = ["-N", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"];
        programs::runs(initdb.args(arguments).arg(cluster.data()));
        for _ in 0..PORTS {
            cluster.port = free_port();
            if cluster.starts().await.is_ok() {
                return cluster;
            }
        }
        panic!("the server does not start:\n{}", cluster.log());
    }

    /// Where one of its databases is. `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and says where it is.
    ///
    /// # Panics
    ///
    /// When the server is not running.
    pub async fn create_database(&self) -> String {
        let server = Url::parse(&self.url("postgres")).expect("a URL");
        let (_, url) = database::create(&server).await;
        url
    }

    /// Stops the server in order, but without waiting for its clients. Does nothing when it is not running.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn stop(&mut self) {
        let Some(server) = self.server.take() else { return };
        let mut pg_ctl = programs::command("pg_ctl", self.folder.path());
        // It does not wait, because the end of the server is for its parent to see.
        programs::runs(pg_ctl.args(["stop", "--mode=fast", "--no-wait", "--silent", "-D"]).arg(self.data()));
        server.ends().await;
    }

    /// Kills the server as `kill -9` does and waits until none of its processes is left. Does nothing when it is not
    /// running.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        server.postmaster.kill().expect("the server can be killed");
        // Its other processes end by themselves as soon as they notice.
        server.ends().await;
    }

    /// Starts the server again at the same address, after [`stop`](Self::stop) or [`kill`](Self::kill), and waits until
    /// it answers.
    ///
    /// # Panics
    ///
    /// When it is running, or does not start.
    pub async fn start_again(&mut self) {
        assert!(self.server.is_none(), "the server is running");
        let deadline = Instant::now() + PATIENCE;
        // The port may be taken for a while by the client side of some other connection.
        while let Err(status) = self.starts().await {
            assert!(Instant::now() < deadline, "the server ended with {status}:\n{}", self.log());
        }
    }

    /// Stops all processes of the server where they are (SIGSTOP), like a machine that hangs. The system goes on taking data for it, and no
    /// process answers. [`thaws`](Self::thaws) lets them go on; nothing else can be done to the server before.
    ///
    /// # Panics
    ///
    /// When the server is not running.
    pub fn freezes(&self) {
        // The postmaster first: then it starts no others.
        let postmaster = self.postmaster();
        signal("STOP", &[postmaster]);
        signal("STOP", &children_of(postmaster));
    }

    /// Lets a frozen server go on (SIGCONT).
    ///
    /// # Panics
    ///
    /// When the server is not running.
    pub fn thaws(&self) {
        let postmaster = self.postmaster();
        signal("CONT", &children_of(postmaster));
        signal("CONT", &[postmaster]);
    }

    fn postmaster(&self) -> u32 {
        self.server.as_ref().expect("the server is running").postmaster.id()
    }

    /// The log output of the server.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log.txt")
    }

    /// Starts the server and waits until it answers; `Err` when it ends instead.
    async fn starts(&mut self) -> Result<(), ExitStatus> {
        let port = format!("port={}", self.port);
        let settings =
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", &port];
        let mut command = programs::command("postgres", self.folder.path());
        command.arg("-D").arg(self.data()).args(settings.iter().flat_map(|setting| ["-c", setting]));
        command.stdout(Stdio::piped()).stderr(self.appends_to_log());
        let mut postmaster = command.spawn().expect("the server starts");
        let lifeline = postmaster.stdout.take().expect("the pipe was asked for");
        let server = self.server.insert(Server { postmaster, lifeline });
        let state_file = self.folder.path().join("data/postmaster.pid");
        let started = eventually("the server accepts connections", async || {
            let ended = server.postmaster.try_wait().expect("the process can be asked");
            let state = fs::read_to_string(&state_file).unwrap_or_default();
            ended.map(Err).or_else(|| is_ready(&state, server.postmaster.id()).then_some(Ok(())))
        });
        let started = started.await;
        if started.is_err() {
            self.server = None;
        }
        started
    }

    fn appends_to_log(&self) -> File {
        let opened = OpenOptions::new().create(true).append(true).open(self.log_file());
        opened.expect("a file for the log output")
    }
}

impl Server {
    /// Waits for the end of all its processes.
    async fn ends(mut self) {
        eventually("the end of the server", async || {
            self.postmaster.try_wait().expect("the process can be asked")
        })
        .await;
        let lifeline = tokio::process::ChildStdout::from_std(self.lifeline);
        let mut lifeline = lifeline.expect("a pipe can be read");
        let ended = timeout(PATIENCE, lifeline.read_to_end(&mut Vec::new())).await;
        ended.expect("all processes of the server end in time").expect("a pipe can be read");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.server.is_some() {
            // One that is frozen would not notice the end of its postmaster.
            self.thaws();
        }
        let Some(mut server) = self.server.take() else { return };
        // A process that cannot be killed has ended already. The folder goes next, so no process may write to it any longer.
        drop(server.postmaster.kill());
        drop(server.postmaster.wait());
        drop(server.lifeline.read_to_end(&mut Vec::new()));
    }
}

/// Whether the state file of a server says that this process is its postmaster and accepts connections.
fn is_ready(state: &str, postmaster: u32) -> bool {
    let line = |number: usize| state.lines().nth(number).unwrap_or_default().trim();
    line(0) == postmaster.to_string() && line(7) == "ready"
}

/// The processes that this one has started, and that are still there.
fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |process: &u32| {
        // A process that ends meanwhile is none.
        let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // Behind the name, which is in brackets and may hold anything, come the state and the parent.
        let (_, behind) = state.rsplit_once(") ").unwrap_or_default();
        behind.split(' ').nth(1) == Some(&parent.to_string())
    };
    let processes = fs::read_dir("/proc").expect("Linux tells which processes there are");
    let processes = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(is_child).collect()
}

fn signal(name: &str, processes: &[u32]) {
    if processes.is_empty() {
        return;
    }
    let ids = processes.iter().map(u32::to_string);
    // The shell has a `kill` of its own. One of them may have ended by itself.
    let kill = Command::new("/bin/bash")
        .args(["-c", "kill -s \"$0\" \"$@\" 2>/dev/null; true", name])
        .args(ids)
        .status();
    assert!(kill.is_ok_and(|status| status.success()), "SIG{name} could not be sent");
}
