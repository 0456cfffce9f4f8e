//! When each API key was last used.

use std::collections::BTreeMap;

use honoken_database::statements::{Row, sql};
use honoken_domain::ids::{Digest, UnixSeconds};

use crate::{Office, OfficeError, invalid};

/// Seconds between two notes about one key.
pub const INTERVAL_SECONDS: i64 = 3600;

impl Office {
    /// Notes that a key was used, unless a use within the last hour is known: processes write beside each other.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn note_use(&self, key_digest: &Digest, at: UnixSeconds) -> Result<(), OfficeError> {
        let note = sql("insert into key_use (key_digest, used_at) values ($1, $2)
             on conflict (key_digest) do update set used_at = excluded.used_at
             where key_use.used_at <= $3");
        let note = note.bind(key_digest.as_str()).bind(at.0).bind(at.0 - INTERVAL_SECONDS);
        self.run("noting the use of a key", note).await.map(drop)
    }

    /// When each key was last used, to the hour. A key that was never used is missing.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn key_uses(&self) -> Result<BTreeMap<Digest, UnixSeconds>, OfficeError> {
        let doing = "reading the uses of keys";
        let rows = self.run(doing, sql("select key_digest, used_at from key_use")).await?;
        let uses = rows.iter().map(|row: &Row| {
            let digest = Digest::parse(row.get::<String>("key_digest")?).map_err(invalid)?;
            Ok((digest, UnixSeconds(row.get("used_at")?)))
        });
        uses.collect::<sqlx::Result<_>>().map_err(|source| OfficeError { doing, source })
    }
}
