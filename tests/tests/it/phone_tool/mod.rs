//! `honoken phone` and `honoken phones` against our own service, and against services that are not quite right.

mod between;
mod broken;
mod changes;
mod fleet;
mod usage;

use std::path::PathBuf;
use std::process::{Output, Stdio};

use honoken_tests::waiting::PATIENCE;
use honoken_tests::{Honoken, Integrator};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::a_service;

const SERIAL: &str = "A-1";

/// A running service, a pass of it in a file, and its integrator.
struct Scene {
    honoken: Honoken,
    integrator: Integrator,
    pass: PathBuf,
    token: String,
}

/// What a run of the tool ended with.
struct Ran {
    code: Option<i32>,
    report: Value,
    stderr: String,
}

impl Scene {
    async fn is_set() -> Self {
        let honoken = a_service().await;
        let integrator = honoken.integrator();
        integrator.issues(SERIAL).await;
        let pass = honoken.home().folder().join("ticket.pkpass");
        std::fs::write(&pass, integrator.downloads(SERIAL).await).expect("a file");
        let token = integrator.credentials(SERIAL).await.token;
        Self { honoken, integrator, pass, token }
    }

    fn url(&self) -> String {
        self.honoken.url("")
    }

    /// `honoken phone --pass …` with further arguments.
    fn phone(&self, arguments: &[&str]) -> Command {
        self.tool("phone", arguments)
    }

    /// `honoken phones --pass …` with further arguments.
    fn phones(&self, arguments: &[&str]) -> Command {
        self.tool("phones", arguments)
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.honoken.home().command(&[name]);
        command.arg("--pass").arg(&self.pass).args(arguments);
        command
    }

    /// Tries out a service and reads the verdicts.
    async fn tries_out(&self, server: &str, arguments: &[&str]) -> Ran {
        let arguments = [&["--json", "--timeout", "2", "--server", server][..], arguments].concat();
        self.reads(&output(self.phone(&arguments)).await)
    }

    /// Reads what the tool printed. Whatever it was asked, it keeps the token to itself.
    #[track_caller]
    fn reads(&self, output: &Output) -> Ran {
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| text(bytes));
        assert!(!stdout.contains(&self.token) && !stderr.contains(&self.token), "the token is shown");
        let report =
            serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
        Ran { code: output.status.code(), report, stderr }
    }

    /// How many phones are registered, as the integrator sees it.
    async fn registrations(&self) -> u64 {
        self.integrator.state(SERIAL).await["registrations"].as_u64().expect("a number")
    }
}

impl Ran {
    /// The ids of the rules with this verdict.
    fn rules(&self, verdict: &str) -> Vec<&str> {
        let rules = self.report["rules"].as_array().expect("the rules");
        let found = rules.iter().filter(|rule| rule["verdict"] == verdict);
        found.map(|rule| rule["id"].as_str().expect("an id")).collect()
    }

    /// What was seen where a rule was broken.
    #[track_caller]
    fn seen(&self, id: &str) -> &str {
        let rules = self.report["rules"].as_array().expect("the rules");
        let rule = rules.iter().find(|rule| rule["id"] == id).unwrap_or_else(|| panic!("no rule {id}"));
        rule["seen"].as_str().unwrap_or_else(|| panic!("not broken: {rule}"))
    }
}

async fn output(mut command: Command) -> Output {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    output.expect("it ends in time").expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Starts a command and waits until it says on its standard error that it waits.
async fn starts_and_waits(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let stderr = child.stderr.as_mut().expect("a pipe");
    let mut lines = BufReader::new(stderr).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it waits in time");
    let line = line.expect("a line").expect("a line before its end");
    assert!(line.contains("change the pass now"), "{line}");
    child
}

async fn ends(child: Child) -> Output {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    output.expect("it ends in time").expect("its output")
}
