//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::dev::{self, Dev};
use crate::ids::SystemIds;
use crate::inspect;

/// Issues, signs and updates Apple Wallet passes.
#[derive(Debug, Parser)]
#[command(
    name = "honoken",
    version,
    after_help = "Start with `honoken dev`: it needs nothing and says where to look. docs/configuration.md lists the environment variables."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process, in one folder, with nothing configured: for trying out and developing against.
    Dev(DevOptions),
    /// Take a .pkpass file apart as suspiciously as a phone does, and say what is wrong with it.
    Inspect(inspect::Options),
}

#[derive(Debug, Args)]
struct DevOptions {
    /// Host and port to listen on; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where everything is kept. A folder that has been used goes on as it was.
    #[arg(long, value_name = "DIR", default_value = "./honoken-data")]
    data_dir: PathBuf,
    /// Written, readable by you alone, once requests are answered: a JSON object with the address and the credentials.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(fault) => {
            complain(&fault);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed belongs on the terminal")]
fn complain(fault: &anyhow::Error) {
    eprintln!("honoken: {fault:#}");
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Inspect(options) => inspect::run(&options),
        Command::Dev(options) => {
            let config = Config::from_environment()?;
            log_to_stderr(&config);
            let runtime = tokio::runtime::Runtime::new().context("the async runtime did not start")?;
            runtime.block_on(run_dev(options, config))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn run_dev(options: DevOptions, config: Config) -> anyhow::Result<()> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let dev = Dev {
        listen: options.listen,
        data_dir: options.data_dir,
        ready_file: options.ready_file,
        config,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    dev::run(dev, stop).await
}

/// Logs go to standard error: standard output belongs to what the command has to say.
fn log_to_stderr(config: &Config) {
    let level = if config.verbose_logging { "debug" } else { "info" };
    let filter = EnvFilter::new(format!(
        "warn,honoken_api={level},honoken_event_store={level},honoken_projections={level}"
    ));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // It would tell standard error that standard error cannot be written, and panic when that fails: on a full disk, say.
        .log_internal_errors(false)
        .init();
}

/// SIGTERM and Ctrl-C stop the service; a second one is not waited for, the process supervisor has SIGKILL for that.
async fn stop_on_signal(stop: CancellationToken) {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(fault) => {
            tracing::error!(error = %fault, "SIGTERM will not be noticed");
            return;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("stopping: requests in flight are finished first");
    stop.cancel();
}
