//! `honoken log copy`

use std::pin::pin;

use clap::Args;
use honoken_database::postgres;
use honoken_event_store::transfer::Copying;
use honoken_event_store::{EventLog, Log, Position};
use honoken_service::ids::IdSource;
use honoken_service::storage::{Database, Storage};
use secrecy::ExposeSecret;

use crate::config::{self, LogPlace};
use crate::operator::log::NOT_MOVED;
use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Environment, Place};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken log copy --from sqlite:/srv/honoken --to postgres://honoken@db.example.com/honoken
  PGPASSWORD=… honoken log copy --from postgres://honoken@db.example.com/honoken --to sqlite:/srv/honoken
  honoken log copy --from sqlite:/srv/honoken --to esdb://events.example.com:2113

The target is a new folder, an empty database, an event store without such a log, or a copy that this command began: it goes on where that one ends.
Between databases positions and update tags stay, so phones notice nothing; to and from KurrentDB they do not, and phones ask once which passes differ.
The original may be in use meanwhile. To switch: let the command come to its end once, stop every process of the
original, run the same command again, which copies the rest, and start the service on the copy. A password need not be in the URL: PGPASSWORD and
~/.pgpass are read.";

/// The arguments of `log copy`.
#[derive(Debug, Args)]
pub struct Copy {
    /// The event log to copy: `sqlite:FOLDER`, `postgres://USER@HOST/DATABASE` or `esdb://HOST:2113`.
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
    let (from, to) = (place("--from", &options.from)?, place("--to", &options.to)?);
    anyhow::ensure!(!is_same_place(&from, &to), "--from and --to are the same place");
    let (log, original) = open(&from, ids).await?;
    // After the original was opened: a folder is made here. It is locked for as long as it is filled.
    let (target, _storage) = match &to {
        LogPlace::Database(database) => {
            let storage = Storage::new(database, "--to")?;
            (storage.open_target(ids).await?, Some(storage))
        }
        LogPlace::EventStore(event_store) => (event_store.open_target().await?, None),
    };
    let mut copying = Copying::begin(&log, target).await?;
    // Let go of at once: who holds it keeps the head from moving.
    let head = *log.head().borrow();
    let working = Box::pin(work(&mut copying, head, options.follow));
    // Where only the log is, no actions of operators are noted.
    let copied = match &original {
        Some(original) => original.notes(environment, "copyLog", shown(&to), working).await,
        None => working.await,
    };
    let closed = copying.close().await;
    log.close().await;
    let sentence = copied?;
    closed?;
    print_line(&sentence)?;
    print_line(NOT_MOVED)
}

/// The place that an option names. It is not read by the command line's parser, which would repeat it with its password.
fn place(option: &'static str, url: &str) -> anyhow::Result<LogPlace> {
    config::log_url(url, option).map_err(|problem| anyhow::anyhow!("{option} {problem}"))
}

fn is_same_place(from: &LogPlace, to: &LogPlace) -> bool {
    match (from, to) {
        (LogPlace::Database(from), LogPlace::Database(to)) => from.is_same_place(to),
        (LogPlace::EventStore(from), LogPlace::EventStore(to)) => from.is_same_place(to),
        _ => false,
    }
}

/// Opens a log to read it. The place, where there is one, keeps others out for as long as it lives.
async fn open(place: &LogPlace, ids: &dyn IdSource) -> anyhow::Result<(Log, Option<Place>)> {
    match place {
        LogPlace::Database(database) => {
            let place = Place::of(database, None, "--from")?;
            Ok((place.open_log(ids).await?, Some(place)))
        }
        LogPlace::EventStore(event_store) => Ok((event_store.open_log(ids).await?, None)),
    }
}

/// A place for people, without its password.
fn shown(place: &LogPlace) -> String {
    match place {
        LogPlace::Database(Database::Folder(folder)) => format!("sqlite:{}", folder.display()),
        LogPlace::Database(Database::Postgres(url)) => match postgres::options(url.expose_secret()) {
            Ok(options) => postgres::place(&options),
            Err(_) => "postgres:".to_owned(),
        },
        LogPlace::EventStore(event_store) => event_store.place(),
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
