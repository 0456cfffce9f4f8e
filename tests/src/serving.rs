//! A running `honoken serve`, one of possibly many on the same folder and database.

use std::fs;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use honoken_simulator::{Answer, HttpClient};
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;
use tokio::process::{Child, Command};

use crate::process::{Process, reads_ready_file};
use crate::server::{Ready, Setting, X_REQUEST_ID, keeps_output, line_with, mark, printed};
use crate::{DeviceRoutes, Integrator, Operator, Scrape};

/// What the ready file of `serve` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServeReady {
    /// Where it answers, `http://127.0.0.1:PORT`; `None` when none of its roles does.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Where files are kept.
    pub data_dir: PathBuf,
    /// Where operators are answered, if that is elsewhere.
    #[serde(default)]
    pub admin_url: Option<String>,
}

/// How to start a `serve`: [`Home::serve`](crate::server::Home::serve) begins with every role, any free port, and the
/// data folder of the home.
#[derive(Debug, Clone)]
pub struct Serve {
    setting: Setting,
    name: String,
    roles: Option<String>,
    listen: String,
    data_dir: PathBuf,
    variables: Vec<(String, String)>,
    open_files: Option<u32>,
    stderr_is_piped: bool,
}

/// The program as `serve`, running. Dropping it kills it; a test that panics shows what it printed.
#[derive(Debug)]
pub struct Serving {
    serve: Serve,
    process: Process,
    ready: ServeReady,
}

impl Serve {
    pub(crate) fn new(setting: Setting, name: &str, data_dir: PathBuf) -> Self {
        let listen = "127.0.0.1:0".to_owned();
        Self {
            setting,
            name: name.to_owned(),
            roles: None,
            listen,
            data_dir,
            variables: vec![
                // Nothing that a test does may reach Apple.
                ("HONOKEN_APNS_ENDPOINT".to_owned(), "https://127.0.0.1:1".to_owned()),
                // Many tests look at the metrics.
                ("HONOKEN_METRICS_LISTEN".to_owned(), "public".to_owned()),
            ],
            open_files: None,
            stderr_is_piped: false,
        }
    }

    /// Another program than that of the home: another release.
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.setting.program = program.into();
        self
    }

    /// With these roles only, as `--roles` takes them.
    #[must_use]
    pub fn with_roles(mut self, roles: &str) -> Self {
        self.roles = Some(roles.to_owned());
        self
    }

    /// At this address, `127.0.0.1:PORT`.
    #[must_use]
    pub fn listening_at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// With another data folder than the other processes, as on another machine.
    #[must_use]
    pub fn in_data_dir(mut self, data_dir: impl Into<PathBuf>) -> Self {
        self.data_dir = data_dir.into();
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a limit on open files, sockets included.
    #[must_use]
    pub fn with_open_files(mut self, files: u32) -> Self {
        self.open_files = Some(files);
        self
    }

    /// With standard error in a pipe, which the test reads or does not: [`Process::takes_stderr`] gives its other end.
    #[must_use]
    pub fn with_stderr_piped(mut self) -> Self {
        self.stderr_is_piped = true;
        self
    }

    /// The folder of its ready file and its output.
    pub fn folder(&self) -> PathBuf {
        self.setting.folder().join(&self.name)
    }

    /// The ready file.
    pub fn ready_file(&self) -> PathBuf {
        self.folder().join("ready.json")
    }

    /// The ready file, once it is there.
    pub fn reads_ready_file(&self) -> Option<ServeReady> {
        reads_ready_file(&self.ready_file())
    }

    /// The command itself, for a start that is refused: nothing is waited for, and its output is the caller's.
    ///
    /// # Panics
    ///
    /// When its folder cannot be made.
    pub fn command(&self) -> Command {
        fs::create_dir_all(self.folder()).expect("a folder for the process");
        let arguments = ["serve", "--listen", &self.listen];
        let mut command = match self.open_files {
            None => self.setting.command(&arguments),
            Some(files) => self.setting.command_with_open_files(files, &arguments),
        };
        if let Some(roles) = &self.roles {
            command.args(["--roles", roles]);
        }
        command.arg("--data-dir").arg(&self.data_dir).arg("--ready-file").arg(self.ready_file());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the process, its output kept, and waits for nothing.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn spawns(&self) -> Child {
        let mut command = self.command();
        keeps_output(&mut command, &self.folder());
        if self.stderr_is_piped {
            command.stderr(Stdio::piped());
        }
        command.spawn().expect("the program starts")
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it ends instead.
    pub async fn start(self) -> Serving {
        match Process::starts(&self.ready_file(), || self.spawns()).await {
            Ok((process, ready)) => Serving { serve: self, process, ready },
            Err(status) => {
                panic!("{} ended with {status} instead of starting:\n{}", self.name, self.output())
            }
        }
    }

    /// What all processes of this name have printed.
    pub fn output(&self) -> String {
        ["stdout.txt", "stderr.txt"].map(|name| printed(&self.folder(), name)).join("\n")
    }
}

impl Serving {
    /// Kills the process as `kill -9` does.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Asks the process to end and waits for it.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Stops the process where it is, as a machine does that hangs.
    pub async fn pauses(&self) {
        self.process.pauses().await;
    }

    /// Lets a paused process go on.
    pub async fn resumes(&self) {
        self.process.resumes().await;
    }

    /// The process, for what else can be done to it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts again with the same roles, and at the same address if it had one, after [`kill`](Self::kill) or
    /// [`terminate`](Self::terminate).
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart(&mut self) {
        if let Some(address) = self.ready.base_url.as_deref().map(address) {
            address.clone_into(&mut self.serve.listen);
        }
        let started = Process::starts_again(&self.serve.ready_file(), || self.serve.spawns()).await;
        (self.process, self.ready) = started.unwrap_or_else(|status| {
            let Serve { name, .. } = &self.serve;
            panic!("{name} ended with {status} instead of starting again:\n{}", self.output())
        });
    }

    /// What the ready file says.
    pub fn ready(&self) -> &ServeReady {
        &self.ready
    }

    /// What all processes of this name have printed.
    pub fn output(&self) -> String {
        self.serve.output()
    }

    /// Waits for a line with these words: lines come a moment after their answer.
    pub async fn logs(&self, words: &str) -> String {
        line_with(words, || self.output()).await
    }

    /// Everything that was printed up to now.
    pub async fn output_so_far(&self) -> String {
        // What is refused has a line, and lines keep their order.
        let id = mark();
        let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::try_from(&id).expect("a header"))]);
        self.request(Method::GET, "/nowhere", headers, "").await;
        self.logs(&id).await;
        self.output()
    }

    /// The folder of its ready file and its output.
    pub fn folder(&self) -> PathBuf {
        self.serve.folder()
    }

    /// Where it answers, `http://127.0.0.1:PORT`.
    ///
    /// # Panics
    ///
    /// When none of its roles answers.
    pub fn base_url(&self) -> &str {
        self.ready.base_url.as_deref().expect("a role that answers requests").trim_end_matches('/')
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        address(self.base_url())
    }

    /// An absolute address for a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
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

    /// The device routes below `/v1`.
    pub fn devices(&self) -> DeviceRoutes {
        DeviceRoutes::below(self.url("/v1"))
    }

    /// An integrator who asks this process, with the key that `dev` made on the same database.
    pub fn integrator(&self, known: &Ready) -> Integrator {
        Integrator::new(&self.as_known(known))
    }

    /// An operator who asks this process, with the password that `dev` made in the same data folder.
    pub fn operator(&self, known: &Ready) -> Operator {
        Operator::new(&self.as_known(known))
    }

    /// What somebody knows who asks this process, and knows the secrets that `dev` made in the same data folder.
    pub fn as_known(&self, known: &Ready) -> Ready {
        Ready { base_url: self.base_url().to_owned(), ..known.clone() }
    }
}

/// Host and port of a base URL.
fn address(base_url: &str) -> &str {
    base_url.strip_prefix("http://").expect("an http URL").trim_end_matches('/')
}

impl Drop for Serving {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the test runner shows it with the failed test")]
            {
                eprintln!("--- {} printed:\n{}\n---", self.serve.name, self.output());
            }
        }
    }
}
