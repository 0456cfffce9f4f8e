//! The first steps for a developer: on the terminal for people, in the ready file for programs.

use std::io::Write;
use std::path::{Path, PathBuf};

use honoken_api::auth::admin_credentials::AdminCredentials;
use honoken_api::first_steps::FirstSteps;
use honoken_service::data_dir::Folder;
use honoken_service::dev::sample::{PASS_TYPE, SERIAL_NUMBER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

/// The content of the greeting, printed once requests are answered.
#[derive(Debug)]
pub struct Greeting<'a> {
    /// The URL of the service.
    pub base_url: String,
    /// The URL of the routes of operators, if they have an address of their own.
    pub admin_url: Option<String>,
    /// The data folder.
    pub folder: &'a Folder,
    /// The key of the development organisation.
    pub api_key: SecretString,
    /// The operator.
    pub admin: AdminCredentials,
    /// PEM file of the development root.
    pub ca_file: PathBuf,
    /// The APNs endpoint for pushes, if there is one.
    pub apns: Option<Url>,
}

impl Greeting<'_> {
    /// The content of the ready file.
    pub fn ready_file(&self) -> String {
        let mut ready = json!({
            "baseUrl": self.base_url,
            "apiKey": self.api_key.expose_secret(),
            "adminUsername": self.admin.username,
            "adminPassword": self.admin.password.expose_secret(),
            "passTypeIdentifier": PASS_TYPE,
            "serialNumber": SERIAL_NUMBER,
            "caFile": self.ca_file,
            "dataDir": self.folder.path(),
        });
        if let Some(url) = &self.admin_url {
            ready["adminUrl"] = url.as_str().into();
        }
        format!("{ready}\n")
    }

    /// The first steps, as lines to paste into a shell. They read the key from its file, so that it is not shown.
    pub fn first_steps(&self) -> FirstSteps {
        let Self { base_url, .. } = self;
        let key = format!("-H \"Authorization: Bearer $(cat {})\"", quoted(&self.folder.api_key_file()));
        let json = "-H 'Content-Type: application/json'";
        let pass = format!("{base_url}/manage/v1/passes/{PASS_TYPE}/{SERIAL_NUMBER}");
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("honoken"));
        let lines = vec![
            ("Download the sample pass:", format!("curl -fsS {key} -o sample.pkpass {pass}/pkpass")),
            (
                "Change its seat:",
                format!(
                    "curl -fsS {key} {json} -X PUT -d '{{\"eventName\": \"Opening Night\", \"seat\": \"14C\"}}' {pass}/content"
                ),
            ),
            (
                "Issue a pass of your own:",
                format!(
                    "curl -fsS {key} {json} -d '{{\"passTypeIdentifier\": \"{PASS_TYPE}\", \"ticketStyle\": \"event\", \"content\": {{\"eventName\": \"My Event\", \"seat\": \"1\"}}}}' {base_url}/manage/v1/passes"
                ),
            ),
            (
                "Inspect the pass:",
                format!("{} inspect --root {} sample.pkpass", quoted(&program), quoted(&self.ca_file)),
            ),
        ];
        FirstSteps { lines, folder: self.folder.path().display().to_string() }
    }

    /// Prints the greeting on standard output.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn print(&self) -> std::io::Result<()> {
        let base_url = &self.base_url;
        let FirstSteps { lines, folder } = self.first_steps();
        let pushes = self.apns.as_ref().map_or_else(
            || "recorded and not sent; HONOKEN_APNS_ENDPOINT names a server to send them to".to_owned(),
            |endpoint| format!("sent to {endpoint}"),
        );
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "Honoken is ready at {base_url}

  data     {folder}
  secrets  {folder}/secrets (API key and operator's password, readable by their owner alone)
  root     {}
  sample   {PASS_TYPE} / {SERIAL_NUMBER}
  pushes   {pushes}
",
            self.ca_file.display(),
        )?;
        for (purpose, line) in lines {
            writeln!(out, "{purpose}\n\n  {line}\n")?;
        }
        writeln!(out, "Stop with Ctrl-C; the next run continues in the same folder.")?;
        out.flush()
    }
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}
