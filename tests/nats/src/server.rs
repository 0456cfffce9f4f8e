//! A server of the test's own.

use std::fs::{self, File, OpenOptions};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use honoken_test_servers::{PATIENCE, eventually, free_port};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::program;

/// Ports to try before the first start is given up: a free one may be taken before the server has it.
const PORTS: usize = 5;

/// A NATS server with JetStream that can be stopped, killed and started again, at the same address and with the same store. It answers on
/// 127.0.0.1 only and trusts everybody there. Dropping this kills the server and removes everything.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    /// Further settings, in the server's own format.
    settings: String,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// A new server, running.
    ///
    /// # Panics
    ///
    /// When `nats-server` is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// A new server with further settings in its own format, such as `tls { … }`; the paths in it are absolute.
    ///
    /// # Panics
    ///
    /// When `nats-server` is not installed or does not start.
    pub async fn start_with(settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("honoken-nats-").tempdir().expect("a temporary folder");
        let mut server = Self { folder, settings: settings.to_owned(), port: 0, process: None };
        for _ in 0..PORTS {
            server.port = free_port();
            if server.starts().await.is_ok() {
                return server;
            }
        }
        panic!("the server does not start:\n{}", server.log());
    }

    /// Where it is, `nats://…`: the same after it was started again.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the server in order. Does nothing when it is not running.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn stop(&mut self) {
        let Some(process) = self.process.take() else { return };
        // SIGINT. What the program calls `stop` is SIGKILL.
        let order = format!("quit={}", process.id());
        let status = Command::new(program::nats_server()).arg("--signal").arg(order).status();
        assert!(status.expect("the program runs").success(), "the server cannot be told to stop");
        ends(process).await;
    }

    /// Kills the server as `kill -9` does. Does nothing when it is not running.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.kill().expect("the server can be killed");
        ends(process).await;
    }

    /// Starts the server again at the same address and with the same store, after [`stop`](Self::stop) or [`kill`](Self::kill), and waits
    /// until it answers.
    ///
    /// # Panics
    ///
    /// When it is running, or does not start.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "the server is running");
        let deadline = Instant::now() + PATIENCE;
        // The port may be taken for a while by the client side of some other connection.
        while let Err(status) = self.starts().await {
            assert!(Instant::now() < deadline, "the server ended with {status}:\n{}", self.log());
        }
    }

    /// Stops the server where it is (SIGSTOP), as a machine does that hangs: the system goes on taking what is sent to it, and nobody answers.
    ///
    /// # Panics
    ///
    /// When the server is not running.
    pub fn freezes(&self) {
        let process = self.process.as_ref().expect("the server is running").id();
        let kill =
            Command::new("/bin/bash").args(["-c", "kill -s STOP \"$0\"", &process.to_string()]).status();
        assert!(kill.is_ok_and(|status| status.success()), "SIGSTOP could not be sent");
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log.txt")
    }

    /// Starts the server and waits until it answers; `Err` when it ends instead.
    async fn starts(&mut self) -> Result<(), ExitStatus> {
        let mut command = Command::new(program::nats_server());
        command.args(["--addr", "127.0.0.1", "--port", &self.port.to_string(), "--jetstream", "--store_dir"]);
        command.arg(self.folder.path().join("store"));
        let file = self.folder.path().join("settings.conf");
        fs::write(&file, &self.settings).expect("a file for the settings");
        command.arg("--config").arg(file);
        command.current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(self.appends_to_log());
        let process = self.process.insert(command.spawn().expect("the server starts"));
        let port = self.port;
        let started = eventually("the server answers", async || {
            let ended = process.try_wait().expect("the process can be asked");
            match ended {
                Some(status) => Some(Err(status)),
                None => answers(port).await.then_some(Ok(())),
            }
        });
        let started = started.await;
        if started.is_err() {
            self.process = None;
        }
        started
    }

    fn appends_to_log(&self) -> File {
        let opened = OpenOptions::new().create(true).append(true).open(self.log_file());
        opened.expect("a file for the log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // What fails here has ended already. The folder goes next, so nobody may write to it any more.
        drop(process.kill());
        drop(process.wait());
    }
}

async fn ends(mut process: Child) {
    eventually("the end of the server", async || process.try_wait().expect("the process can be asked")).await;
}

/// Whether somebody at this port greets as a NATS server with JetStream does.
async fn answers(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return false };
    let mut greeting = String::new();
    let read = BufReader::new(stream).read_line(&mut greeting).await;
    read.is_ok() && greeting.starts_with("INFO ") && greeting.contains("\"jetstream\":true")
}
