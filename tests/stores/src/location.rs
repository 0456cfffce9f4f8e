//! Where stores are, and how they are opened there.

use std::path::PathBuf;

use honoken_event_store::{Epoch, Log, PostgresLog, SqliteLog};
use honoken_projections::{ReadModel, read_model};
use sqlx::postgres::PgConnectOptions;

use crate::sql::Sql;

const EVENT_LOG: &str = "events.sqlite";
const READ_MODEL: &str = "read_model.sqlite";

/// Where the stores of a service are.
#[derive(Debug, Clone)]
pub enum Location {
    /// A folder with a file for each store.
    Folder(PathBuf),
    /// A database on a server, with the tables of all stores.
    Server(Box<PgConnectOptions>),
}

impl Location {
    /// Brings the tables of the event log and of the read model to the newest schema, on a server. Files are brought there when they are opened.
    pub(crate) async fn migrate(&self) {
        if let Self::Server(options) = self {
            honoken_event_store::postgres::migrate(options).await.expect("the event log has its tables");
            read_model::migrate(options).await.expect("the read model has its tables");
        }
    }

    /// The event log, which gets that epoch when it is new.
    pub async fn event_log(&self, new_epoch: Epoch) -> Log {
        let opened = match self {
            Self::Folder(folder) => {
                SqliteLog::open(&folder.join(EVENT_LOG), new_epoch).await.map(Log::Sqlite)
            }
            Self::Server(options) => PostgresLog::open(options, new_epoch).await.map(Log::Postgres),
        };
        opened.unwrap_or_else(|fault| panic!("the event log did not open: {fault:?}"))
    }

    /// The read model.
    pub async fn read_model(&self) -> ReadModel {
        let opened = match self {
            Self::Folder(folder) => ReadModel::in_file(&folder.join(READ_MODEL)).await,
            Self::Server(options) => ReadModel::on_server(options).await,
        };
        opened.unwrap_or_else(|fault| panic!("the read model did not open: {fault:?}"))
    }

    /// A connection to the event log.
    pub async fn event_log_sql(&self) -> Sql {
        self.sql(EVENT_LOG).await
    }

    /// A connection to the read model.
    pub async fn read_model_sql(&self) -> Sql {
        self.sql(READ_MODEL).await
    }

    /// A connection to the store in a file of that name, or to the database.
    pub async fn sql(&self, file: &str) -> Sql {
        match self {
            Self::Folder(folder) => Sql::file(&folder.join(file)).await,
            Self::Server(options) => Sql::server(options).await,
        }
    }

    /// The file of the read model, where it is one.
    pub fn read_model_file(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.join(READ_MODEL)),
            Self::Server(_) => None,
        }
    }

    /// The server, where stores are on one.
    pub fn server(&self) -> Option<&PgConnectOptions> {
        match self {
            Self::Folder(_) => None,
            Self::Server(options) => Some(options),
        }
    }
}
