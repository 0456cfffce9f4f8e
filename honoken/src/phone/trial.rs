//! `honoken phone`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use honoken_service::ids::IdSource;
use honoken_simulator::HttpClient;
use honoken_simulator::conformance::{Report, Scheme, Trial, TrialError};
use tokio_util::sync::CancellationToken;

use super::{Reach, exit_code_of, identities, passes, print_progress, web_service_url};
use crate::operator::print::print_line;

/// The limit on the size of an answer.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// For `--help`.
pub const TRIAL_EXAMPLES: &str = "\
Examples:
  honoken phone --pass ticket.pkpass
  honoken phone --pass ticket.pkpass --wait 60        # and change the pass when it says so
  honoken phone --server https://passes.example.com --pass ticket.pkpass --json | jq '.rules[] | select(.verdict == \"broken\")'

Any web service will do. Each rule is kept, broken or not reached. Ends with 0 when none is broken, with 1 when one is, with 2
when there is nothing to judge: no pass, or no answer. Nothing stays registered, also when it is interrupted.";

/// The options of `honoken phone`.
#[derive(Debug, Args)]
pub struct TrialOptions {
    /// The pass, as its holder has it: its token is shown to the service, and printed nowhere.
    #[arg(long, value_name = "FILE")]
    pass: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
    /// The time to wait for a change of the pass, to judge the answers that phones get about it.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
    /// Show the token as wallets on Android do (`AndroidPass`), which a service may refuse.
    #[arg(long)]
    android: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Plays the life of a pass and prints the verdicts.
pub async fn try_out(options: &TrialOptions, ids: &dyn IdSource, stop: &CancellationToken) -> ExitCode {
    exit_code_of(play(options, ids, stop).await)
}

async fn play(
    options: &TrialOptions,
    ids: &dyn IdSource,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let trial = trial(options)?;
    let client = HttpClient::with_limits(options.reach.timeout(), MAX_BODY_BYTES);
    let client = client.with_trust(options.reach.trust()?);
    let waiting = || {
        print_progress(&format!("waiting up to {} s: change the pass now", options.wait.unwrap_or_default()));
    };
    let report = trial.run(client, &identities(ids), &waiting, stop).await?;
    if options.json {
        print_line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        print_line(&report.to_string())?;
    }
    Ok(code(&report))
}

fn trial(options: &TrialOptions) -> anyhow::Result<Trial> {
    let package = passes::read(options.pass.as_deref().context(passes::NONE)?)?;
    let own = package.web_service().ok_or(TrialError::NoWebService)?;
    let web_service_url = match &options.reach.server {
        Some(server) => server.clone(),
        None => web_service_url(&own.url).map_err(anyhow::Error::msg).context(
            "the webServiceURL of the pass cannot be requested; name another address with --server",
        )?,
    };
    let scheme = if options.android { Scheme::AndroidPass } else { Scheme::ApplePass };
    Ok(Trial { package, web_service_url, scheme, wait: options.wait.map(Duration::from_secs) })
}

fn code(report: &Report) -> ExitCode {
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
