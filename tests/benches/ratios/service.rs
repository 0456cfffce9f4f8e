//! The running program.

use std::process::Stdio;

use honoken_tests::server::{Home, Ready};
use honoken_tests::waiting::{PATIENCE, eventually};
use honoken_tests::{Credentials, DeviceRoutes, Engine, Integrator};
use tokio::process::Child;

use crate::PROGRAM;
use crate::asking::{Target, get};

/// `honoken dev` in a folder of its own, which logs no requests that succeed. It is killed when this is dropped.
pub(crate) struct Service {
    process: Child,
    pub(crate) home: Home,
    pub(crate) ready: Ready,
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
}

impl Service {
    pub(crate) async fn starts(engine: Engine) -> Self {
        Self::starts_in(Home::on(engine, PROGRAM).await).await
    }

    /// The same in this folder, with its variables.
    pub(crate) async fn starts_in(home: Home) -> Self {
        // A server of files is asked without a log as well.
        let process = home
            .command(&["dev", "--listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(home.data_dir())
            .arg("--ready-file")
            .arg(home.ready_file())
            .env("LOG_SAMPLE_SUCCESS_RATE", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let ready = eventually(PATIENCE, "the ready file", async || home.reads_ready_file()).await;
        let host = ready.base_url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { process, home, ready, host }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id().expect("the program is running")
    }

    pub(crate) fn integrator(&self) -> Integrator {
        Integrator::new(&self.ready)
    }

    /// A phone's question for a pass.
    pub(crate) fn question(&self, pass: &Credentials, headers: &[(&str, &str)]) -> Vec<u8> {
        let path = format!("/v1{}", DeviceRoutes::below(String::new()).pass_path(pass));
        let authorization = pass.authorization();
        let headers = [&[("authorization", authorization.as_str())], headers].concat();
        get(&self.host, &path, &headers)
    }

    /// This program, asked these questions.
    pub(crate) fn target(&self, questions: Vec<Vec<u8>>, expected: (u16, usize)) -> Target {
        Target { process: self.id(), host: self.host.clone(), questions, expected }
    }
}
