//! `honoken log restored`

use honoken_event_store::EventLog;
use honoken_service::ids::IdSource;

use crate::config::Config;
use crate::operator::print::print_line;
use crate::operator::session::StorageOptions;

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken log restored --data-dir /srv/honoken
  DATABASE_URL=postgres://honoken@localhost/honoken honoken log restored";

/// Gives the event log another epoch.
///
/// # Errors
/// When the database is unavailable, or a process uses the files.
pub(super) async fn run(options: &StorageOptions, config: &Config, ids: &dyn IdSource) -> anyhow::Result<()> {
    let storage = options.storage(config)?;
    storage.must_have_a_log()?;
    let ledger = storage.open_ledger().await?;
    let epoch = storage.change_epoch(ids).await?;
    let log = storage.open_log(ids).await?;
    // This is done while no process appends: positions of lost events that the ledger knows must not hide the new events at those
    // positions.
    let head = *log.head().borrow();
    ledger.follow_log(epoch, head).await?;
    log.close().await;
    ledger.close().await;
    print_line(&format!("update tags begin with {epoch} from now on; earlier tags ask for all passes"))
}
