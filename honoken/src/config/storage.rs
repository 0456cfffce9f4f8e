//! Where the event log, the read model and the deliveries are: `DATABASE_URL`, and `HONOKEN_EVENT_STORE_URL` for the event log alone.

use std::num::NonZeroU32;

use honoken_database::postgres;
use honoken_service::event_store::EventStore;
use honoken_service::retention::RetentionDays;
use honoken_service::storage::Database;

use super::variable::{ConfigError, Variable, Variables, parsed, read, secret};

pub(super) const VARIABLES: &[Variable] = &[
    secret(
        "DATABASE_URL",
        "the place of the event log, the read model and the deliveries: `postgres://USER:PASSWORD@HOST/DATABASE` (PostgreSQL 13 or newer; parameters such as `?sslmode=require` as in libpq), or `sqlite:FOLDER` for three SQLite files (event log, read model, deliveries) outside the data folder",
        "three SQLite files in the data folder",
    ),
    read(
        "HONOKEN_RETENTION_DAYS",
        "days for which the tables keep the rows of devices and registrations that left, marked with `deleted_at`, for those who read the tables, and for which `honoken blobs gc` keeps the images that passes named; `1` to `36500`",
        "`90`",
    ),
    secret(
        EVENT_STORE_URL,
        "the place of the event log, if not in the database ([more](event-log.md#on-kurrentdb)): `esdb://USER:PASSWORD@HOST:2113` or `kurrentdb://…`, a KurrentDB or EventStoreDB server, with the parameters of its connection strings (`tls=false`) and `prefix=NAME`, by which logs on one server differ. It needs a program built with the feature `full`, as released ones are",
        "the database",
    ),
];

const EVENT_STORE_URL: &str = "HONOKEN_EVENT_STORE_URL";

pub(super) fn event_store(variable: Variables<'_>) -> Result<Option<EventStore>, ConfigError> {
    let read = |text: String| {
        if is_event_store(&text) {
            EventStore::parse(&text, EVENT_STORE_URL)
        } else {
            Err("must begin with esdb:// or kurrentdb://: use one like esdb://USER:PASSWORD@HOST:2113"
                .to_owned())
        }
    };
    let named = |problem| ConfigError { variable: EVENT_STORE_URL, problem };
    variable(EVENT_STORE_URL)?.map(|text| read(text).map_err(named)).transpose()
}

/// Whether a URL is one of a KurrentDB.
fn is_event_store(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once("://") else { return false };
    let scheme = scheme.strip_suffix("+discover").unwrap_or(scheme);
    ["esdb", "kurrentdb", "kurrent", "kdb"].contains(&scheme)
}

/// The place of an event log that the command line names.
#[derive(Debug)]
pub enum LogPlace {
    /// In a database.
    Database(Database),
    /// On a server of its own.
    EventStore(Box<EventStore>),
}

/// Reads the URL of an event log, for the command line; `option` has it. The error names the fault and not the URL.
///
/// # Errors
/// When it is none.
pub fn log_url(text: &str, option: &'static str) -> Result<LogPlace, String> {
    if is_event_store(text) {
        return EventStore::parse(text, option).map(|store| LogPlace::EventStore(Box::new(store)));
    }
    database_url(text).map(LogPlace::Database)
}

pub(super) fn database(variable: Variables<'_>) -> Result<Option<Database>, ConfigError> {
    variable("DATABASE_URL")?.map(|text| parse(&text)).transpose()
}

/// Reads a URL of the form of `DATABASE_URL`, for the command line. The error names the fault and not the URL.
///
/// # Errors
/// When it is none.
pub fn database_url(text: &str) -> Result<Database, String> {
    parse(text).map_err(|fault| fault.problem)
}

pub(super) fn retention(variable: Variables<'_>) -> Result<RetentionDays, ConfigError> {
    let (name, must_be) = ("HONOKEN_RETENTION_DAYS", "a number of days from 1 to 36500");
    let Some(days) = parsed::<NonZeroU32>(variable, name, must_be)? else {
        return Ok(RetentionDays::default());
    };
    if days.get() > 36_500 {
        return Err(ConfigError { variable: name, problem: format!("must be {must_be}") });
    }
    Ok(RetentionDays(days))
}

fn parse(text: &str) -> Result<Database, ConfigError> {
    // The text may hold a password and is not repeated; neither is the driver's message about it.
    let refuse = |problem: &str| ConfigError { variable: "DATABASE_URL", problem: problem.to_owned() };
    if let Some(folder) = text.strip_prefix("sqlite:") {
        let folder = folder.strip_prefix("//").unwrap_or(folder);
        let folder = folder.split_once('?').map_or(folder, |(folder, _)| folder);
        if folder.is_empty() {
            return Err(refuse("must name a folder: use one like sqlite:/var/lib/honoken"));
        }
        return Ok(Database::Folder(folder.into()));
    }
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(refuse(
            "must begin with postgres:// or sqlite: — use one like postgres://honoken@localhost/honoken, or sqlite:/var/lib/honoken",
        ));
    }
    if postgres::options(text).is_err() {
        return Err(refuse(
            "is not the URL of a Postgres database: use one like postgres://honoken@localhost/honoken",
        ));
    }
    Ok(Database::Postgres(text.into()))
}
