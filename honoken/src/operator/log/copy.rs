//! `honoken log copy`

use std::pin::pin;

use clap::Args;
use honoken_database::postgres;
use honoken_event_store::transfer::Copying;
use honoken_event_store::{EventLog, Position};
use honoken_service::storage::{Database, Storage};
use secrecy::ExposeSecret;

use crate::config;
use crate::operator::log::NOT_MOVED;
use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Environment, Place};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken log copy --from sqlite:/srv/honoken --to postgres://honoken@db.example.com/honoken
  PGPASSWORD=… honoken log copy --from postgres://honoken@db.example.com/honoken --to sqlite:/srv/honoken

The target is a new folder, an empty database, or a copy that this command began: it goes on where that one ends. Positions and update tags stay,
so phones notice nothing. The original may be in use meanwhile. To switch: let the command come to its end once, stop every process of the
original, run the same command again, which copies the rest, and start the service on the copy. A password need not be in the URL: PGPASSWORD and
~/.pgpass are read.";

/// The arguments of `log copy`.
#[derive(Debug, Args)]
pub struct Copy {
    /// The event log to copy: `sqlite:FOLDER` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where the copy is made, in the same form.
    #[arg(long, value_name = "URL")]
    to: String,
    /// Go on copying what is appended, until Ctrl-C.
    #[arg(long)]
    follow: bool,
}

/// Copies the event log.
///
/// # Errors
/// When one of the two cannot be used, the target holds something else, or the copy differs.
pub(super) async fn run(options: &Copy, environment: &Environment) -> anyhow::Result<()> {
    let ids = &*environment.ids;
    let (from, to) = (database("--from", &options.from)?, database("--to", &options.to)?);
    anyhow::ensure!(!from.is_same_place(&to), "--from and --to are the same place");
    let original = Place::of(&from, "--from")?;
    let log = original.open_log(ids).await?;
    // After the original was opened: a folder is made here.
    let target = Storage::new(&to, "--to")?;
    let mut copying = Copying::begin(&log, target.open_target(ids).await?).await?;
    // Let go of at once: who holds it keeps the head from moving.
    let head = *log.head().borrow();
    let working = Box::pin(work(&mut copying, head, options.follow));
    let copied = original.notes(environment, "copyLog", shown(&to), working).await;
    let closed = copying.close().await;
    log.close().await;
    let sentence = copied?;
    closed?;
    print_line(&sentence)?;
    print_line(NOT_MOVED)
}

/// The database that an option names. It is not read by the command line's parser, which would repeat it with its password.
fn database(option: &str, url: &str) -> anyhow::Result<Database> {
    config::database_url(url).map_err(|problem| anyhow::anyhow!("{option} {problem}"))
}

/// A place for people, without its password.
fn shown(database: &Database) -> String {
    match database {
        Database::Folder(folder) => format!("sqlite:{}", folder.display()),
        Database::Postgres(url) => match postgres::options(url.expose_secret()) {
            Ok(options) => postgres::place(&options),
            Err(_) => "postgres:".to_owned(),
        },
    }
}

async fn work(copying: &mut Copying<'_>, head: Position, follow: bool) -> anyhow::Result<String> {
    let mut progress = Progress::of("events", head.0);
    let caught_up = copying.catch_up(|position| progress.at(position.0)).await;
    progress.clear();
    caught_up?;
    if follow {
        print_line(
            "the copy has everything, and follows: stop every process of the original, then this command with Ctrl-C",
        )?;
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                _ = &mut interrupted => break,
                () = copying.grows() => copying.catch_up(|_| {}).await?,
            }
        }
        copying.catch_up(|_| {}).await?;
    }
    let mut progress = Progress::of("events compared", copying.events());
    let compared = copying.verify(|position| progress.at(position.0)).await;
    progress.clear();
    let checksum = compared?;
    Ok(format!(
        "the copy has the {} events of the original up to position {}, SHA-256 {}. If the original is in use, stop its processes and run the same \
         command again before the service starts on the copy",
        checksum.events(),
        checksum.last(),
        checksum.sha256()
    ))
}
