//! The records of the operators' office: what operators need to know and no event says. They are in a file or in tables of their own, which a
//! rebuild of the read model leaves alone, and which belong into the backup.
//!
//! - [`audit`]: what operators did
//! - [`key_uses`]: when each API key was last used
//! - [`signed_nonces`]: the nonces of signed requests
//! - [`operators`]: who may operate the service, with their roles and the hashes of their passwords

pub mod audit;
pub mod key_uses;
pub mod operators;
pub mod signed_nonces;

use std::path::Path;

use honoken_database::shared_connection::{SharedConnection, SmallStore};
use honoken_database::statements::{Row, Statement};
use honoken_database::{EmbeddedMigration, MigrationError};
use sqlx::postgres::PgConnectOptions;

const SQLITE: &[EmbeddedMigration] = &[
    (1, "key_uses", include_str!("../../migrations/sqlite/office/0001_key_uses.sql")),
    (2, "operators", include_str!("../../migrations/sqlite/office/0002_operators.sql")),
    (3, "audit", include_str!("../../migrations/sqlite/office/0003_audit.sql")),
    (4, "signed_nonces", include_str!("../../migrations/sqlite/office/0004_signed_nonces.sql")),
];

/// Versions from 4001 on are the office's; the other stores, in the same database, have those below.
const POSTGRES: &[EmbeddedMigration] = &[
    (4001, "key_uses", include_str!("../../migrations/postgres/office/0001_key_uses.sql")),
    (4002, "operators", include_str!("../../migrations/postgres/office/0002_operators.sql")),
    (4003, "audit", include_str!("../../migrations/postgres/office/0003_audit.sql")),
    (4004, "signed_nonces", include_str!("../../migrations/postgres/office/0004_signed_nonces.sql")),
];

const STORE: SmallStore = SmallStore {
    sqlite: SQLITE,
    postgres: POSTGRES,
    // The hash of a password that was replaced is overwritten in the pages of the file.
    settings: &["pragma secure_delete = on"],
    remedy: "stop the service and replace the file, with -wal and -shm beside it, by the one from the backup: without it the stored operators \
                      have to be added again, and nobody knows what operators did and when API keys were last used",
};

/// A question or a change that the data store could not carry out.
#[derive(Debug, thiserror::Error)]
#[error("the records of the office could not be used: {doing}")]
pub struct OfficeError {
    /// The work that failed.
    pub doing: &'static str,
    /// The driver's reason.
    #[source]
    pub source: sqlx::Error,
}

/// The reason for which the office could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data store is unavailable.
    #[error("the records of the office could not be opened")]
    Store(#[from] sqlx::Error),
    /// The tables are missing, or of an older release.
    #[error(transparent)]
    Schema(#[from] MigrationError),
}

/// The records. Clones share one connection, since operators are few.
#[derive(Debug, Clone)]
pub struct Office {
    connection: SharedConnection,
}

/// Brings the tables on a server to the newest schema.
///
/// # Errors
/// When the server is unavailable or a migration fails.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), OpenError> {
    STORE.migrate(options).await
}

impl Office {
    /// Opens the records in a file, creating it where it is missing.
    ///
    /// # Errors
    /// When the file cannot be opened or brought to the newest schema.
    pub async fn in_file(file: &Path) -> Result<Self, OpenError> {
        Ok(Self { connection: STORE.in_file::<OpenError>(file).await? })
    }

    /// Opens the records in a file that another process has opened, and brought to the newest schema. Both write: each row stands alone.
    pub fn beside_its_process(file: &Path) -> Self {
        Self { connection: STORE.in_file_of_another(file) }
    }

    /// Opens the records on a server, whose tables must have been made by [`migrate`].
    ///
    /// # Errors
    /// When the server is unavailable, or its schema is older than this release needs.
    pub async fn on_server(options: &PgConnectOptions) -> Result<Self, OpenError> {
        Ok(Self { connection: STORE.on_server::<OpenError>(options).await? })
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.connection.close().await;
    }

    /// Every statement here may be repeated.
    async fn run(&self, doing: &'static str, statement: Statement) -> Result<Vec<Row>, OfficeError> {
        self.connection.run(statement).await.map_err(|source| OfficeError { doing, source })
    }
}

fn invalid(fault: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(fault))
}

#[cfg(test)]
mod tests {
    use honoken_database::postgres;
    use honoken_domain::ids::{Digest, UnixSeconds};

    use super::audit::{Entry, Filter, PAGE};
    use super::operators::{Added, MOST_OPERATORS, NewOperator, Role};
    use super::signed_nonces::{MOST_NONCES, NonceUse};
    use super::*;

    /// The records in a file, and on a server.
    async fn offices(folder: &Path, server: &str) -> [Office; 2] {
        let options = postgres::options(server).unwrap();
        assert!(Office::on_server(&options).await.is_err(), "nobody has migrated");
        migrate(&options).await.unwrap();
        let file = folder.join("office.sqlite");
        [Office::in_file(&file).await.unwrap(), Office::on_server(&options).await.unwrap()]
    }

    #[tokio::test]
    async fn the_use_of_a_key_is_noted_once_an_hour() {
        let (folder, server) = (tempfile::tempdir().unwrap(), honoken_test_postgres::database().await);
        for office in offices(folder.path(), server.url()).await {
            let (till, gate) = (Digest::of(b"till"), Digest::of(b"gate"));
            assert!(office.key_uses().await.unwrap().is_empty());
            for (at, known) in [(5000, 5000), (8599, 5000), (8600, 8600), (7000, 8600), (20_000, 20_000)] {
                office.note_use(&till, UnixSeconds(at)).await.unwrap();
                assert_eq!(office.key_uses().await.unwrap()[&till], UnixSeconds(known), "{at}");
            }
            office.note_use(&gate, UnixSeconds(1)).await.unwrap();
            let uses = office.key_uses().await.unwrap();
            assert_eq!(uses, [(till, UnixSeconds(20_000)), (gate, UnixSeconds(1))].into());
            office.close().await;
        }
    }

    #[tokio::test]
    async fn actions_are_listed_from_the_latest_on_in_pages_and_by_actor_and_action() {
        let (folder, server) = (tempfile::tempdir().unwrap(), honoken_test_postgres::database().await);
        for office in offices(folder.path(), server.url()).await {
            let entry = |number: i64| Entry {
                id: format!("{number:08}"),
                at_ms: 1000 + number,
                actor: if number % 2 == 0 { "vera" } else { "otto" }.to_owned(),
                from: (number % 3 == 0).then(|| "10.0.0.1".to_owned()),
                action: if number % 5 == 0 { "createApiKey" } else { "revokeApiKey" }.to_owned(),
                target: "/organizations/club/keys".to_owned(),
                result: Some(200 + number % 2),
            };
            let all = PAGE + 50;
            for number in 0..all {
                let entry = entry(number);
                office.begin_action(&entry).await.unwrap();
                office.begin_action(&entry).await.unwrap();
                let (found, _) = office.actions(&Filter::default()).await.unwrap();
                assert_eq!(found[0].result, None, "{number}");
                office.end_action(&entry.id, 200 + number % 2).await.unwrap();
            }
            let (first, more) = office.actions(&Filter::default()).await.unwrap();
            assert!(more && first == (50..all).rev().map(entry).collect::<Vec<_>>());
            let before = Some(first.last().unwrap().id.as_str());
            let (second, more) = office.actions(&Filter { before, ..Filter::default() }).await.unwrap();
            assert!(!more && second == (0..50).rev().map(entry).collect::<Vec<_>>());
            for (actor, action) in
                [(Some("vera"), None), (None, Some("createApiKey")), (Some("otto"), Some("createApiKey"))]
            {
                let (found, more) = office.actions(&Filter { actor, action, before: None }).await.unwrap();
                let is_asked_for = |entry: &Entry| {
                    actor.is_none_or(|actor| entry.actor == actor)
                        && action.is_none_or(|action| entry.action == action)
                };
                let expected: Vec<_> = (0..all).rev().map(entry).filter(is_asked_for).collect();
                assert!(!more && found == expected, "{actor:?} {action:?}");
            }
            office.close().await;
        }
    }

    #[tokio::test]
    async fn a_nonce_counts_once_until_its_signature_has_ended() {
        let (folder, server) = (tempfile::tempdir().unwrap(), honoken_test_postgres::database().await);
        for office in offices(folder.path(), server.url()).await {
            let uses = async |nonce: &str, id: &str, until: i64, now: i64| {
                office.use_nonce(nonce, id, UnixSeconds(until), UnixSeconds(now)).await.unwrap()
            };
            assert_eq!(uses("one", "1", 1300, 1000).await, NonceUse::First);
            assert_eq!(
                uses("one", "1", 1300, 1000).await,
                NonceUse::First,
                "a repeated statement finds its own row"
            );
            assert_eq!(uses("one", "2", 1300, 1001).await, NonceUse::Used);
            assert_eq!(uses("two", "3", 1301, 1001).await, NonceUse::First);
            // Of processes that use one at the same time, one is the first.
            let ids: Vec<_> = (0..20).map(|number| format!("at once {number}")).collect();
            let at_once = ids.iter().map(|id| uses("three", id, 1300, 1002));
            let first = futures::future::join_all(at_once).await;
            assert_eq!(first.iter().filter(|result| **result == NonceUse::First).count(), 1, "{first:?}");
            assert_eq!(uses("one", "4", 1300, 1600).await, NonceUse::Used, "clocks differ");
            assert_eq!(uses("one", "5", 2000, 1601).await, NonceUse::First, "it is forgotten");
            let fill = "with recursive number (n) as (select 1 union all select n + 1 from number where n < $1)
                        insert into signed_nonce (nonce, use, ends_at) select 'n' || n, '6', 9000 from number";
            office
                .run("filling", honoken_database::statements::sql(fill).bind(MOST_NONCES - 2))
                .await
                .unwrap();
            assert_eq!(uses("full", "7", 2000, 1601).await, NonceUse::TooMany);
            assert_eq!(uses("one", "8", 2000, 1601).await, NonceUse::Used);
            assert_eq!(uses("full", "9", 20_000, 9001).await, NonceUse::First, "there is room again");
            office.close().await;
        }
    }

    #[tokio::test]
    async fn an_operator_is_added_changed_and_removed() {
        let (folder, server) = (tempfile::tempdir().unwrap(), honoken_test_postgres::database().await);
        for office in offices(folder.path(), server.url()).await {
            let add = async |name: &str, revision: &str| {
                let new = NewOperator {
                    name,
                    role: Role::Viewer,
                    password_hash: "the hash",
                    at: UnixSeconds(1000),
                    revision,
                };
                office.add_operator(new).await.unwrap()
            };
            assert_eq!(add("vera", "1").await, Added::New);
            assert_eq!(add("vera", "1").await, Added::New, "a repeated statement finds its own row");
            assert_eq!(add("vera", "2").await, Added::NameTaken);
            let known = async |name: &str| {
                let row = office.operator(name).await.unwrap()?;
                Some((row.role, row.password_hash))
            };
            assert!(office.change_operator("vera", Some(Role::Owner), None, "3").await.unwrap());
            assert_eq!(known("vera").await, Some((Role::Owner, "the hash".to_owned())));
            assert!(office.change_operator("vera", None, Some("another"), "4").await.unwrap());
            assert_eq!(known("vera").await, Some((Role::Owner, "another".to_owned())));
            assert!(!office.change_operator("nobody", Some(Role::Owner), None, "5").await.unwrap());
            for number in 1..MOST_OPERATORS {
                assert_eq!(add(&format!("operator {number:03}"), "6").await, Added::New);
            }
            assert_eq!(add("one more", "7").await, Added::TooMany);
            let names: Vec<_> = office.operators().await.unwrap().into_iter().map(|row| row.name).collect();
            assert!(names.is_sorted() && i64::try_from(names.len()) == Ok(MOST_OPERATORS), "{names:?}");
            assert!(office.remove_operator("vera").await.unwrap());
            assert!(!office.remove_operator("vera").await.unwrap());
            assert_eq!(known("vera").await, None);
            office.close().await;
        }
    }
}
