//! `honoken blobs import-layout`: the images of an earlier service, sent to a running one through the calls that integrators and operators use.
//!
//! - `target`: where an image belongs, by its name
//! - `source`: the folder or store with the images
//! - `journal`: which images are done, on disk
//! - `upload`: one image: read, sent, and asked for again
//! - `run`: many images at a time, those of a pass one after the other

mod journal;
mod run;
mod source;
mod target;
mod upload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use honoken_simulator::HttpClient;
use tokio_util::sync::CancellationToken;

use super::sender::{Sender, Sign, Stop};
use super::{ANSWER_BYTES, CALL, authorization, server, warn_of_plain_http};
use crate::admin::OperatorSign;
use crate::operator::print::print_line;
use crate::operator::session::Environment;
use crate::phone::{exit_code_of, print_progress, trust};
use journal::{Files, Journal};
use run::Run;
use source::Source;
use upload::Senders;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  export HONOKEN_API_KEY=…                                       # with the scope assets:write
  export HONOKEN_ADMIN_USERNAME=vera HONOKEN_ADMIN_PASSWORD=…    # for the images below brand-assets/ alone
  honoken blobs import-layout /srv/old-images --dry-run
  honoken blobs import-layout /srv/old-images --server https://passes.example.com
  BLOB_READ_WRITE_TOKEN=… honoken blobs import-layout vercel-blob: --server https://passes.example.com

The names say where an image belongs: PASS_TYPE/SERIAL/logo@2x.png to a pass, PASS_TYPE/logo@2x.png to all passes of a type, brand-assets/icon.png
to the brand; images of a language are one folder deeper (de.lproj/). The passes must be there: import them first. Each image is asked for again
after it was sent, and compared. FILE.import-state says which are done: after an interruption the same command goes on. FILE.refused.ndjson has each
image that was refused, with the reason; the same command tries these again. Ends with 0 if no image was refused, with 1 if one was, with 2 if it
did not come to the end.";

/// The options of `honoken blobs import-layout`.
#[derive(Debug, Args)]
pub struct Options {
    /// The folder with the images, or a store as in `HONOKEN_ASSETS_URL`.
    #[arg(value_name = "FROM")]
    from: String,
    /// The address of the service, without `/manage/…`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    server: String,
    /// A file that holds the API key alone. Without this option the key is read from `HONOKEN_API_KEY`.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Trust this root certificate (PEM) besides those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Read and judge every image, and send none.
    #[arg(long)]
    dry_run: bool,
    /// The number of images that are sent at the same time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Where to keep which images are done. By default `DIR.import-state`, and `layout.import-state` for a URL.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Where to write the refused images. By default `DIR.refused.ndjson`, and `layout.refused.ndjson` for a URL.
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Send every image again, also those that were sent before.
    #[arg(long)]
    restart: bool,
}

/// Sends the images and prints what became of them.
pub async fn run(options: &Options, environment: &Environment, stop: &CancellationToken) -> ExitCode {
    exit_code_of(import(options, environment, stop).await)
}

async fn import(
    options: &Options,
    environment: &Environment,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let source = Source::open(&options.from, &environment.config).await?;
    let senders = if options.dry_run { None } else { Some(senders(options, environment, stop).await?) };
    let total = source.count().await?;
    let server = senders.as_ref().map_or("", |_| &*options.server);
    let journal = Journal::open(options.files(&source), server, source.name(), options.restart)?;
    if journal.before() > 0 {
        print_progress(&format!("{} images were sent before", journal.before()));
    }
    let run = Run { source, senders, concurrency: options.concurrency.into() };
    let (journal, ended) = run.send_all(journal, total, stop).await;
    let (counts, refused) = (journal.counts(), journal.refused().map(Path::to_owned));
    journal.close()?;
    print_line(&counts.told(options.dry_run))?;
    if let Some(refused) = &refused {
        print_progress(&format!("{} has the refused images and the reasons", refused.display()));
    }
    ended?;
    Ok(if refused.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn senders(
    options: &Options,
    environment: &Environment,
    stop: &CancellationToken,
) -> anyhow::Result<Senders> {
    let authorization = authorization(options.key_file.as_deref(), "assets:write")?;
    warn_of_plain_http(&options.server);
    let client = HttpClient::with_limits(CALL, ANSWER_BYTES).with_trust(trust(options.ca.as_deref())?);
    let sender = |sign| Sender::new(client.clone(), &options.server, sign, stop.clone());
    let integrator = sender(Sign::Key(authorization));
    match integrator.greet().await {
        // A key for images alone may not list passes.
        Err(Stop::Key { code, .. }) if code == "missing_scope" => {}
        greeted => greeted?,
    }
    let (ids, clock) = (environment.ids.clone(), environment.clock.clone());
    let operator = OperatorSign::from_environment(ids, clock)?;
    Ok(Senders { integrator, operator: operator.map(|operator| sender(Sign::Operator(operator))) })
}

impl Options {
    fn files(&self, source: &Source) -> Files {
        let beside = |ending: &str| match source.folder() {
            Some(folder) => {
                let mut path = folder.to_owned().into_os_string();
                path.push(ending);
                PathBuf::from(path)
            }
            None => PathBuf::from(format!("layout{ending}")),
        };
        let state = self.state.clone().unwrap_or_else(|| beside(".import-state"));
        Files {
            // What was not sent is not done.
            state: (!self.dry_run).then_some(state),
            refused: self.refused.clone().unwrap_or_else(|| beside(".refused.ndjson")),
        }
    }
}
