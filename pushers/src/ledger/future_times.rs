//! Stored times that are too far in the future: they were stored before the clock was set back, and are further away than anything is ever meant
//! to wait. They are brought as near as they can have been meant at the most (`docs/decisions/0045-a-clock-that-is-set.md`).

use honoken_database::statements::{Connection, sql};

use super::{Ledger, LedgerError};

/// The latest moments that can be meant now, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    /// The end of a coalescing window.
    pub window_ends_ms: i64,
    /// When a phone is looked at again that was put back for a reason that is not its own.
    pub put_back_until_ms: i64,
    /// The end of a phone's own back-off.
    pub back_off_ends_ms: i64,
    /// When a parked credential is probed.
    pub probe_at_ms: i64,
}

/// Which phones are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that something is pending for; the others are found when something is.
    Pending,
    /// All of them.
    Everything,
}

impl Ledger {
    /// Corrects the times of phones and of parked credentials. Gives the number of phones.
    ///
    /// # Errors
    /// When the data store is unavailable. Then it is to be done again.
    pub async fn correct_future_times(&self, latest: Latest, scope: Scope) -> Result<u64, LedgerError> {
        let doing = "looking for times too far in the future";
        let mut writer = self.writer(doing).await?;
        let corrected = correct(&mut writer, latest, scope).await;
        let corrected = writer.keep(corrected).map_err(LedgerError::of(doing))?;
        if corrected > 0 {
            self.notify_changed();
        }
        Ok(corrected)
    }
}

/// The latest moment that a phone may be due at. A time behind the end of the window is one at which it was put back; with failures in a row
/// it is the phone itself that is left alone.
macro_rules! latest_due {
    () => {
        "(case when due_at > quiet_until then $2 when attempts = 0 then $1 else $3 end)"
    };
}

/// The latest end of a window, or of a phone's back-off.
macro_rules! latest_quiet {
    () => {
        "(case when attempts = 0 then $1 else $3 end)"
    };
}

/// The index on `due_at` leads to the few that are too late.
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

macro_rules! correct {
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

/// Rows that another process has locked are left to it, and found the next time.
macro_rules! correct_on_server {
    ($which:expr) => {
        correct!(concat!(
            "ctid = any (array(select ctid from wake where ",
            $which,
            " for update skip locked))"
        ))
    };
}

async fn correct(connection: &mut Connection, latest: Latest, scope: Scope) -> sqlx::Result<u64> {
    sql("update parked_credential set probe_at = $1 where probe_at > $1")
        .bind(latest.probe_at_ms)
        .execute(connection)
        .await?;
    let statement = match (&connection, scope) {
        (Connection::Sqlite(..), Scope::Pending) => correct!(due_too_late!()),
        (Connection::Sqlite(..), Scope::Everything) => correct!(anything_too_late!()),
        (Connection::Postgres(_), Scope::Pending) => correct_on_server!(due_too_late!()),
        (Connection::Postgres(_), Scope::Everything) => correct_on_server!(anything_too_late!()),
    };
    let soonest = latest.window_ends_ms.min(latest.put_back_until_ms).min(latest.back_off_ends_ms);
    sql(statement)
        .bind(latest.window_ends_ms)
        .bind(latest.put_back_until_ms)
        .bind(latest.back_off_ends_ms)
        .bind(soonest)
        .execute_however_long(connection)
        .await
}
