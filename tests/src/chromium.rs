//! A real browser, driven over its debugging pipe (the `DevTools` protocol): it opens pages, and scripts are run in them.

use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::waiting::{PATIENCE, eventually};

/// One tab of a browser with a profile of its own. Dropping it ends the browser.
#[derive(Debug)]
pub struct Browser {
    _process: Child,
    commands: ChildStdin,
    messages: BufReader<ChildStdout>,
    sent: u64,
    tab: Option<String>,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium with an empty tab.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not answer.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        // The pipe is the descriptors 3 and 4.
        let mut command = Command::new("/bin/bash");
        command.args(["-c", "exec chromium \"$@\" 3<&0 4>&1 0</dev/null 1>&2", "chromium"]);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
        ]);
        command.args(["--no-first-run", "--disable-background-networking", "--disable-component-update"]);
        command.args(["--disable-sync", "--remote-debugging-pipe"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().expect("bash can be started");
        let commands = process.stdin.take().expect("a pipe");
        let messages = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut browser =
            Self { _process: process, commands, messages, sent: 0, tab: None, _profile: profile };
        let target = browser.does("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.does("Target.attachToTarget", attach).await;
        browser.tab = attached["sessionId"].as_str().map(str::to_owned);
        assert!(browser.tab.is_some(), "no tab: {attached}");
        browser
    }

    /// Opens a page and waits until it is there; gives its status.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub async fn opens(&mut self, url: &str) -> u64 {
        self.goes_to(url).await;
        // Name and password are not part of the address that a page sees.
        let shown = url.split_once('@').map_or(url, |(_, behind)| behind);
        let path = shown.split_once("//").map_or(shown, |(_, behind)| behind);
        self.comes_to(path).await
    }

    /// Goes to a page that may lead elsewhere by itself.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn goes_to(&mut self, url: &str) {
        let navigated = self.does("Page.navigate", json!({ "url": url })).await;
        assert!(navigated["errorText"].is_null(), "{url}: {navigated}");
    }

    /// Clicks on what a selector finds first, once it is there.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub async fn clicks(&mut self, selector: &str) {
        let script =
            format!("(it => it ? (it.click(), true) : false)(document.querySelector({}))", json!(selector));
        eventually(PATIENCE, selector, async || (self.tries(&script).await? == true).then_some(())).await;
    }

    /// Waits until the tab shows a page whose address ends so; gives its status.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub async fn comes_to(&mut self, end_of_url: &str) -> u64 {
        let script = "[document.readyState, location.href, performance.getEntriesByType('navigation')[0].responseStatus]";
        eventually(PATIENCE, &format!("the browser shows {end_of_url}"), async || {
            // There is nothing to ask between two pages.
            let state = self.tries(script).await?;
            let is_there = state[0] == "complete" && state[1].as_str()?.ends_with(end_of_url);
            is_there.then(|| state[2].as_u64())?
        })
        .await
    }

    /// Runs a script in the page, and gives what it comes to.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub async fn runs(&mut self, script: &str) -> Value {
        self.tries(script).await.unwrap_or_else(|| panic!("the script fails: {script}"))
    }

    async fn tries(&mut self, script: &str) -> Option<Value> {
        let parameters = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let evaluated = self.asks("Runtime.evaluate", parameters).await.ok()?;
        evaluated["exceptionDetails"].is_null().then(|| evaluated["result"]["value"].clone())
    }

    async fn does(&mut self, method: &str, parameters: Value) -> Value {
        self.asks(method, parameters).await.unwrap_or_else(|fault| panic!("{method}: {fault}"))
    }

    /// Sends a command and waits for its answer; what happens meanwhile is not looked at.
    async fn asks(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(tab) = &self.tab {
            message["sessionId"] = json!(tab);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).await.expect("the browser listens");
        let answer = tokio::time::timeout(PATIENCE, self.hears(self.sent)).await;
        let mut answer = answer.unwrap_or_else(|_| panic!("no answer to {method}"));
        let fault = answer["error"].take();
        if fault.is_null() { Ok(answer["result"].take()) } else { Err(fault) }
    }

    async fn hears(&mut self, id: u64) -> Value {
        loop {
            let mut message = Vec::new();
            let bytes = self.messages.read_until(0, &mut message).await.expect("the browser answers");
            assert!(bytes > 0, "please install Debian's `chromium`, as scripts/test does; else it has ended");
            let message: Value = serde_json::from_slice(&message[..bytes - 1]).expect("messages are JSON");
            if message["id"] == id {
                return message;
            }
        }
    }
}
