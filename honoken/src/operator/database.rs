//! The commands `migrate` and `rebuild`.

use honoken_event_store::EventLog;
use honoken_service::clock::Clock;
use honoken_service::ids::IdSource;
use honoken_service::operations::audit::{Action, Record};
use honoken_service::storage::Storage;
use honoken_service::stores;

use crate::config::Config;
use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::StorageOptions;
use crate::operator::user;

/// `honoken migrate`
///
/// # Errors
/// When the database is unavailable or a migration fails.
pub async fn migrate(
    options: &StorageOptions,
    config: &Config,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> anyhow::Result<()> {
    let storage = options.storage(config)?;
    let migrating = storage.migrate(ids);
    match storage.open_office().await {
        Ok(office) => {
            let record = Record { office, clock, ids, actor: &user::actor() };
            let action = Action { name: "migrate", target: "/migrate".to_owned() };
            record.note(action, migrating).await?;
        }
        // A new database, or one of a release that noted nothing, has no place for a note yet.
        Err(_) => migrating.await?,
    }
    print_line("the database has the schema of this release")
}

/// `honoken rebuild`
///
/// # Errors
/// When the database is unavailable, or a process uses the files. The read model is then unchanged.
pub async fn rebuild(
    options: &StorageOptions,
    config: &Config,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> anyhow::Result<()> {
    let storage = options.storage(config)?;
    storage.must_have_a_log()?;
    let record = Record { office: storage.open_office().await?, clock, ids, actor: &user::actor() };
    let action = Action { name: "rebuild", target: "/projections/wallet/rebuild".to_owned() };
    record.note(action, fill_again(&storage, config, clock, ids)).await
}

async fn fill_again(
    storage: &Storage,
    config: &Config,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> anyhow::Result<()> {
    let log = storage.open_log(ids).await?;
    let read_model = storage.open_read_model().await?;
    let mut progress = Progress::of("events", log.head().borrow().0);
    let cutoff = config.retention.cutoff(clock.unix_seconds());
    let rebuilt = stores::rebuild(&log, &read_model, cutoff, &mut |position| progress.at(position.0)).await;
    progress.clear();
    read_model.close().await;
    log.close().await;
    let rebuilt = rebuilt?;
    print_line(&format!(
        "the read model was rebuilt from the event log, up to position {}; {} aggregates have parked events",
        rebuilt.position,
        rebuilt.parked.len()
    ))
}
