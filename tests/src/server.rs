//! A running `honoken dev` with a folder of its own.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::UNIX_EPOCH;

use honoken_simulator::{Answer, HttpClient};
use http::{HeaderMap, Method};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::waiting::{PATIENCE, eventually};
use crate::{DeviceRoutes, Integrator, Operator};

/// The ready file: where the service is, and what a newcomer needs to use it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ready {
    /// Where it answers, `http://127.0.0.1:PORT`.
    pub base_url: String,
    /// The integrator's key.
    pub api_key: String,
    /// The operator's name.
    pub admin_username: String,
    /// The operator's password.
    pub admin_password: String,
    /// The pass type of the sample organisation.
    pub pass_type_identifier: String,
    /// The sample pass.
    pub serial_number: String,
    /// PEM of the root of the development certificates.
    pub ca_file: PathBuf,
    /// Where everything is kept.
    pub data_dir: PathBuf,
}

/// A folder that outlives the processes that work in it, and how to start them.
#[derive(Debug)]
pub struct Home {
    program: PathBuf,
    folder: TempDir,
}

/// The program, running. Dropping it kills it; a test that panics shows what it printed.
#[derive(Debug)]
pub struct Honoken {
    home: Home,
    process: Child,
    ready: Ready,
}

impl Home {
    /// An empty folder for `program`.
    ///
    /// # Panics
    ///
    /// When the folder cannot be made.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let folder = tempfile::Builder::new().prefix("honoken-test-").tempdir().expect("a temporary folder");
        Self { program: program.into(), folder }
    }

    /// The folder around everything: outputs, the ready file, the data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder, which the program makes itself.
    pub fn data_dir(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The ready file.
    pub fn ready_file(&self) -> PathBuf {
        self.folder().join("ready.json")
    }

    /// What all processes in this folder have printed.
    pub fn output(&self) -> String {
        ["stdout.txt", "stderr.txt"].map(|name| self.printed(name)).join("\n")
    }

    /// What all processes in this folder have printed to `stdout.txt` or `stderr.txt`.
    pub fn printed(&self, name: &str) -> String {
        let bytes = fs::read(self.folder().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The program with arguments, in an environment that says nothing.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.prepared(Command::new(&self.program), arguments)
    }

    fn prepared(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).env_clear().current_dir(self.folder()).kill_on_drop(true);
        command.stdin(Stdio::null());
        command
    }

    /// `dev` on this folder, listening at `listen`, its output kept.
    ///
    /// # Panics
    ///
    /// When the process cannot be started.
    pub fn spawns(&self, listen: &str) -> Child {
        self.spawns_with(self.command(&[]), listen)
    }

    /// Like [`spawns`](Self::spawns), with files limited to `kibibytes` so that a write beyond fails as on a full disk.
    ///
    /// # Panics
    ///
    /// When the process cannot be started.
    pub fn spawns_with_files_limited_to(&self, kibibytes: u64, listen: &str) -> Child {
        let script = format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$0\" \"$@\"");
        let program = self.program.to_str().expect("the path of the program is text");
        self.spawns_with(self.prepared(Command::new("/bin/bash"), &["-c", &script, program]), listen)
    }

    fn spawns_with(&self, mut command: Command, listen: &str) -> Child {
        command.args(["dev", "--listen", listen, "--data-dir"]).arg(self.data_dir());
        command.arg("--ready-file").arg(self.ready_file());
        command.stdout(self.appends_to("stdout.txt")).stderr(self.appends_to("stderr.txt"));
        command.spawn().expect("the program starts")
    }

    fn appends_to(&self, name: &str) -> File {
        let path = self.folder().join(name);
        OpenOptions::new().create(true).append(true).open(path).expect("a file for the output")
    }

    /// The ready file, once it is there. It is written atomically, so a half of it is a mistake.
    ///
    /// # Panics
    ///
    /// When it does not parse.
    pub fn reads_ready_file(&self) -> Option<Ready> {
        let text = fs::read_to_string(self.ready_file()).ok()?;
        match serde_json::from_str(&text) {
            Ok(ready) => Some(ready),
            Err(error) => panic!("the ready file is there and cannot be read ({error}): {text}"),
        }
    }

    /// Waits for the ready file of a process; `Err` when the process ends first.
    async fn awaits(&self, process: &mut Child) -> Result<Ready, ExitStatus> {
        eventually(PATIENCE, "the ready file", async || {
            if let Some(ready) = self.reads_ready_file() {
                return Some(Ok(ready));
            }
            process.try_wait().expect("the process can be asked").map(Err)
        })
        .await
    }

    fn forgets_ready_file(&self) {
        match fs::remove_file(self.ready_file()) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
        }
    }
}

impl Honoken {
    /// Starts `program` as `dev` in a new folder and waits until it answers.
    pub async fn start(program: &str) -> Self {
        Self::start_in(Home::new(program)).await
    }

    /// Starts `program` as `dev` in a folder that holds nothing but the development certificates of an earlier start.
    /// They are kept in `cache`, anew for every build of the program.
    ///
    /// # Panics
    ///
    /// When files cannot be copied.
    pub async fn start_with_certificates(program: &str, cache: &Path) -> Self {
        let build = fs::metadata(program).expect("the program is there");
        let built_at = build.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let kept =
            cache.join(format!("certificates-{}-{}", built_at.unwrap_or_default().as_nanos(), build.len()));
        let home = Home::new(program);
        let certificates = home.data_dir().join("certificates");
        if kept.exists() {
            copy_folder(&kept, &certificates);
            return Self::start_in(home).await;
        }
        let honoken = Self::start_in(home).await;
        // Beside its place and then renamed, so that another test finds all of it or nothing. The first one wins.
        let unfinished = tempfile::tempdir_in(cache).expect("a temporary folder");
        copy_folder(&certificates, &unfinished.path().join("certificates"));
        drop(fs::rename(unfinished.path().join("certificates"), kept));
        honoken
    }

    /// Starts the program as `dev` in a folder that may have been used, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it ends instead.
    pub async fn start_in(home: Home) -> Self {
        home.forgets_ready_file();
        let mut process = home.spawns("127.0.0.1:0");
        match home.awaits(&mut process).await {
            Ok(ready) => Self { home, process, ready },
            Err(status) => panic!("the program ended with {status} instead of starting:\n{}", home.output()),
        }
    }

    /// Kills the process as `kill -9` does.
    ///
    /// # Panics
    ///
    /// When the process cannot be killed.
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("the process can be killed");
    }

    /// Asks the process to end and waits for it.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.asks_to_end().await;
        self.ends().await
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    ///
    /// When the process is not there.
    pub async fn asks_to_end(&self) {
        let id = self.process.id().expect("the process is running").to_string();
        // The shell has a `kill` of its own, where the program of that name may be missing.
        let kill = ["-c", "kill -TERM \"$0\"", &id];
        let sent = Command::new("/bin/bash").args(kill).status().await.expect("bash can be started");
        assert!(sent.success(), "SIGTERM could not be sent");
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn ends(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        ended.expect("the process ends in time").expect("the process can be waited for")
    }

    /// Starts again on the same folder and at the same address, after [`kill`](Self::kill) or
    /// [`terminate`](Self::terminate).
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.restarts_as(Home::spawns).await;
    }

    /// Like [`restart`](Self::restart), with files limited to `kibibytes`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart_with_files_limited_to(&mut self, kibibytes: u64) {
        self.restarts_as(|home, listen| home.spawns_with_files_limited_to(kibibytes, listen)).await;
    }

    /// The port may be taken for a moment by the client side of some other connection, so a start that ends at once is
    /// tried again.
    async fn restarts_as(&mut self, spawn: impl Fn(&Home, &str) -> Child) {
        let listen = self.address().to_owned();
        for attempt in 1..=5 {
            self.home.forgets_ready_file();
            self.process = spawn(&self.home, &listen);
            match self.home.awaits(&mut self.process).await {
                Ok(ready) => {
                    self.ready = ready;
                    return;
                }
                Err(status) if attempt == 5 => panic!("the program ended with {status} instead of starting"),
                Err(_) => {}
            }
        }
    }

    /// The process is still there.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn assert_alive(&mut self) {
        let ended = self.process.try_wait().expect("the process can be asked");
        assert_eq!(ended, None, "the process has ended");
    }

    /// The folder and what is in it.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// What the ready file says.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Host and port.
    ///
    /// # Panics
    ///
    /// When the base URL is none.
    pub fn address(&self) -> &str {
        self.ready.base_url.strip_prefix("http://").expect("an http URL").trim_end_matches('/')
    }

    /// An absolute address for a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// A request with no more than is given.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: impl Into<bytes::Bytes>,
    ) -> Answer {
        let answer = HttpClient::new().request(method.clone(), &self.url(path), headers, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    /// The integrator whose key `dev` made.
    pub fn integrator(&self) -> Integrator {
        Integrator::new(&self.ready)
    }

    /// The operator whose password `dev` made.
    pub fn operator(&self) -> Operator {
        Operator::new(&self.ready)
    }

    /// The device routes below `/v1`.
    pub fn devices(&self) -> DeviceRoutes {
        DeviceRoutes::below(self.url("/v1"))
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder for the copy");
    for entry in fs::read_dir(from).expect("a folder to copy") {
        let entry = entry.expect("its entries can be read");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file is copied");
    }
}

impl Drop for Honoken {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test runner shows it with the failed test")]
            {
                eprintln!("--- the program printed:\n{}\n---", self.home.output());
            }
        }
    }
}
