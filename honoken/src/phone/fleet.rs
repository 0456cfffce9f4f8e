//! `honoken phones`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use honoken_service::ids::IdSource;
use honoken_simulator::fleet::{Fleet, FleetPass, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{Reach, exit_code_of, identities, passes, print_progress, web_service_url};
use crate::operator::print::print_line;

/// For `--help`.
pub const FLEET_EXAMPLES: &str = "\
Examples:
  honoken phones --count 1000 --pass ticket.pkpass
  honoken phones --count 10000 --pass passes/ --concurrency 200 --rounds 5 --json
  honoken phones --count 1000 --pass ticket.pkpass --keep      # they stay, to be woken by the next change

Each phone registers, lists, fetches, asks once more and leaves; with several passes they are given out in turn. Against a service that is in
use: made-up push tokens are refused by Apple, so let no pass change meanwhile. Ends with 0 if a phone expects every answer, with 1 if not, and with 2 if no answer was measured.";

/// The options of `honoken phones`.
#[derive(Debug, Args)]
pub struct FleetOptions {
    /// The number of phones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    count: u64,
    /// A pass, or a folder of them; may be given several times.
    #[arg(long = "pass", value_name = "FILE or DIR")]
    passes: Vec<PathBuf>,
    #[command(flatten)]
    reach: Reach,
    /// The number of phones that ask at the same time, over one connection each.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    concurrency: u16,
    /// The number of times that each phone asks for its list again after all have arrived, as woken phones do.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    rounds: u64,
    /// Leave the phones registered.
    #[arg(long)]
    keep: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// The time between two lines where no bar can be drawn.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Plays the fleet and prints its figures.
pub async fn measure(options: &FleetOptions, ids: &dyn IdSource, stop: &CancellationToken) -> ExitCode {
    exit_code_of(play(options, ids, stop).await)
}

async fn play(
    options: &FleetOptions,
    ids: &dyn IdSource,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let fleet = fleet(options)?;
    let shown = Shown::new();
    let bar = shown.bar.clone();
    let progress = Arc::new(move |progress| shown.at(progress));
    let played = fleet.run(identities(ids), progress, stop).await;
    bar.finish_and_clear();
    let report =
        played.map_err(|fault| anyhow::anyhow!("the web service cannot be reached: {}", fault.told()))?;
    if options.json {
        print_line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        print_line(&report.to_string())?;
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fleet(options: &FleetOptions) -> anyhow::Result<Fleet> {
    let mut held = Vec::new();
    for file in passes::files(&options.passes)? {
        let package = passes::read(&file)?;
        let server = options.reach.server.as_deref();
        if let (None, Some(own)) = (server, package.web_service()) {
            let about = || {
                format!(
                    "the webServiceURL of {} cannot be requested; name another address with --server",
                    file.display()
                )
            };
            web_service_url(&own.url).map_err(anyhow::Error::msg).with_context(about)?;
        }
        let pass = FleetPass::new(&package, server);
        held.push(pass.with_context(|| {
            format!("{} has no web service: no phone would ask about it", file.display())
        })?);
    }
    ensure!(!held.is_empty(), passes::NONE);
    Ok(Fleet {
        passes: held,
        count: options.count,
        concurrency: options.concurrency.into(),
        rounds: options.rounds,
        keep: options.keep,
        timeout: options.reach.timeout(),
        trust: Some(options.reach.trust()?),
    })
}

/// A progress bar on a terminal, a line now and then elsewhere.
struct Shown {
    bar: ProgressBar,
    /// When the last line was written; `None` on a terminal.
    last_line: Option<Mutex<Duration>>,
}

impl Shown {
    fn new() -> Self {
        let template = "{bar:40} {human_pos} of {human_len} steps, {per_sec}, {eta} left";
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template(template).expect("a template that is a constant"));
        let last_line = (!std::io::stderr().is_terminal()).then(Mutex::default);
        Self { bar, last_line }
    }

    fn at(&self, progress: Progress) {
        self.bar.set_length(progress.of);
        self.bar.set_position(progress.done);
        let Some(last_line) = &self.last_line else { return };
        // A thread that finds it locked leaves the line to another.
        let Ok(mut last_line) = last_line.try_lock() else { return };
        let elapsed = self.bar.elapsed();
        if elapsed.saturating_sub(*last_line) >= LINE_INTERVAL {
            *last_line = elapsed;
            print_progress(&format!(
                "{} of {} steps after {:.0} s",
                progress.done,
                progress.of,
                elapsed.as_secs_f64()
            ));
        }
    }
}
