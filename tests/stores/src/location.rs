//! Where stores are, and how they are opened there.

use std::path::PathBuf;

use honoken_event_store::{Epoch, Log, PostgresLog, SqliteLog};
use honoken_projections::{ReadModel, read_model};
use sqlx::postgres::PgConnectOptions;

use crate::sql::Sql;

const EVENT_LOG: &str = "events.sqlite";
const READ_MODEL: &str = "read_model.sqlite";
const COPIES: &str = "read_model_copies.sqlite";

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

    /// A connection to the live copy of the read model.
    pub async fn read_model_sql(&self) -> Sql {
        let live = self.live_copy().await;
        self.copy_sql(live).await
    }

    /// A connection to a copy of the read model.
    pub async fn copy_sql(&self, copy: i64) -> Sql {
        let file = match copy {
            1 => READ_MODEL.to_owned(),
            copy => format!("read_model.{copy}.sqlite"),
        };
        let mut sql = self.sql(&file).await;
        if let (Self::Server(_), 2..) = (self, copy) {
            sql.execute(&format!("set search_path to read_model_{copy}")).await;
        }
        sql
    }

    /// A connection to the directory of copies of the read model.
    pub async fn copies_sql(&self) -> Sql {
        self.sql(COPIES).await
    }

    /// The copy of the read model that is read. The first, where there are none yet.
    pub async fn live_copy(&self) -> i64 {
        if let Self::Folder(folder) = self
            && !folder.join(COPIES).exists()
        {
            return 1;
        }
        let mut directory = self.copies_sql().await;
        let live =
            "select cast(copy as text) from read_model_copy where state = 'live' order by version desc";
        let live = directory.column(live).await;
        directory.close().await;
        live.first().map_or(1, |live| live.parse().expect("a number"))
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
