//! Where the event log, the read model and the deliveries are: `DATABASE_URL`; and a store that this release does not have.

use std::num::NonZeroU32;

use honoken_database::postgres;
use honoken_service::retention::RetentionDays;
use honoken_service::storage::Database;

use super::variable::{ConfigError, Variable, Variables, parsed, read, refused, secret};

pub(super) const VARIABLES: &[Variable] = &[
    secret(
        "DATABASE_URL",
        "the place of the event log, the read model and the deliveries: `postgres://USER:PASSWORD@HOST/DATABASE` (PostgreSQL 13 or newer; parameters such as `?sslmode=require` as in libpq), or `sqlite:FOLDER` for three SQLite files (event log, read model, deliveries) outside the data folder",
        "three SQLite files in the data folder",
    ),
    read(
        "HONOKEN_RETENTION_DAYS",
        "days for which the tables keep the rows of devices and registrations that left, marked with `deleted_at`, for those who read the tables; `1` to `36500`",
        "`90`",
    ),
    refused(
        "HONOKEN_EVENT_STORE_URL",
        "is set, but this release keeps its event log in the database: unset it",
    ),
];

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
