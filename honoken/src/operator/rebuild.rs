//! `honoken rebuild`

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use honoken_event_store::Log;
use honoken_projections::{Copy, CopyError, CopyState, ReadModel, WALLET};
use honoken_service::rebuilds::Rebuilds;

use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Environment, Place, StorageOptions};

/// What the help shows.
pub const EXAMPLES: &str = "\
Examples:
  honoken rebuild --data-dir /srv/honoken
  DATABASE_URL=postgres://honoken@localhost/honoken honoken rebuild --hold

The tables are filled beside those that are read, which go on, and take their place when they have caught up. A running service may go on; one with
SQLite files does the work itself. The tables that were read before are kept, so that `POST /admin/projections/wallet/rollback` brings them back, until the next
rebuild or `…/drop`. Interrupted, the command goes on where it was when it is given again. It shows a bar on a terminal, and elsewhere a line every five seconds.";

/// Which read model, and how far.
#[derive(Debug, Args)]
pub struct Options {
    /// Let the new tables follow the event log, and take over only after `POST /admin/projections/wallet/switch`.
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    location: StorageOptions,
}

/// Between two looks at the progress.
const INTERVAL: Duration = Duration::from_millis(200);

/// Fills a copy of the read model, and lets it take over.
///
/// # Errors
/// When a database is unavailable, the rebuild is cancelled, or the new tables cannot take over. The read model is then unchanged.
pub async fn run(options: &Options, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    let target = "/projections/wallet/rebuild".to_owned();
    place.notes(environment, "rebuild", target, rebuild(&place, options.hold, environment)).await
}

async fn rebuild(place: &Place, hold: bool, environment: &Environment) -> anyhow::Result<()> {
    // Beside a running process this makes sure that it is of the same release.
    let log = Arc::new(place.open_log(&*environment.ids).await?);
    let read_model = place.open_read_model().await?;
    let rebuilt = match place {
        Place::Running(_) => follow(&read_model, hold, environment).await,
        Place::Storage(_) => here(&log, &read_model, hold, environment).await,
    };
    read_model.close().await;
    if let Some(log) = Arc::into_inner(log) {
        log.close().await;
    }
    if rebuilt? == CopyState::Ready {
        return print_line(
            "the new tables have caught up and follow the event log: POST /admin/projections/wallet/switch lets them take over",
        );
    }
    let read_model = place.open_read_model().await?;
    let (position, parked) = (read_model.checkpoint(WALLET).await, read_model.parked_count(WALLET).await);
    read_model.close().await;
    print_line(&format!(
        "the read model was rebuilt from the event log, up to position {}; {} events are parked",
        position?, parked?
    ))
}

/// Does the work in this process, unless another one is at it.
async fn here(
    log: &Arc<Log>,
    read_model: &ReadModel,
    hold: bool,
    environment: &Environment,
) -> anyhow::Result<CopyState> {
    let Environment { config, clock, .. } = environment;
    let rebuilds = Rebuilds::start(log.clone(), read_model.clone(), clock.clone(), config.retention);
    let followed = tokio::select! {
        followed = follow(read_model, hold, environment) => followed,
        () = read_model.keep_reporting() => unreachable!("it goes on for ever"),
    };
    rebuilds.end().await;
    followed
}

/// Asks for a rebuild, or joins the one that is at work, and shows its progress until it has ended.
async fn follow(read_model: &ReadModel, hold: bool, environment: &Environment) -> anyhow::Result<CopyState> {
    let copies = read_model.copies();
    let id = match copies.rebuild(hold, environment.clock.unix_seconds()).await {
        Ok(id) => id,
        Err(CopyError::AtWork) => {
            let at_work = copies.all().await?.into_iter().rfind(|copy| copy.state.is_at_work());
            let copy = at_work.ok_or(CopyError::AtWork)?;
            tracing::info!(
                "a rebuild is at work already, at position {}: this is its progress",
                copy.position
            );
            copy.id
        }
        Err(fault) => return Err(fault.into()),
    };
    read_model.wishes_changed();
    let mut progress = None;
    let ended = loop {
        let found = copies.all().await?.into_iter().find(|copy| copy.id == id);
        let copy = found.ok_or_else(|| anyhow::anyhow!("the rebuild is not known any more"))?;
        if copy.target.0 > 0 {
            let shown = progress.get_or_insert_with(|| Progress::of("events", copy.target.0));
            shown.at(copy.position.0);
        }
        if let Some(ended) = ended(&copy) {
            break ended;
        }
        tokio::time::sleep(INTERVAL).await;
    };
    if let Some(progress) = progress {
        progress.clear();
    }
    ended
}

/// How a rebuild has ended; `None` while it goes on.
fn ended(copy: &Copy) -> Option<anyhow::Result<CopyState>> {
    match copy.state {
        CopyState::Live | CopyState::Kept => Some(Ok(CopyState::Live)),
        CopyState::Leaving | CopyState::Gone => Some(Err(anyhow::anyhow!("the rebuild was cancelled"))),
        CopyState::Ready if copy.held => Some(Ok(CopyState::Ready)),
        CopyState::Ready => copy.note.as_ref().map(|note| Err(anyhow::anyhow!("{note}"))),
        CopyState::Filling | CopyState::CatchingUp => None,
    }
}
