//! `honoken migrate`

use honoken_service::clock::Clock;
use honoken_service::ids::IdSource;
use honoken_service::operations::audit::{Action, Record};

use crate::config::Config;
use crate::operator::print::print_line;
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
