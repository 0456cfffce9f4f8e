//! Where the event log, the read model and the deliveries are: `DATABASE_URL`; and stores that this release does not have.

use honoken_database::postgres;
use honoken_service::storage::Database;

use super::variable::{ConfigError, Variable, Variables, refused, secret};

pub(super) const VARIABLES: &[Variable] = &[
    secret(
        "DATABASE_URL",
        "the place of the event log, the read model and the deliveries: `postgres://USER:PASSWORD@HOST/DATABASE` (PostgreSQL 13 or newer; parameters such as `?sslmode=require` as in libpq), or `sqlite:FOLDER` for three SQLite files (event log, read model, deliveries) outside the data folder",
        "three SQLite files in the data folder",
    ),
    refused(
        "HONOKEN_EVENT_STORE_URL",
        "is set, but this release keeps its event log in the database: unset it",
    ),
    refused("HONOKEN_ASSETS_URL", "is set, but this release keeps images in --data-dir: unset it"),
];

pub(super) fn database(variable: Variables<'_>) -> Result<Option<Database>, ConfigError> {
    variable("DATABASE_URL")?.map(|text| parse(&text)).transpose()
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
