//! `honoken log`: the event log is moved, written out, read in, verified, and told that it comes from a backup.

mod copy;
mod export;
mod import;
mod restored;
mod verify;

use clap::Subcommand;

use crate::operator::session::{Environment, StorageOptions};

/// The subcommands of `log`.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Copy the event log to another engine or place, beside the processes that use it.
    #[command(after_help = copy::EXAMPLES)]
    Copy(copy::Copy),
    /// Write the event log to standard output, a JSON object on each line. Safe beside running processes.
    #[command(after_help = export::EXAMPLES)]
    Export(StorageOptions),
    /// Fill an empty event log with the lines of `log export`.
    #[command(after_help = import::EXAMPLES)]
    Import(import::Import),
    /// Record that the event log was restored from a backup, before the service is started again. Phones may have seen events that it lost,
    /// so all their update tags become foreign. The read model is filled again at the next start.
    #[command(after_help = restored::EXAMPLES)]
    Restored(StorageOptions),
    /// Look whether the event log is whole: its order, every event, every image that it needs, and the read model. Safe beside running processes.
    #[command(after_help = verify::EXAMPLES)]
    Verify(StorageOptions),
}

/// What a new event log lacks that was filled from another one.
const NOT_MOVED: &str = "Not moved: images, encryption keys, keys of persons in rewards programmes, deliveries, and the records of operators \
                         (docs/event-log.md says how each gets there)";

/// Runs one of them.
///
/// # Errors
/// When the database is unavailable, or a process uses files that the command needs for itself.
pub async fn run(command: &LogCommand, environment: &Environment) -> anyhow::Result<()> {
    let (config, clock, ids) = (&environment.config, &*environment.clock, &*environment.ids);
    match command {
        LogCommand::Copy(options) => copy::run(options, environment).await,
        LogCommand::Export(options) => export::run(options, config, ids).await,
        LogCommand::Import(options) => import::run(options, config, clock, ids).await,
        LogCommand::Restored(options) => restored::run(options, config, clock, ids).await,
        LogCommand::Verify(options) => verify::run(options, config, clock, ids).await,
    }
}
