//! The nonces of signed requests: each counts once, over all processes, as long as its signature is good.

use honoken_database::statements::sql;
use honoken_domain::ids::UnixSeconds;

use crate::{Office, OfficeError};

/// The most nonces that are kept at a time. Only holders of the signing key add any.
pub const MOST_NONCES: i64 = 50_000;

/// Seconds for which a nonce is kept after its signature has ended, since the clocks of processes differ.
const KEPT_SECONDS: i64 = 300;

/// The result of an attempt to use a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceUse {
    /// Nobody had used it.
    First,
    /// Another request has used it.
    Used,
    /// There are [`MOST_NONCES`] already.
    TooMany,
}

impl Office {
    /// Uses a nonce whose signature is good until `until`. Each attempt has a value `use_id` of its own. Nonces that have ended are forgotten.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn use_nonce(
        &self,
        nonce: &str,
        use_id: &str,
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<NonceUse, OfficeError> {
        let doing = "noting the nonce of a signed request";
        self.run(doing, sql("delete from signed_nonce where ends_at < $1").bind(now.0)).await?;
        let insert = sql("insert into signed_nonce (nonce, use, ends_at)
             select $1, $2, $3 where (select count(*) from signed_nonce) < $4
             on conflict do nothing");
        let insert = insert.bind(nonce).bind(use_id).bind(until.0 + KEPT_SECONDS).bind(MOST_NONCES);
        self.run(doing, insert).await?;
        // A statement that was repeated after a lost answer finds its own row.
        let rows = self.run(doing, sql("select use from signed_nonce where nonce = $1").bind(nonce)).await?;
        let Some(row) = rows.first() else { return Ok(NonceUse::TooMany) };
        let used = row.get::<String>("use").map_err(|source| OfficeError { doing, source })?;
        Ok(if used == use_id { NonceUse::First } else { NonceUse::Used })
    }
}
