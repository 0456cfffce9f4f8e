//! Detects at the start that the event log is shorter than what was derived from it: it was restored from a backup without `honoken log
//! restored`, or its disk lost data that it had promised to keep.
//!
//! Phones hold tags of the lost events, so the log is treated as if `honoken log restored` had been run. While a process runs,
//! `event_store/src/postgres/set_back.rs` does the same.

use honoken_event_store::{EventLog, Log, Position};
use honoken_projections::{ReadModel, WALLET};
use honoken_pushers::ledger::Ledger;

use crate::ids::IdSource;
use crate::storage::Storage;

/// Opens the event log, and gives it another epoch first if it lacks events that the other stores know.
///
/// # Errors
/// When a store cannot be used.
pub async fn open_log(
    storage: &Storage,
    ids: &dyn IdSource,
    read_model: &ReadModel,
    ledger: &Ledger,
) -> anyhow::Result<Log> {
    let log = storage.open_log(ids).await?;
    if *log.head().borrow() == Position(0) && read_model.is_of_another_log(log.epoch()).await? {
        // To go on would empty the tables, and refuse every phone its passes.
        let projected = read_model.checkpoint(WALLET).await?;
        anyhow::ensure!(
            projected == Position(0),
            "the event log is empty, and the read model was filled from another one, up to position {projected}: set DATABASE_URL and \
             HONOKEN_EVENT_STORE_URL as they were before. If an empty event log is meant, give it an empty folder or database"
        );
    }
    let known = known(&log, read_model, ledger).await?;
    // The log itself is asked, since the head that this process knows may be older than what another process has projected meanwhile.
    if log.reaches(known).await? {
        return Ok(log);
    }
    let (old, head) = (log.epoch(), *log.head().borrow());
    log.close().await;
    let epoch = storage.change_epoch(ids).await?;
    ledger.follow_log(epoch, head).await?;
    tracing::error!(
        "the event log was set back: position {known} was seen, and it ends at {head}. It got the epoch {epoch} instead of {old}, so that phones ask \
         for everything and miss no change; the read model is filled again"
    );
    storage.open_log(ids).await
}

/// The furthest position of this log from which anything was derived.
async fn known(log: &Log, read_model: &ReadModel, ledger: &Ledger) -> anyhow::Result<Position> {
    let epoch = log.epoch();
    let told = ledger.furthest(epoch).await?;
    if read_model.is_of_another_log(epoch).await? {
        return Ok(told);
    }
    Ok(told.max(read_model.checkpoint(WALLET).await?))
}
