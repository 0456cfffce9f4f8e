//! `honoken import`: passes and registrations of another service, sent to a running one through the calls that integrators use.
//!
//! - `lines`: the lines of the input, in bounded memory; `line`: what a line asks for
//! - `sender`: the calls, repeated while that may help; `outcome`: what became of a line
//! - `journal`: how far the import is, on disk
//! - `run`: many lines at a time, in the order that matters
//! - [`layout`]: `honoken blobs import-layout`, images of another service through the same calls

mod journal;
pub mod layout;
mod line;
mod lines;
mod outcome;
mod run;
mod sender;
mod shown;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use honoken_simulator::HttpClient;
use http::HeaderValue;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::operator::print::print_line;
use crate::phone::{exit_code_of, print_progress, trust};
use crate::server_address;
use journal::{Files, Journal};
use lines::Lines;
use run::Import;
use sender::{Sender, Sign};
use shown::Shown;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  export HONOKEN_API_KEY=…          # of a key with the scope passes:import: honoken keys create --scopes passes:import
  honoken import passes.ndjson --server https://passes.example.com
  psql --csv … | python3 convert.py | honoken import - --server https://passes.example.com

Each line is a JSON object. A pass is the body of POST /manage/v1/passes:
  {\"passTypeIdentifier\": \"pass.com.example.ticket\", \"serialNumber\": \"A-1\", \"ticketStyle\": \"event\", \"content\": {…}, \"authenticationToken\": \"…\"}
A registration, behind its pass:
  {\"passTypeIdentifier\": \"pass.com.example.ticket\", \"serialNumber\": \"A-1\", \"deviceLibraryIdentifier\": \"…\", \"pushToken\": \"…\"}

FILE.import-state says how far it is: after an interruption the same command goes on there. FILE.refused.ndjson has each line that was refused,
with the reason. Lines that were sent before change nothing. Ends with 0 if no line was refused, with 1 if one was, with 2 if it did not come to
the end. docs/moving.md tells how to move here from another service.";

/// The longest time for one call: longer than the service takes to say that it takes too long.
const CALL: Duration = Duration::from_secs(40);

/// The limit on the size of an answer.
const ANSWER_BYTES: usize = 1024 * 1024;

/// The limit on the size of a file with a key.
const KEY_FILE_BYTES: u64 = 4096;

/// The options of `honoken import`.
#[derive(Debug, Args)]
pub struct Options {
    /// The file with a JSON object on each line; `-` reads standard input.
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// The address of the service, without `/manage/…`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    server: String,
    /// A file that holds the API key alone. Without this option the key is read from `HONOKEN_API_KEY`.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Trust this root certificate (PEM) besides those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The number of lines that are sent at the same time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Where to keep how far the import is. By default `FILE.import-state`, and nowhere for standard input.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Where to write the refused lines. By default `FILE.refused.ndjson`, and `import.refused.ndjson` for standard input.
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Send every line again, also those that were sent before.
    #[arg(long)]
    restart: bool,
}

/// Sends the lines and prints what became of them.
pub async fn run(options: &Options, stop: &CancellationToken) -> ExitCode {
    exit_code_of(import(options, stop).await)
}

async fn import(options: &Options, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    let authorization = authorization(options.key_file.as_deref(), "passes:import")?;
    warn_of_plain_http(&options.server);
    let client = HttpClient::with_limits(CALL, ANSWER_BYTES).with_trust(trust(options.ca.as_deref())?);
    let sender = Sender::new(client, &options.server, Sign::Key(authorization), stop.clone());
    let files = options.files();
    let (input, bytes) = options.open()?;
    let saved = if options.restart { None } else { Journal::saved(&files, &options.server)? };
    sender.greet().await?;

    let mut lines = Lines::new(BufReader::with_capacity(256 * 1024, input));
    if let Some(saved) = &saved {
        lines.skip(saved.lines, saved.bytes, &saved.sha256)?;
        if saved.lines > 0 {
            print_progress(&format!("{} lines were sent before", saved.lines));
        }
    }
    let journal = Journal::open(files, &options.server, saved.as_ref(), lines.mark().clone())?;
    let import = Import { sender, concurrency: options.concurrency.into(), shown: Shown::new(bytes) };
    let (journal, ended) = import.run(lines, journal, stop).await;
    let (counts, refused) = (journal.counts(), journal.refused().map(Path::to_owned));
    journal.close()?;
    print_line(&format!("{} lines: {counts}", counts.total()))?;
    if let Some(refused) = &refused {
        print_progress(&format!("{} has the refused lines and the reasons", refused.display()));
    }
    ended?;
    Ok(if refused.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Options {
    fn is_standard_input(&self) -> bool {
        self.input.as_os_str() == "-"
    }

    fn files(&self) -> Files {
        let beside = |ending: &str| {
            let mut path = self.input.clone().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        };
        let (state, refused) = if self.is_standard_input() {
            (None, PathBuf::from("import.refused.ndjson"))
        } else {
            (Some(beside(".import-state")), beside(".refused.ndjson"))
        };
        Files { state: self.state.clone().or(state), refused: self.refused.clone().unwrap_or(refused) }
    }

    /// The input, and its size where it is known.
    fn open(&self) -> anyhow::Result<(Box<dyn Read + Send>, Option<u64>)> {
        if self.is_standard_input() {
            return Ok((Box::new(std::io::stdin()), None));
        }
        let about = || format!("could not read {}", self.input.display());
        let file = File::open(&self.input).with_context(about)?;
        let metadata = file.metadata().with_context(about)?;
        ensure!(
            !metadata.is_dir(),
            "{} is a folder; name a file with a JSON object on each line",
            self.input.display()
        );
        Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
    }
}

/// The header with the key. It comes from a file or the environment, since everybody on the machine may read the arguments of a process.
fn authorization(key_file: Option<&Path>, scope: &str) -> anyhow::Result<HeaderValue> {
    let key = if let Some(file) = key_file {
        let about = || format!("--key-file {}", file.display());
        let mut text = String::new();
        let opened = File::open(file).with_context(about)?;
        opened.take(KEY_FILE_BYTES).read_to_string(&mut text).with_context(about)?;
        text.trim().to_owned()
    } else {
        let about = format!(
            "an API key is needed: set HONOKEN_API_KEY, or name a file that holds it with --key-file; `honoken keys create --scopes {scope}` makes one"
        );
        config::api_key()?.context(about)?.expose_secret().to_owned()
    };
    let is_one = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(
        is_one,
        "the API key must be visible ASCII characters alone, as `honoken keys create` printed it"
    );
    let mut value = HeaderValue::try_from(format!("Bearer {key}")).context("the API key cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}

/// Parses the address of a service.
fn server(text: &str) -> Result<String, String> {
    server_address::parse(text, "the API key alone is sent")
}

fn warn_of_plain_http(server: &str) {
    if server_address::is_open_to_others(server) {
        print_progress("the API key and the tokens of passes go over the network unencrypted: use https");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_comes_from_a_file_whole_and_alone() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "honoken_abc\n").unwrap();
        let header = authorization(Some(&file), "").unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer honoken_abc");
        assert!(!format!("{header:?}").contains("honoken_abc"));
        for bad in ["", "\n", "two words", "schlüssel"] {
            std::fs::write(&file, bad).unwrap();
            let said = authorization(Some(&file), "").unwrap_err().to_string();
            assert!(said.contains("visible ASCII"), "{said}");
        }
        let said = format!("{:#}", authorization(Some(&folder.path().join("missing")), "").unwrap_err());
        assert!(said.contains("--key-file"), "{said}");
    }
}
