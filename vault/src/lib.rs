//! Keys of personal data. The event log is kept for ever, so a person in it is sealed under a key of that pass alone, and the key is here: in a
//! file or a table of its own, where it can be destroyed.
//!
//! Keys are sealed themselves, and this crate cannot open them: a copy of the table alone says nothing. It does not know what they seal.

use std::path::Path;

use honoken_database::shared_connection::{SharedConnection, SmallStore};
use honoken_database::statements::{Row, Statement, sql};
use honoken_database::{EmbeddedMigration, MigrationError};
use honoken_domain::ids::{PassId, PassTypeIdentifier, SerialNumber};
use honoken_domain::sealed::Sealed;
use sqlx::postgres::PgConnectOptions;

const SQLITE: &[EmbeddedMigration] =
    &[(1, "person_keys", include_str!("../../migrations/sqlite/person_keys/0001_person_keys.sql"))];

/// Versions from 3001 on are the vault's; event log, read model and ledger, in the same database, have those below.
const POSTGRES: &[EmbeddedMigration] =
    &[(3001, "person_keys", include_str!("../../migrations/postgres/person_keys/0001_person_keys.sql"))];

const STORE: SmallStore = SmallStore {
    sqlite: SQLITE,
    postgres: POSTGRES,
    // Bytes that are deleted are overwritten in the pages of the file.
    settings: &["pragma secure_delete = on"],
    remedy: "stop the service and replace the file, with -wal and -shm beside it, by the one from the backup: without it the persons who have \
                      enrolled with passes cannot be read any more",
};

/// A question or a change that the data store could not carry out.
#[derive(Debug, thiserror::Error)]
#[error("the keys of personal data could not be used: {doing}")]
pub struct VaultError {
    /// The work that failed.
    pub doing: &'static str,
    /// The driver's reason.
    #[source]
    pub source: sqlx::Error,
}

/// The reason for which the vault could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data store is unavailable.
    #[error("the keys of personal data could not be opened")]
    Store(#[from] sqlx::Error),
    /// The tables are missing, or of an older release.
    #[error(transparent)]
    Schema(#[from] MigrationError),
}

/// The keys. Clones share one connection, since persons enrol and are forgotten rarely.
#[derive(Debug, Clone)]
pub struct Vault {
    connection: SharedConnection,
}

/// Brings the tables on a server to the newest schema.
///
/// # Errors
/// When the server is unavailable or a migration fails.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), OpenError> {
    STORE.migrate(options).await
}

impl Vault {
    /// Opens the keys in a file, creating it where it is missing.
    ///
    /// # Errors
    /// When the file cannot be opened or brought to the newest schema.
    pub async fn in_file(file: &Path) -> Result<Self, OpenError> {
        Ok(Self { connection: STORE.in_file::<OpenError>(file).await? })
    }

    /// Opens the keys in a file that another process writes: these can only be read.
    pub fn beside_its_process(file: &Path) -> Self {
        Self { connection: STORE.read_beside_its_process(file) }
    }

    /// Opens the keys on a server, whose tables must have been made by [`migrate`].
    ///
    /// # Errors
    /// When the server is unavailable, or its schema is older than this release needs.
    pub async fn on_server(options: &PgConnectOptions) -> Result<Self, OpenError> {
        Ok(Self { connection: STORE.on_server::<OpenError>(options).await? })
    }

    /// The key of a pass, sealed.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn key(&self, pass: &PassId) -> Result<Option<Sealed>, VaultError> {
        let rows = self.ask("reading a key", select(pass)).await?;
        Ok(rows.into_iter().next().map(|(_, key)| key))
    }

    /// Keeps a key for a pass that has none, and returns the key that the pass has then: of two processes that do this at once, one wins. The key is
    /// on disk.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn key_or(&self, pass: &PassId, new: &Sealed) -> Result<Sealed, VaultError> {
        let doing = "keeping a key";
        let insert = sql(
            "insert into person_key (pass_type_identifier, serial_number, sealed_key) values ($1, $2, $3)
             on conflict do nothing",
        );
        let insert = of_pass(insert, pass).bind(new.as_str());
        self.run(doing, insert).await?;
        // A key that was destroyed in between was asked to be, and nothing is sealed under it any more.
        Ok(self.key(pass).await?.unwrap_or_else(|| new.clone()))
    }

    /// Destroys the key of a pass, if it has one: everything that is sealed under it is unreadable from then on.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn destroy(&self, pass: &PassId) -> Result<(), VaultError> {
        let doing = "destroying a key";
        let delete = sql("delete from person_key where pass_type_identifier = $1 and serial_number = $2");
        self.run(doing, of_pass(delete, pass)).await?;
        if self.connection.is_to_a_file() {
            // Deleted bytes were overwritten in the pages, which now replace those in the file; older ones in the log of the file go as well.
            self.run(doing, sql("pragma wal_checkpoint(truncate)")).await?;
        }
        Ok(())
    }

    /// Every key, in the order of the passes.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn all(&self) -> Result<Vec<(PassId, Sealed)>, VaultError> {
        let all = sql("select pass_type_identifier, serial_number, sealed_key from person_key
             order by pass_type_identifier, serial_number");
        self.ask("reading all keys", all).await
    }

    /// The number of keys.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn count(&self) -> Result<u64, VaultError> {
        let doing = "counting the keys";
        let rows = self.run(doing, sql("select count(*) as keys from person_key")).await?;
        let count = rows.first().map_or(Ok(0), |row| row.get::<i64>("keys"));
        count.map(i64::cast_unsigned).map_err(|source| VaultError { doing, source })
    }

    /// The keys of the passes behind one, in the order of the passes; from the first on without one.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn page(
        &self,
        after: Option<&PassId>,
        limit: u32,
    ) -> Result<Vec<(PassId, Sealed)>, VaultError> {
        let page = sql("select pass_type_identifier, serial_number, sealed_key from person_key
             where (pass_type_identifier, serial_number) > ($1, $2)
             order by pass_type_identifier, serial_number
             limit $3");
        let page = match after {
            Some(pass) => of_pass(page, pass),
            None => page.bind("").bind(""),
        };
        self.ask("reading keys", page.bind(i64::from(limit))).await
    }

    /// Keeps a key under another seal, unless it was replaced or destroyed meanwhile.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn reseal(&self, pass: &PassId, old: &Sealed, new: &Sealed) -> Result<(), VaultError> {
        let update = sql("update person_key set sealed_key = $4
             where pass_type_identifier = $1 and serial_number = $2 and sealed_key = $3");
        let update = of_pass(update, pass).bind(old.as_str()).bind(new.as_str());
        self.run("sealing a key anew", update).await.map(drop)
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.connection.close().await;
    }

    async fn ask(
        &self,
        doing: &'static str,
        statement: Statement,
    ) -> Result<Vec<(PassId, Sealed)>, VaultError> {
        let rows = self.run(doing, statement).await?;
        rows.iter().map(row).collect::<sqlx::Result<_>>().map_err(|source| VaultError { doing, source })
    }

    /// Every statement here may be repeated.
    async fn run(&self, doing: &'static str, statement: Statement) -> Result<Vec<Row>, VaultError> {
        self.connection.run(statement).await.map_err(|source| VaultError { doing, source })
    }
}

fn select(pass: &PassId) -> Statement {
    let select = sql("select pass_type_identifier, serial_number, sealed_key from person_key
         where pass_type_identifier = $1 and serial_number = $2");
    of_pass(select, pass)
}

fn of_pass(statement: Statement, pass: &PassId) -> Statement {
    statement.bind(pass.pass_type_identifier.as_str()).bind(pass.serial_number.as_str())
}

fn row(row: &Row) -> sqlx::Result<(PassId, Sealed)> {
    let text = |column| row.get::<String>(column);
    let pass = PassId {
        pass_type_identifier: PassTypeIdentifier::parse(text("pass_type_identifier")?).map_err(invalid)?,
        serial_number: SerialNumber::parse(text("serial_number")?).map_err(invalid)?,
    };
    Ok((pass, Sealed::parse(text("sealed_key")?).map_err(invalid)?))
}

fn invalid(fault: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(fault))
}

#[cfg(test)]
mod tests {
    use honoken_domain::sealed::{SealingKey, SealingKeys};

    use super::*;

    fn sealed(byte: u8) -> Sealed {
        let keys = SealingKeys::new([(1, SealingKey::new([7; 32]))].into(), 1).unwrap();
        keys.seal(&[byte; 32], "owner", [byte; 12])
    }

    fn pass(serial: &str) -> PassId {
        PassId::parse(&format!("pass.com.example/{serial}")).unwrap()
    }

    async fn keeps_and_destroys(vault: &Vault) {
        assert_eq!(vault.key(&pass("1")).await.unwrap(), None);
        assert_eq!(vault.key_or(&pass("1"), &sealed(1)).await.unwrap(), sealed(1));
        assert_eq!(vault.key_or(&pass("1"), &sealed(2)).await.unwrap(), sealed(1), "the first one stays");
        assert_eq!(vault.key_or(&pass("2"), &sealed(3)).await.unwrap(), sealed(3));
        assert_eq!(vault.all().await.unwrap(), [(pass("1"), sealed(1)), (pass("2"), sealed(3))]);

        vault.reseal(&pass("1"), &sealed(2), &sealed(4)).await.unwrap();
        assert_eq!(vault.key(&pass("1")).await.unwrap(), Some(sealed(1)), "it was another one");
        vault.reseal(&pass("1"), &sealed(1), &sealed(4)).await.unwrap();
        assert_eq!(vault.key(&pass("1")).await.unwrap(), Some(sealed(4)));

        vault.destroy(&pass("1")).await.unwrap();
        vault.destroy(&pass("1")).await.unwrap();
        assert_eq!(vault.page(None, 10).await.unwrap(), [(pass("2"), sealed(3))]);
        assert_eq!(vault.page(Some(&pass("2")), 10).await.unwrap(), []);
        assert_eq!(vault.count().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_key_is_kept_in_a_file_until_it_is_destroyed_and_leaves_no_bytes_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("person_keys.sqlite");
        let vault = Vault::in_file(&file).await.unwrap();
        keeps_and_destroys(&vault).await;
        let mut left = Vec::new();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            left.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        let holds = |key: &Sealed| {
            let key = key.as_str().as_bytes();
            left.windows(key.len()).any(|part| part == key)
        };
        assert!(holds(&sealed(3)) && !holds(&sealed(1)) && !holds(&sealed(4)));
        vault.close().await;
        let again = Vault::in_file(&file).await.unwrap();
        assert_eq!(again.key(&pass("2")).await.unwrap(), Some(sealed(3)));
    }
}
