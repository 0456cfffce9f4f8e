//! A running `honoken dev` with a folder of its own.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use honoken_simulator::{Answer, HttpClient};
use honoken_test_postgres::Database;
use http::{HeaderMap, HeaderName, Method};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use honoken_test_kurrentdb::Kurrent;

use crate::engine::has_log_on_kurrentdb;
use crate::process::{Process, reads_ready_file};
use crate::serving::Serve;
use crate::waiting::{PATIENCE, eventually};
use crate::{DeviceRoutes, Engine, Integrator, Operator, Scrape, Storage};

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

/// A folder that outlives the processes that work in it, on Postgres with a database of its own, and how to start them.
#[derive(Debug)]
pub struct Home {
    setting: Setting,
    keeping: Keeping,
    /// The server with the event log, if it is not in the database.
    event_store: Option<Kurrent>,
    folder: TempDir,
}

/// What every process of a home has in common.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) program: PathBuf,
    folder: PathBuf,
    database_url: Option<String>,
    variables: Vec<(String, String)>,
}

/// Where the log and the tables are.
#[derive(Debug)]
enum Keeping {
    DataFolder,
    /// Dropped with the home.
    Own(Database),
    Elsewhere(String),
}

/// The program, running. Dropping it kills it; a test that panics shows what it printed.
#[derive(Debug)]
pub struct Honoken {
    // Before the home, so that it ends before its database does.
    process: Process,
    home: Home,
    ready: Ready,
}

impl Setting {
    /// The program with arguments, in an environment that says nothing but where the database is, if there is one.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.prepared(Command::new(&self.program), arguments)
    }

    /// Like [`command`](Self::command), with a limit on open files, sockets included.
    pub(crate) fn command_with_open_files(&self, files: u32, arguments: &[&str]) -> Command {
        let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        let program = self.program.to_str().expect("the path of the program is text");
        let mut command = self.prepared(Command::new("/bin/bash"), &["-c", &script, program]);
        command.args(arguments);
        command
    }

    fn prepared(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).env_clear().current_dir(&self.folder).kill_on_drop(true);
        command.envs(self.database_url.iter().map(|url| ("DATABASE_URL", url)));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// The folder around everything.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Home {
    /// An empty folder for `program`, and on Postgres an empty database; [`Engine::chosen`] says which. The event log may be on a server of its own
    /// ([`has_log_on_kurrentdb`]).
    pub async fn new(program: impl Into<PathBuf>) -> Self {
        let mut home = Self::on(Engine::chosen(), program).await;
        if has_log_on_kurrentdb() {
            let server = Kurrent::start();
            home = home.with_variable("HONOKEN_EVENT_STORE_URL", server.url_of_a_log());
            home.event_store = Some(server);
        }
        home
    }

    /// An empty folder for `program`, for a test that insists on an engine.
    pub async fn on(engine: Engine, program: impl Into<PathBuf>) -> Self {
        let keeping = match engine {
            Engine::Sqlite => Keeping::DataFolder,
            Engine::Postgres => Keeping::Own(honoken_test_postgres::database().await),
        };
        Self::keeping(keeping, program.into())
    }

    /// An empty folder for `program`, with a database that is somewhere else and outlives it.
    pub fn with_database(url: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self::keeping(Keeping::Elsewhere(url.into()), program.into())
    }

    fn keeping(keeping: Keeping, program: PathBuf) -> Self {
        let folder = tempfile::Builder::new().prefix("honoken-test-").tempdir().expect("a temporary folder");
        let database_url = match &keeping {
            Keeping::DataFolder => None,
            Keeping::Own(database) => Some(database.url().to_owned()),
            Keeping::Elsewhere(url) => Some(url.clone()),
        };
        let setting =
            Setting { program, folder: folder.path().to_owned(), database_url, variables: Vec::new() };
        Self { setting, keeping, event_store: None, folder }
    }

    /// With a variable in the environment of every command and process from now on.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.setting.variables.push((name.to_owned(), value.into()));
        self
    }

    /// A variable of the environment, as it was set last.
    pub fn variable(&self, name: &str) -> Option<String> {
        let set = self.setting.variables.iter().rev().find(|(variable, _)| variable == name);
        set.map(|(_, value)| value.clone())
    }

    /// What the log and the tables are kept in.
    pub fn engine(&self) -> Engine {
        match self.keeping {
            Keeping::DataFolder => Engine::Sqlite,
            Keeping::Own(_) | Keeping::Elsewhere(_) => Engine::Postgres,
        }
    }

    /// Where the database is; `None` on SQLite.
    pub fn database_url(&self) -> Option<&str> {
        self.setting.database_url.as_deref()
    }

    /// A look into the log and the tables. A log on a server of its own cannot be looked into.
    pub fn storage(&self) -> Storage {
        match self.database_url() {
            None => Storage::Sqlite { data_dir: self.data_dir() },
            Some(url) => Storage::Postgres { url: url.to_owned() },
        }
    }

    /// A copy of everything, made while no process is at work, in a home of its own where it can be used at once: on SQLite the files,
    /// on Postgres a dump that was read into another database.
    ///
    /// # Panics
    ///
    /// When it cannot be copied.
    pub async fn is_backed_up(&self) -> Self {
        let backup = Self::on(self.engine(), &self.setting.program).await;
        copy_folder(&self.data_dir(), &backup.data_dir());
        if let (Some(from), Some(to)) = (self.database_url(), backup.database_url()) {
            honoken_test_postgres::copy(from, to);
        }
        backup
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

    /// Waits until the program has printed this. Its lines are written behind what they are about.
    ///
    /// # Panics
    ///
    /// When that takes too long.
    pub async fn prints(&self, text: &str) {
        eventually(PATIENCE, text, async || self.output().contains(text).then_some(())).await;
    }

    /// What all processes in this folder have printed.
    pub fn output(&self) -> String {
        ["stdout.txt", "stderr.txt"].map(|name| self.printed(name)).join("\n")
    }

    /// What all processes in this folder have printed to `stdout.txt` or `stderr.txt`.
    pub fn printed(&self, name: &str) -> String {
        printed(self.folder(), name)
    }

    fn program(&self) -> &Path {
        &self.setting.program
    }

    /// The program with arguments, in an environment that says nothing but where the database is, if there is one.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.setting.command(arguments)
    }

    /// Runs a command on the data folder that ends by itself, such as `["migrate"]`.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn runs(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.arg("--data-dir").arg(self.data_dir());
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        output.expect("the command ends in time").expect("the program starts")
    }

    /// How to start a `serve` on this folder and database. The name tells it from others: its ready file and its output
    /// are in a folder of that name.
    pub fn serve(&self, name: &str) -> Serve {
        Serve::new(self.setting.clone(), name, self.data_dir())
    }

    /// `dev` on this folder, listening at `listen`, its output kept.
    ///
    /// # Panics
    ///
    /// When the process cannot be started.
    pub fn spawns(&self, listen: &str) -> Child {
        self.spawns_with(self.command(&[]), listen)
    }

    /// Like [`spawns`](Self::spawns), with files limited to `kibibytes` so that a write beyond fails as on a full disk, until
    /// [`Process::has_room_again`].
    ///
    /// # Panics
    ///
    /// When the process cannot be started.
    pub fn spawns_with_files_limited_to(&self, kibibytes: u64, listen: &str) -> Child {
        let script = format!("trap '' XFSZ; ulimit -S -f {kibibytes}; exec \"$0\" \"$@\"");
        let program = self.setting.program.to_str().expect("the path of the program is text");
        self.spawns_with(self.setting.prepared(Command::new("/bin/bash"), &["-c", &script, program]), listen)
    }

    fn spawns_with(&self, mut command: Command, listen: &str) -> Child {
        command.args(["dev", "--listen", listen, "--data-dir"]).arg(self.data_dir());
        command.arg("--ready-file").arg(self.ready_file());
        keeps_output(&mut command, self.folder());
        command.spawn().expect("the program starts")
    }

    /// The ready file, once it is there. It is written atomically, so a half of it is a mistake.
    ///
    /// # Panics
    ///
    /// When it does not parse.
    pub fn reads_ready_file(&self) -> Option<Ready> {
        reads_ready_file(&self.ready_file())
    }
}

impl Honoken {
    /// Starts `program` as `dev` in a new folder and waits until it answers.
    pub async fn start(program: &str) -> Self {
        Self::start_in(Home::new(program).await).await
    }

    /// Starts `program` as `dev` in a folder that holds nothing but the development certificates of an earlier start.
    /// They are kept in `cache`, anew for every build of the program.
    pub async fn start_with_certificates(program: &str, cache: &Path) -> Self {
        Self::start_in_with_certificates(Home::new(program).await, cache).await
    }

    /// Like [`start_with_certificates`](Self::start_with_certificates), in a new home of the test's choice.
    ///
    /// # Panics
    ///
    /// When files cannot be copied.
    pub async fn start_in_with_certificates(home: Home, cache: &Path) -> Self {
        let build = fs::metadata(home.program()).expect("the program is there");
        let built_at = build.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let kept =
            cache.join(format!("certificates-{}-{}", built_at.unwrap_or_default().as_nanos(), build.len()));
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
        match Process::starts(&home.ready_file(), || home.spawns("127.0.0.1:0")).await {
            Ok((process, ready)) => Self { process, home, ready },
            Err(status) => panic!("the program ended with {status} instead of starting:\n{}", home.output()),
        }
    }

    /// Kills the process as `kill -9` does.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Asks the process to end and waits for it.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Sends SIGTERM.
    pub async fn asks_to_end(&self) {
        self.process.asks_to_end().await;
    }

    /// Waits for the end of the process.
    pub async fn ends(&mut self) -> ExitStatus {
        self.process.ends().await
    }

    /// The process, for what else can be done to it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
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

    /// Sets a variable for all starts from now on.
    pub fn has_variable(&mut self, name: &str, value: impl Into<String>) {
        self.home.setting.variables.push((name.to_owned(), value.into()));
    }

    /// Like [`restart`](Self::restart), with files limited to `kibibytes`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart_with_files_limited_to(&mut self, kibibytes: u64) {
        self.restarts_as(|home, listen| home.spawns_with_files_limited_to(kibibytes, listen)).await;
    }

    async fn restarts_as(&mut self, spawn: impl Fn(&Home, &str) -> Child) {
        let listen = self.address().to_owned();
        let started = Process::starts_again(&self.home.ready_file(), || spawn(&self.home, &listen)).await;
        (self.process, self.ready) = started.unwrap_or_else(|status| {
            panic!("the program ended with {status} instead of starting again:\n{}", self.home.output())
        });
    }

    /// The process is still there.
    pub fn assert_alive(&mut self) {
        self.process.assert_alive();
    }

    /// The folder and what is in it.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// A look into the log and the tables.
    pub fn storage(&self) -> Storage {
        self.home.storage()
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

    /// Waits for a line with these words: lines come a moment after their answer.
    pub async fn logs(&self, words: &str) -> String {
        line_with(words, || self.home.output()).await
    }

    /// Everything that was printed up to now.
    pub async fn output_so_far(&self) -> String {
        // What is refused has a line, and lines keep their order.
        let id = mark();
        let headers = [("x-request-id", id.as_str())];
        self.integrator().request(Method::GET, "/manage/v1/passes/no/where", &headers, "").await;
        self.logs(&id).await;
        self.home.output()
    }

    /// What is counted now.
    pub async fn metrics(&self) -> Scrape {
        Scrape::of(&self.url("/metrics")).await
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

/// Appends what a process prints to `stdout.txt` and `stderr.txt` in a folder.
pub(crate) fn keeps_output(command: &mut Command, folder: &Path) {
    let [stdout, stderr] = ["stdout.txt", "stderr.txt"].map(|name| {
        let opened = OpenOptions::new().create(true).append(true).open(folder.join(name));
        opened.expect("a file for the output")
    });
    command.stdout(stdout).stderr(stderr);
}

/// The header with the id of a request.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An id for a request that no other has.
pub(crate) fn mark() -> String {
    static MARKS: AtomicU64 = AtomicU64::new(0);
    format!("mark-{}-", MARKS.fetch_add(1, Ordering::Relaxed))
}

/// Waits for a line with these words.
pub(crate) async fn line_with(words: &str, output: impl Fn() -> String) -> String {
    eventually(PATIENCE, &format!("a line with {words:?}"), async || {
        output().lines().find(|line| line.contains(words)).map(str::to_owned)
    })
    .await
}

/// What processes have printed to a file in a folder.
pub(crate) fn printed(folder: &Path, name: &str) -> String {
    String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap_or_default()).into_owned()
}

/// Copies what is below a folder.
///
/// # Panics
///
/// When a file cannot be copied.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder for the copy");
    for entry in fs::read_dir(from).expect("a folder to copy") {
        let entry = entry.expect("its entries can be read");
        let copy = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &copy);
        } else if entry.path().is_file() {
            fs::copy(entry.path(), copy).expect("a file is copied");
        }
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
