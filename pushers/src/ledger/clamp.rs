//! Times that were noted before the clock was set back lie further in the future than anything is ever meant to wait. They are brought as near
//! as they can have been meant at the most (`docs/decisions/0045-a-clock-that-is-set.md`).

use honoken_database::statements::{Connection, sql};

use super::{Ledger, LedgerError};

/// The latest moments that can be meant now, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    /// The end of a coalescing window.
    pub window_ends_ms: i64,
    /// When a phone is looked at again that was put back since something else had to rest.
    pub put_back_until_ms: i64,
    /// The end of a phone's own rest.
    pub rest_ends_ms: i64,
    /// When a parked credential is tried.
    pub probe_at_ms: i64,
}

impl Ledger {
    /// Clamps what is noted of phones and of parked credentials. Phones that nothing is pending for are left out unless it is done
    /// `thoroughly`: they are found when something is.
    ///
    /// # Errors
    /// When the store is away. Then it is to be done again.
    pub async fn clamp(&self, latest: Latest, thoroughly: bool) -> Result<u64, LedgerError> {
        let doing = "looking for times too far in the future";
        let mut writer = self.writer(doing).await?;
        let clamped = clamp(&mut writer, latest, thoroughly).await;
        let clamped = writer.keep(clamped).map_err(LedgerError::of(doing))?;
        if clamped > 0 {
            self.has_changed();
        }
        Ok(clamped)
    }
}

/// The latest moment that a phone may be due at. A time behind the end of the window is one at which it was put back; with failures in a row
/// it is the phone itself that rests.
macro_rules! latest_due {
    () => {
        "(case when due_at > quiet_until then $2 when attempts = 0 then $1 else $3 end)"
    };
}

/// The latest end of a window, or of a phone's rest.
macro_rules! latest_quiet {
    () => {
        "(case when attempts = 0 then $1 else $3 end)"
    };
}

/// The index on what is due leads to the few that are too late.
macro_rules! due_too_late {
    () => {
        concat!("due_at > $4 and due_at > ", latest_due!())
    };
}

macro_rules! anything_too_late {
    () => {
        concat!("(", due_too_late!(), " or quiet_until > ", latest_quiet!(), ")")
    };
}

macro_rules! clamp {
    ($which:expr) => {
        concat!(
            "update wake set due_at = case when due_at > ",
            latest_due!(),
            " then ",
            latest_due!(),
            " else due_at end, quiet_until = case when quiet_until > ",
            latest_quiet!(),
            " then ",
            latest_quiet!(),
            " else quiet_until end where ",
            $which
        )
    };
}

/// What others are at is left to them, and found the next time.
macro_rules! clamp_on_server {
    ($which:expr) => {
        clamp!(concat!("ctid = any (array(select ctid from wake where ", $which, " for update skip locked))"))
    };
}

async fn clamp(connection: &mut Connection, latest: Latest, thoroughly: bool) -> sqlx::Result<u64> {
    sql("update parked_credential set probe_at = $1 where probe_at > $1")
        .bind(latest.probe_at_ms)
        .execute(connection)
        .await?;
    let statement = match (&connection, thoroughly) {
        (Connection::Sqlite(..), false) => clamp!(due_too_late!()),
        (Connection::Sqlite(..), true) => clamp!(anything_too_late!()),
        (Connection::Postgres(_), false) => clamp_on_server!(due_too_late!()),
        (Connection::Postgres(_), true) => clamp_on_server!(anything_too_late!()),
    };
    let soonest = latest.window_ends_ms.min(latest.put_back_until_ms).min(latest.rest_ends_ms);
    sql(statement)
        .bind(latest.window_ends_ms)
        .bind(latest.put_back_until_ms)
        .bind(latest.rest_ends_ms)
        .bind(soonest)
        .execute_however_long(connection)
        .await
}
