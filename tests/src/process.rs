//! A process of the program, and the file that says that it is ready.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;

use serde::de::DeserializeOwned;
use tokio::process::{Child, ChildStderr, Command};

use crate::waiting::{PATIENCE, eventually};

/// How often a start is tried at an address that was used before: its port may be taken for a moment by the client side
/// of some other connection.
const ATTEMPTS: usize = 5;

/// A process that signals are sent to. Dropping it kills it.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// A process that was started in some other way, and need never be ready.
    pub fn of(child: Child) -> Self {
        Self(child)
    }

    /// Starts a process with this function and waits for its ready file; `Err` when it ends first.
    pub(crate) async fn starts<R: DeserializeOwned>(
        ready_file: &Path,
        spawn: impl Fn() -> Child,
    ) -> Result<(Self, R), ExitStatus> {
        forgets(ready_file);
        let mut process = spawn();
        let ready = eventually(PATIENCE, "the ready file", async || {
            if let Some(ready) = reads_ready_file(ready_file) {
                return Some(Ok(ready));
            }
            process.try_wait().expect("the process can be asked").map(Err)
        });
        let ready = ready.await?;
        Ok((Self(process), ready))
    }

    /// Like [`starts`](Self::starts), at an address that was used before.
    pub(crate) async fn starts_again<R: DeserializeOwned>(
        ready_file: &Path,
        spawn: impl Fn() -> Child,
    ) -> Result<(Self, R), ExitStatus> {
        for _ in 1..ATTEMPTS {
            if let Ok(started) = Self::starts(ready_file, &spawn).await {
                return Ok(started);
            }
        }
        Self::starts(ready_file, &spawn).await
    }

    /// Kills the process as `kill -9` does.
    ///
    /// # Panics
    ///
    /// When the process cannot be killed.
    pub async fn kill(&mut self) {
        self.0.kill().await.expect("the process can be killed");
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
        self.gets_signal("TERM").await;
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    ///
    /// When it takes too long.
    pub async fn ends(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.0.wait()).await;
        ended.expect("the process ends in time").expect("the process can be waited for")
    }

    /// Stops the process where it is (SIGSTOP), as a machine does that hangs. Its sockets stay open.
    ///
    /// # Panics
    ///
    /// When the process is not there.
    pub async fn pauses(&self) {
        self.gets_signal("STOP").await;
        let state_file = format!("/proc/{}/stat", self.id());
        eventually(PATIENCE, "the process stands still", async || {
            let state = fs::read_to_string(&state_file).expect("Linux tells the state of a process");
            // Behind the name, which is in brackets and may hold anything.
            let (_, behind) = state.rsplit_once(") ").expect("the name is in brackets");
            behind.starts_with('T').then_some(())
        })
        .await;
    }

    /// Lets the process go on (SIGCONT).
    ///
    /// # Panics
    ///
    /// When the process is not there.
    pub async fn resumes(&self) {
        self.gets_signal("CONT").await;
    }

    /// Lifts a limit on the size of its files.
    ///
    /// # Panics
    ///
    /// When the process is not there.
    pub async fn has_room_again(&self) {
        let id = self.id().to_string();
        let lifted = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited:"]).status().await;
        assert!(lifted.expect("prlimit can be started").success(), "the limit could not be lifted");
    }

    async fn gets_signal(&self, signal: &str) {
        let id = self.id().to_string();
        // The shell has a `kill` of its own, where the program of that name may be missing.
        let kill = ["-c", "kill -s \"$0\" \"$1\"", signal, &id];
        let sent = Command::new("/bin/bash").args(kill).status().await.expect("bash can be started");
        assert!(sent.success(), "SIG{signal} could not be sent");
    }

    /// The other end of its standard error, if that is a pipe and has not been taken.
    pub fn takes_stderr(&mut self) -> Option<ChildStderr> {
        self.0.stderr.take()
    }

    /// The number of the process.
    ///
    /// # Panics
    ///
    /// When it has ended and was waited for.
    pub fn id(&self) -> u32 {
        self.0.id().expect("the process is running")
    }

    /// KiB of the process in memory.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process is there");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
        resident.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// The process is still there.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn assert_alive(&mut self) {
        let ended = self.0.try_wait().expect("the process can be asked");
        assert_eq!(ended, None, "the process has ended");
    }
}

/// A ready file, once it is there. It is written atomically, so a half of it is a mistake.
pub(crate) fn reads_ready_file<R: DeserializeOwned>(file: &Path) -> Option<R> {
    let text = fs::read_to_string(file).ok()?;
    match serde_json::from_str(&text) {
        Ok(ready) => Some(ready),
        Err(error) => panic!("the ready file is there and cannot be read ({error}): {text}"),
    }
}

fn forgets(file: &Path) {
    match fs::remove_file(file) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
    }
}
