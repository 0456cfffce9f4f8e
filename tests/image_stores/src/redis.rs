//! A Redis server of the test's own.

use std::fs::{self, OpenOptions};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use honoken_test_servers::{PATIENCE, eventually, free_port};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The password of every server.
pub const PASSWORD: &str = "a-password-that-nobody-may-see";

/// Names the program, for those who want to test with another one than the machine's.
const VARIABLE: &str = "HONOKEN_TEST_REDIS_SERVER";

/// Ports to try before the first start is given up: a free one may be taken before the server has it.
const PORTS: usize = 5;

/// A Redis server that can be killed and started again, at the same address and with the same content. It answers on 127.0.0.1 only, to those
/// who know the [`PASSWORD`]. Dropping this kills the server and removes everything.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    tls: Option<(PathBuf, PathBuf)>,
    port: u16,
    process: Option<Child>,
}

impl Redis {
    /// A new server, running.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// A new server that speaks TLS alone, with these files: its certificate and the private key.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed or does not start.
    pub async fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        Self::start_with(Some((certificate.to_owned(), key.to_owned()))).await
    }

    async fn start_with(tls: Option<(PathBuf, PathBuf)>) -> Self {
        let folder = tempfile::Builder::new().prefix("honoken-redis-").tempdir().expect("a temporary folder");
        let mut server = Self { folder, tls, port: 0, process: None };
        for _ in 0..PORTS {
            server.port = free_port();
            if server.starts().await.is_ok() {
                return server;
            }
        }
        panic!("the server does not start:\n{}", server.log());
    }

    /// Where it is, with the password: the same after it was started again.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://:{PASSWORD}@127.0.0.1:{}/1", self.port)
    }

    /// Stores a value in database 1, as another program would have.
    ///
    /// # Panics
    ///
    /// When it does not come to that.
    pub async fn has(&self, key: &str, value: &[u8]) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.expect("a connection");
        for command in
            [&[b"AUTH", PASSWORD.as_bytes()][..], &[b"SELECT", b"1"], &[b"SET", key.as_bytes(), value]]
        {
            let mut sent = format!("*{}\r\n", command.len()).into_bytes();
            for part in command {
                sent.extend(format!("${}\r\n", part.len()).into_bytes());
                sent.extend_from_slice(part);
                sent.extend(b"\r\n");
            }
            stream.write_all(&sent).await.expect("it is sent");
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(&answer, b"+OK\r\n", "{}", String::from_utf8_lossy(&answer));
        }
    }

    /// Kills the server as `kill -9` does.
    ///
    /// # Panics
    ///
    /// When it is not running, or takes too long.
    pub async fn kill(&mut self) {
        let mut process = self.process.take().expect("the server is running");
        process.kill().expect("the server can be killed");
        eventually("the end of the server", async || process.try_wait().expect("the process can be asked"))
            .await;
    }

    /// Starts the server again at the same address, with what was stored.
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
    pub fn freezes(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaws(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("the server is running").id();
        let kill = format!("kill -s {name} {process}");
        let sent = Command::new("/bin/bash").args(["-c", &kill]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} could not be sent");
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
        let mut command = Command::new(program());
        // What is acknowledged is in the file: the server may be killed.
        command.args(["--bind", "127.0.0.1", "--requirepass", PASSWORD, "--save", "", "--appendonly", "yes"]);
        command.args(["--appendfsync", "always", "--dir"]).arg(self.folder.path());
        let port = self.port.to_string();
        if let Some((certificate, key)) = &self.tls {
            command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no", "--tls-cert-file"]);
            command.arg(certificate).arg("--tls-key-file").arg(key);
        } else {
            command.args(["--port", &port]);
        }
        let log =
            OpenOptions::new().create(true).append(true).open(self.log_file()).expect("a file for the log");
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
        let process = self.process.insert(command.spawn().expect("the server starts"));
        let port = self.port;
        let started = eventually("the server answers", async || {
            let ended = process.try_wait().expect("the process can be asked");
            match ended {
                Some(status) => Some(Err(status)),
                None => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok().then_some(Ok(())),
            }
        });
        let started = started.await;
        if started.is_err() {
            self.process = None;
        }
        started
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // What fails here has ended already. The folder goes next, so nobody may write to it any more.
        drop(process.kill());
        drop(process.wait());
    }
}

/// What the variable names, else the first in `PATH`.
#[expect(clippy::disallowed_methods, reason = "where programs are is for the environment to say")]
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{VARIABLE} names {}, which is no file", named.display());
        return named;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("redis-server"));
    found.into_iter().find(|program| program.is_file()).unwrap_or_else(|| {
        panic!("redis-server is not installed: `scripts/test` installs it, on Debian and as root; or name it in {VARIABLE}")
    })
}
