//! Where the tables of a copy are: a file, or a schema on a server. The first copy is where all tables were before there were copies.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use honoken_database::postgres::{self, in_schema};
use honoken_database::sqlite::Durability;
use honoken_database::sqlite_file::SqliteFile;
use honoken_database::statements::{Connection, ReaderPool, composed, sql};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Executor, PgConnection};

use crate::copies::directory::FIRST;
use crate::migrations::{OpenError, POSTGRES, migrate_file};

/// Instructions for an operator whose file is damaged.
const REMEDY: &str = "stop the service and delete the file, with -wal and -shm beside it: it is filled again from the event log at the next start; only \
                      parked events that were skipped have to be skipped again";

/// Connections that only read, at most.
const READERS: u32 = 8;

/// Where all copies are.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    /// The file of the first; the others are beside it. The flag: another process writes them.
    Files(PathBuf, bool),
    /// The server, and the schema of the first.
    Server(Box<PgConnectOptions>, String),
}

/// Where one copy is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    File(SqliteFile, bool),
    Schema { options: Box<PgConnectOptions>, base: String, schema: String, copy: i64 },
}

impl Home {
    /// On a server, whose default schema is asked for.
    pub(crate) async fn server(
        options: &PgConnectOptions,
        connection: &mut PgConnection,
    ) -> sqlx::Result<Self> {
        let base: Option<String> =
            sqlx::query_scalar("select current_schema()::text").fetch_one(connection).await?;
        Ok(Self::Server(Box::new(options.clone()), base.unwrap_or_else(|| "public".to_owned())))
    }

    /// The file of the directory of copies, where copies are files.
    pub(crate) fn directory_file(first: &Path) -> PathBuf {
        beside(first, "_copies")
    }

    /// The place of a copy.
    pub(crate) fn of(&self, copy: i64) -> Place {
        match self {
            Self::Files(first, of_another) => {
                let path = if copy == FIRST { first.clone() } else { beside(first, &format!(".{copy}")) };
                Place::File(SqliteFile::new(&path, REMEDY), *of_another)
            }
            Self::Server(options, base) => {
                let schema = if copy == FIRST { base.clone() } else { schema_of(base, copy) };
                let (options, base) = (options.clone(), base.clone());
                Place::Schema { options, base, schema, copy }
            }
        }
    }
}

/// `read_model.sqlite` and `.2` are `read_model.2.sqlite`.
fn beside(first: &Path, suffix: &str) -> PathBuf {
    let stem = first.file_stem().unwrap_or_default().to_string_lossy();
    let extension = first.extension().unwrap_or_default().to_string_lossy();
    first.with_file_name(format!("{stem}{suffix}.{extension}"))
}

/// The schema of a copy beside that of the first, so that two installations in one database have their own.
fn schema_of(base: &str, copy: i64) -> String {
    let base = if base == "public" { String::new() } else { format!("{base}_") };
    format!("{base}read_model_{copy}")
}

/// A name in a statement.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Place {
    /// Its name, for operators.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(file, _) => file.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Schema { schema, .. } => schema.clone(),
        }
    }

    /// A connection that writes, unless another process does.
    pub(crate) async fn open(&self) -> sqlx::Result<Connection> {
        match self {
            Self::File(file, false) => Connection::sqlite(file, Durability::Rebuildable).await,
            Self::File(file, true) => Connection::sqlite_reader(file).await,
            Self::Schema { .. } => Connection::postgres(&self.options()).await,
        }
    }

    /// A connection that reads everything as it is at its first statement.
    pub(crate) async fn open_snapshot(&self) -> sqlx::Result<Connection> {
        let mut connection = match self {
            Self::File(file, _) => Connection::sqlite_reader(file).await?,
            Self::Schema { .. } => Connection::postgres(&self.options()).await?,
        };
        connection.begin_snapshot().await?;
        Ok(connection)
    }

    /// Connections that only read.
    pub(crate) fn readers(&self) -> ReaderPool {
        match self {
            Self::File(file, _) => ReaderPool::Sqlite(file.open_readers(READERS), file.clone()),
            Self::Schema { .. } => ReaderPool::Postgres(postgres::open_readers(&self.options(), READERS)),
        }
    }

    /// The options of connections whose names without a schema are the copy's. Those of the first copy are as they were configured.
    fn options(&self) -> PgConnectOptions {
        match self {
            Self::Schema { options, copy, .. } if *copy == FIRST => (**options).clone(),
            Self::Schema { options, schema, .. } => in_schema(options, schema),
            Self::File(..) => unreachable!("a file has no options of a server"),
        }
    }

    /// Makes the tables where they are missing, and brings them to the newest schema.
    pub(crate) async fn prepare(&self) -> Result<(), OpenError> {
        match self {
            Self::File(file, _) => {
                // Only its owner can read it, since it holds authentication tokens.
                let mut options = std::fs::OpenOptions::new();
                options.create(true).append(true).mode(0o600).open(file.path()).map_err(sqlx::Error::from)?;
                let mut connection = file.open_writer(Durability::Rebuildable).await?;
                file.heeds(migrate_file(&mut connection).await)?;
                Ok(sqlx::Connection::close(connection).await?)
            }
            Self::Schema { options, base, schema, copy } => {
                if *copy != FIRST {
                    let mut connection = postgres::open_writer(options).await?;
                    // Whoever may read the tables of the first copy may read these.
                    let make = format!("create schema if not exists {}", quoted(schema));
                    connection.execute(make.as_str()).await?;
                    sqlx::Connection::close(connection).await?;
                }
                let mut connection = postgres::open_writer(&self.options()).await?;
                honoken_database::migrate(&mut connection, POSTGRES).await?;
                connection.execute(views(base, schema, *copy).as_str()).await?;
                Ok(sqlx::Connection::close(connection).await?)
            }
        }
    }

    /// Removes the tables. Those of the first copy on a server are emptied, since the migrations of the other stores are noted beside them.
    pub(crate) async fn remove(&self) -> sqlx::Result<()> {
        match self {
            Self::File(file, _) => {
                let path = file.path().to_owned();
                tokio::task::spawn_blocking(move || remove_file(&path))
                    .await
                    .map_err(|fault| sqlx::Error::Io(std::io::Error::other(fault)))?
            }
            Self::Schema { options, schema, copy, .. } => {
                let mut connection = postgres::open_writer(options).await?;
                if *copy == FIRST {
                    let tables: Vec<String> = sqlx::query_scalar(
                        "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables
                         where schemaname = $1 and (tablename like 'wallet\\_%' or tablename in ('projection_checkpoint', 'parked_event', 'skipped_event'))",
                    )
                    .bind(schema)
                    .fetch_all(&mut connection)
                    .await?;
                    connection.execute(format!("truncate {}", tables.join(", ")).as_str()).await?;
                } else {
                    let remove = format!("drop schema if exists {} cascade", quoted(schema));
                    connection.execute(remove.as_str()).await?;
                }
                sqlx::Connection::close(connection).await
            }
        }
    }

    /// The room that the tables take.
    pub(crate) async fn bytes(&self) -> sqlx::Result<u64> {
        match self {
            Self::File(file, _) => {
                let size = |suffix: &str| {
                    let mut name = file.path().as_os_str().to_owned();
                    name.push(suffix);
                    std::fs::metadata(name).map_or(0, |data| data.len())
                };
                Ok(size("") + size("-wal"))
            }
            Self::Schema { schema, .. } => {
                let mut connection = self.open().await?;
                let row = sql("select coalesce(sum(pg_total_relation_size(relation.oid)), 0)::bigint as bytes
                     from pg_class relation join pg_namespace namespace on namespace.oid = relation.relnamespace
                     where namespace.nspname = $1 and relation.relkind = 'r'
                       and (relation.relname like 'wallet\\_%' or relation.relname in ('parked_event', 'skipped_event'))")
                .bind(schema.as_str())
                .fetch_one(&mut connection)
                .await?;
                connection.close().await?;
                Ok(row.get::<i64>("bytes")?.cast_unsigned())
            }
        }
    }

    /// Lets the views for reports in the schema of the first copy show this one. Views of a file are in the file.
    pub(crate) async fn shows_reports(&self) -> sqlx::Result<()> {
        let Self::Schema { options, base, schema, .. } = self else { return Ok(()) };
        let mut connection = Connection::postgres(options).await?;
        let views = sql("select viewname::text as name from pg_views where schemaname = $1 and viewname like 'report\\_%'")
            .bind(reports_of(base, schema))
            .fetch_all(&mut connection)
            .await?;
        for view in views {
            let name = quoted(&view.get::<String>("name")?);
            let (from, to) = (quoted(&reports_of(base, schema)), quoted(base));
            let points = format!("create or replace view {to}.{name} as select * from {from}.{name}");
            composed(points).execute(&mut connection).await?;
        }
        connection.close().await
    }
}

/// The schema whose views show the rows of a copy, also when those in the schema of the first show another.
fn reports_of(base: &str, schema: &str) -> String {
    if base == schema { schema_of(base, FIRST) } else { schema.to_owned() }
}

/// Views through which a connection of the copy sees its own row of the directory, and how far the other copies are that processes read. For
/// the first copy also the views for reports, under another name, since those in its schema are to show whichever copy is live.
fn views(base: &str, schema: &str, copy: i64) -> String {
    let (base_name, schema_name) = (quoted(base), quoted(schema));
    let mut text = format!(
        "create or replace view {schema_name}.own_copy as select copy, position from {base_name}.read_model_copy where copy = {copy};
         create or replace view {schema_name}.copies_floor as
         select min(one.position) as position from {base_name}.read_model_copy one
         where one.copy <> {copy}
           and (one.state = 'live'
                or exists (select 1 from {base_name}.read_model_reader reader
                           where reader.copy = one.copy and reader.seen_at > clock_timestamp() - interval '5 seconds'
                             and (reader.seen_at > clock_timestamp() - interval '1500 milliseconds'
                                  or exists (select 1 from pg_stat_activity activity
                                             where activity.pid = reader.session and activity.backend_start = reader.session_started))));"
    );
    if copy == FIRST {
        text.push_str(&views_for_reports(base, &schema_of(base, FIRST)));
    }
    text
}

/// Copies the views for reports of the first copy into a schema, once: later those in its own schema show other copies.
fn views_for_reports(base: &str, schema: &str) -> String {
    let literal = |name: &str| name.replace('\'', "''");
    format!(
        "do $views$
         declare one record;
         begin
             if not exists (select 1 from pg_namespace where nspname = '{schema_literal}') then
                 create schema {schema_name};
                 for one in select viewname, definition from pg_views where schemaname = '{base_literal}' and viewname like 'report\\_%' loop
                     execute format('create view {schema_format}.%I as %s', one.viewname, one.definition);
                 end loop;
             end if;
         end
         $views$;",
        schema_literal = literal(schema),
        base_literal = literal(base),
        schema_name = quoted(schema),
        schema_format = literal(&quoted(schema)).replace('%', "%%"),
    )
}

/// Removes a file of SQLite, with those beside it.
fn remove_file(path: &Path) -> sqlx::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => return Err(fault.into()),
            _ => {}
        }
    }
    Ok(())
}
