//! The command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use honoken_service::clock::SystemClock;
use honoken_service::ids::SystemIds;
use honoken_service::{limits, shutdown};
use honoken_telemetry::log_output::{LogOutput, writer};
use honoken_telemetry::logging;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::import::layout;
use crate::operator::blobs::BlobsCommand;
use crate::operator::session::{Environment, StorageOptions};
use crate::operator::{apns_keys, backup, blobs, certs, database, keys, log, rebuild, restore};
use crate::process::Process;
use crate::{admin, dev, import, inspect, phone, release, serve};

/// Issues, signs and updates Apple Wallet passes.
#[derive(Debug, Parser)]
#[command(
    name = "honoken",
    version = release::VERSION_AND_COMMIT,
    after_help = "Start with `honoken dev`: it needs no configuration and prints the addresses to open. docs/configuration.md lists the environment variables."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all roles in one process and one folder, without configuration: for trials and development.
    #[command(after_help = DEV_EXAMPLES)]
    Dev(ProcessOptions),
    /// Run the service, or a part of it, in production. Several processes may share a Postgres database.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeOptions),
    /// Bring the database to the schema of this release. Safe beside running processes, also those of the previous release.
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate(StorageOptions),
    /// Fill the read model again from the event log, beside the tables that are read, which go on until the new ones take over.
    #[command(after_help = rebuild::EXAMPLES)]
    Rebuild(rebuild::Options),
    /// Request, install, list and revoke the certificates that sign passes.
    #[command(subcommand)]
    Certs(certs::CertsCommand),
    /// Install, list and revoke the APNs keys that pushes are authenticated with.
    #[command(subcommand)]
    ApnsKeys(apns_keys::ApnsKeysCommand),
    /// Make, list and revoke the API keys of integrators; seal private keys under another encryption key.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Make a backup, once or again and again, beside a running service.
    #[command(after_help = backup::EXAMPLES)]
    Backup(backup::Options),
    /// Make a data folder out of a backup.
    #[command(after_help = restore::EXAMPLES)]
    Restore(restore::Options),
    /// Copy images from one store to another, and remove those that nothing refers to.
    #[command(subcommand)]
    Blobs(blobs::BlobsCommand),
    /// Move the event log, write it out, read it in, verify it.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Check a .pkpass file as strictly as a phone does, and print its faults.
    #[command(after_help = inspect::EXAMPLES)]
    Inspect(inspect::Options),
    /// Play the life of a pass on a phone against any web service, and report the rules of the protocol that the service keeps.
    #[command(after_help = phone::TRIAL_EXAMPLES)]
    Phone(phone::TrialOptions),
    /// Play a fleet of phones against any web service, and report how long its answers took.
    #[command(after_help = phone::FLEET_EXAMPLES)]
    Phones(phone::FleetOptions),
    /// Send passes and registrations of another service to a running one, line by line.
    #[command(after_help = import::EXAMPLES)]
    Import(import::Options),
    /// Send one request of an operator to a running service, signed where a key is set.
    #[command(after_help = admin::EXAMPLES)]
    Admin(admin::Options),
    /// Print a script with which a shell completes the commands and options of this program.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

const DEV_EXAMPLES: &str = "\
Examples:
  honoken dev
  honoken dev --listen 127.0.0.1:0 --data-dir /tmp/trial --ready-file /tmp/trial.json

It prints the addresses to open and three lines to paste. The next run continues in the same folder.";

const SERVE_EXAMPLES: &str = "\
Examples:
  One process, all data in files:
    honoken keys create --organization club --name \"The Club\" --label till --data-dir /srv/honoken
    honoken certs install --help
    HONOKEN_PUBLIC_URL=https://passes.example.com honoken serve --data-dir /srv/honoken

  Several processes on Postgres:
    export DATABASE_URL=postgres://honoken@localhost/honoken
    export HONOKEN_ENCRYPTION_KEY_V1=$(openssl rand -base64 32)    # once: keep it, the certificates are sealed under it
    honoken migrate
    honoken serve --roles api --listen 0.0.0.0:8080
    honoken serve --roles projector --listen 127.0.0.1:8081
    honoken serve --roles relay,pusher --listen 127.0.0.1:8082     # with NATS_URL each role may have a process of its own";

const MIGRATE_EXAMPLES: &str = "\
Examples:
  DATABASE_URL=postgres://honoken@localhost/honoken honoken migrate";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(honoken completions bash)
  honoken completions zsh > ~/.zfunc/_honoken
  honoken completions fish > ~/.config/fish/completions/honoken.fish";

#[derive(Debug, Args)]
struct ProcessOptions {
    /// Host and port to listen on; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// The folder for all data. A folder that was used before is continued.
    #[arg(long, value_name = "DIR", default_value = "./honoken-data")]
    data_dir: PathBuf,
    /// A file to write once requests are answered, readable by its owner alone: a JSON object with the address, and in `dev` the credentials.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ServeOptions {
    #[command(flatten)]
    process: ProcessOptions,
    /// The roles of this process.
    #[arg(long, value_name = "ROLES", value_delimiter = ',', default_value = "api,projector,relay,pusher")]
    roles: Vec<serve::Role>,
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    // Where a build has a second provider of cryptography, as that of KurrentDB's client, nothing else says which one TLS takes.
    drop(rustls::crypto::ring::default_provider().install_default());
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(fault) => {
            print_error(&fault);
            ExitCode::FAILURE
        }
    }
}

fn print_error(fault: &anyhow::Error) {
    writer::print_last_message(format!("honoken: {fault:#}\n"));
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Inspect(options) => inspect::run(&options),
        Command::Phone(options) => run_alone(async |stop| phone::try_out(&options, &SystemIds, stop).await),
        Command::Phones(options) => run_alone(async |stop| phone::measure(&options, &SystemIds, stop).await),
        Command::Import(options) => run_alone(async |stop| import::run(&options, stop).await),
        Command::Admin(options) => run_alone(async |stop| {
            admin::run(&options, Arc::new(SystemIds), Arc::new(SystemClock), stop).await
        }),
        Command::Completions { shell } => {
            // Written to memory first: standard output may be closed, which is no reason to panic.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "honoken", &mut script);
            std::io::stdout().lock().write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Dev(options) => run_service("development", |config, output, stop| {
            dev::run(process(options, config, output), stop)
        }),
        Command::Serve(ServeOptions { process: options, roles }) => {
            run_service("production", |config, output, stop| {
                serve::run(process(options, config, output), roles, stop)
            })
        }
        Command::Migrate(options) => run_async("production", async |config, _| {
            database::migrate(&options, &config, &SystemClock, &SystemIds).await
        }),
        Command::Rebuild(options) => {
            run_async("production", async |config, _| rebuild::run(&options, &environment(config)).await)
        }
        Command::Backup(options) => {
            run_async("production", async |config, _| backup::run(&options, &environment(config)).await)
        }
        Command::Restore(options) => {
            run_async("production", async |config, _| restore::run(&options, &environment(config)).await)
        }
        Command::Log(command) => {
            run_async("production", async |config, _| log::run(&command, &environment(config)).await)
        }
        Command::Blobs(BlobsCommand::ImportLayout(options)) => {
            let (config, output) = configured("production")?;
            let _at_the_end = output.flushed_at_the_end();
            run_alone(async |stop| layout::run(&options, &environment(config), stop).await)
        }
        Command::Blobs(command) => {
            run_async("production", async |config, _| blobs::run(&command, &environment(config)).await)
        }
        Command::Certs(command) => {
            run_async("production", async |config, _| certs::run(&command, &environment(config)).await)
        }
        Command::ApnsKeys(command) => {
            run_async("production", async |config, _| apns_keys::run(&command, &environment(config)).await)
        }
        Command::Keys(command) => {
            run_async("production", async |config, _| keys::run(&command, &environment(config)).await)
        }
    }
}

/// Runs a service until a signal ends it, and for a bounded time after that.
fn run_service<F>(
    environment: &str,
    service: impl FnOnce(Config, LogOutput, CancellationToken) -> F,
) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (config, output) = configured(environment)?;
    // Dropped after everything that may log, so it is declared before it.
    let _at_the_end = output.flushed_at_the_end();
    let runtime = tokio::runtime::Runtime::new().context("the async runtime did not start")?;
    let ended = runtime.block_on(async {
        let stop = stopped_by_signals();
        // A task of its own: whatever the service does, this thread watches the time.
        shutdown::wait_for_end(tokio::spawn(service(config, output, stop.clone())), stop).await
    });
    // Dropping the runtime would wait for threads that may be blocked for ever.
    runtime.shutdown_timeout(limits::THREADS);
    ended.map(|()| ExitCode::SUCCESS)
}

/// Runs a command that needs the environment and the runtime.
fn run_async(
    environment: &str,
    command: impl AsyncFnOnce(Config, LogOutput) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let (config, output) = configured(environment)?;
    // Dropped after everything that may log, so it is declared before it.
    let _at_the_end = output.flushed_at_the_end();
    let runtime = tokio::runtime::Runtime::new().context("the async runtime did not start")?;
    runtime.block_on(command(config, output))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the configuration, and starts log output.
fn configured(environment: &str) -> anyhow::Result<(Config, LogOutput)> {
    let mut config = Config::from_environment()?;
    config.identity.environment.get_or_insert_with(|| environment.to_owned());
    let output = logging::start(config.logging, &config.identity).context("the log output did not start")?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok((config, output))
}

/// Runs a command that needs the runtime and no configuration.
fn run_alone(command: impl AsyncFnOnce(&CancellationToken) -> ExitCode) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("the async runtime did not start")?;
    Ok(runtime.block_on(async { command(&stopped_by_signals()).await }))
}

fn environment(config: Config) -> Environment {
    Environment { config, clock: Arc::new(SystemClock), ids: Arc::new(SystemIds) }
}

fn process(options: ProcessOptions, config: Config, log_output: LogOutput) -> Process {
    Process {
        listen: options.listen,
        data_dir: options.data_dir,
        ready_file: options.ready_file,
        config,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        log_output,
    }
}

/// A token that SIGTERM and Ctrl-C cancel. A signal that comes right after this call is noticed too.
fn stopped_by_signals() -> CancellationToken {
    let stop = CancellationToken::new();
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(terminate), Ok(interrupt)] = signals else {
        tracing::error!("the service will not react to signals: the system does not deliver them");
        return stop;
    };
    tokio::spawn(stop_on_signal(terminate, interrupt, stop.clone()));
    stop
}

/// A second signal is not waited for: the end has a time limit in any case, and the process supervisor has SIGKILL.
async fn stop_on_signal(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping after the requests in flight have finished");
    stop.cancel();
}
