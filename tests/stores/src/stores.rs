//! New stores for one test.

use honoken_database::postgres;
use honoken_test_postgres::{Cluster, Database};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

use crate::engine::Engine;
use crate::location::Location;

/// A new folder, or a new database with the tables of event log and read model. It goes when this is dropped.
#[derive(Debug)]
pub struct Stores {
    location: Location,
    /// Removed with this.
    _kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Folder {
        _folder: TempDir,
    },
    Database {
        _database: Database,
    },
    /// The database goes with its server.
    Nothing,
}

impl Stores {
    /// New stores; on Postgres in the shared server.
    ///
    /// # Panics
    ///
    /// When they cannot be made.
    pub async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = TempDir::new().expect("a folder for the test");
                let location = Location::Folder(folder.path().to_owned());
                Self { location, _kept: Kept::Folder { _folder: folder } }
            }
            Engine::Postgres => {
                let database = honoken_test_postgres::database().await;
                let location = migrated(database.url()).await;
                Self { location, _kept: Kept::Database { _database: database } }
            }
        }
    }

    /// New stores in a server of the test's own.
    ///
    /// # Panics
    ///
    /// When they cannot be made.
    pub async fn in_cluster(cluster: &Cluster) -> Self {
        Self { location: migrated(&cluster.create_database().await).await, _kept: Kept::Nothing }
    }

    /// The engine that these stores are on.
    pub fn engine(&self) -> Engine {
        match self.location {
            Location::Folder(_) => Engine::Sqlite,
            Location::Server(_) => Engine::Postgres,
        }
    }

    /// Where these stores are, and can be opened.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The server that these stores are known to be on.
    ///
    /// # Panics
    ///
    /// When they are files.
    pub fn known_server(&self) -> &PgConnectOptions {
        self.location.server().expect("the stores of this test are on a server")
    }
}

async fn migrated(url: &str) -> Location {
    let options = postgres::options(url).expect("the URL of a database");
    let location = Location::Server(options.into());
    location.migrate().await;
    location
}
