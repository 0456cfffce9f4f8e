//! `honoken log restored`

use honoken_service::clock::Clock;
use honoken_service::ids::IdSource;
use honoken_service::operations::audit::{Action, Record};

use crate::config::Config;
use crate::operator::print::print_line;
use crate::operator::session::StorageOptions;
use crate::operator::user;

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken log restored --data-dir /srv/honoken
  DATABASE_URL=postgres://honoken@localhost/honoken honoken log restored";

/// Gives the event log another epoch.
///
/// # Errors
/// When the database is unavailable, or a process uses the files.
pub(super) async fn run(
    options: &StorageOptions,
    config: &Config,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> anyhow::Result<()> {
    let storage = options.storage(config)?;
    storage.must_have_a_log()?;
    let record = Record { office: storage.open_office().await?, clock, ids, actor: &user::actor() };
    let action = Action { name: "logRestored", target: "/log/restored".to_owned() };
    let epoch = record.note(action, storage.begin_anew(ids)).await?;
    print_line(&format!("update tags begin with {epoch} from now on; earlier tags ask for all passes"))
}
