//! The migrations of the tables of the read model. Each copy of them has its own record of those that it has seen.

use honoken_database::{EmbeddedMigration, MigrationError};
use sqlx::SqliteConnection;

const SQLITE: &[EmbeddedMigration] = &[
    (1, "read_model", include_str!("../../migrations/sqlite/read_model/0001_read_model.sql")),
    (2, "retired", include_str!("../../migrations/sqlite/read_model/0002_retired.sql")),
    (3, "lists", include_str!("../../migrations/sqlite/read_model/0003_lists.sql")),
    (4, "jobs", include_str!("../../migrations/sqlite/read_model/0004_jobs.sql")),
    (5, "certificates", include_str!("../../migrations/sqlite/read_model/0005_certificates.sql")),
    (6, "push", include_str!("../../migrations/sqlite/read_model/0006_push.sql")),
    (7, "apns_keys", include_str!("../../migrations/sqlite/read_model/0007_apns_keys.sql")),
    (8, "images", include_str!("../../migrations/sqlite/read_model/0008_images.sql")),
    (9, "localizations", include_str!("../../migrations/sqlite/read_model/0009_localizations.sql")),
    (10, "scopes", include_str!("../../migrations/sqlite/read_model/0010_scopes.sql")),
    (11, "nfc", include_str!("../../migrations/sqlite/read_model/0011_nfc.sql")),
    (12, "personalization", include_str!("../../migrations/sqlite/read_model/0012_personalization.sql")),
    (13, "restored_images", include_str!("../../migrations/sqlite/read_model/0013_restored_images.sql")),
    (
        14,
        "certificates_by_name",
        include_str!("../../migrations/sqlite/read_model/0014_certificates_by_name.sql"),
    ),
    (15, "organizations", include_str!("../../migrations/sqlite/read_model/0015_organizations.sql")),
    (16, "key_expiry", include_str!("../../migrations/sqlite/read_model/0016_key_expiry.sql")),
    (
        18,
        "test_organizations",
        include_str!("../../migrations/sqlite/read_model/0018_test_organizations.sql"),
    ),
    (19, "readers", include_str!("../../migrations/sqlite/read_model/0019_readers.sql")),
    (20, "reports", include_str!("../../migrations/sqlite/read_model/0020_reports.sql")),
    (21, "copies_floor", include_str!("../../migrations/sqlite/read_model/0021_copies_floor.sql")),
];

/// Versions from 1000 on are the read model's; the event log, in the same database, has those below.
pub(crate) const POSTGRES: &[EmbeddedMigration] = &[
    (1001, "read_model", include_str!("../../migrations/postgres/read_model/0001_read_model.sql")),
    (1002, "retired", include_str!("../../migrations/postgres/read_model/0002_retired.sql")),
    (1003, "lists", include_str!("../../migrations/postgres/read_model/0003_lists.sql")),
    (1004, "jobs", include_str!("../../migrations/postgres/read_model/0004_jobs.sql")),
    (1005, "certificates", include_str!("../../migrations/postgres/read_model/0005_certificates.sql")),
    (1006, "push", include_str!("../../migrations/postgres/read_model/0006_push.sql")),
    (1007, "apns_keys", include_str!("../../migrations/postgres/read_model/0007_apns_keys.sql")),
    (1008, "images", include_str!("../../migrations/postgres/read_model/0008_images.sql")),
    (1009, "localizations", include_str!("../../migrations/postgres/read_model/0009_localizations.sql")),
    (1010, "scopes", include_str!("../../migrations/postgres/read_model/0010_scopes.sql")),
    (1011, "nfc", include_str!("../../migrations/postgres/read_model/0011_nfc.sql")),
    (1012, "personalization", include_str!("../../migrations/postgres/read_model/0012_personalization.sql")),
    (1013, "restored_images", include_str!("../../migrations/postgres/read_model/0013_restored_images.sql")),
    (
        1014,
        "certificates_by_name",
        include_str!("../../migrations/postgres/read_model/0014_certificates_by_name.sql"),
    ),
    (1015, "organizations", include_str!("../../migrations/postgres/read_model/0015_organizations.sql")),
    (1016, "key_expiry", include_str!("../../migrations/postgres/read_model/0016_key_expiry.sql")),
    (
        1018,
        "test_organizations",
        include_str!("../../migrations/postgres/read_model/0018_test_organizations.sql"),
    ),
    (1019, "readers", include_str!("../../migrations/postgres/read_model/0019_readers.sql")),
    (1020, "reports", include_str!("../../migrations/postgres/read_model/0020_reports.sql")),
];

/// The reason for which the read model could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database is unavailable.
    #[error("the read model could not be opened")]
    Store(#[from] sqlx::Error),
    /// The tables are missing, or of an older release.
    #[error(transparent)]
    Schema(#[from] MigrationError),
}

/// Brings the tables of a file to the newest schema.
pub(crate) async fn migrate_file(connection: &mut SqliteConnection) -> Result<(), MigrationError> {
    honoken_database::migrate(connection, SQLITE).await
}
