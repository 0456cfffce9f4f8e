//! `pause`: the parts that an operator has stopped. Every process looks here once a second.

use honoken_database::statements::sql;

use super::{Ledger, LedgerError, storable};

/// A part that can be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From the event log to messages.
    Relay,
    /// From messages to phones.
    Pusher,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Relay, Self::Pusher];

    /// Its name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Pusher => "pusher",
        }
    }
}

/// That something was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// Since when, Unix milliseconds.
    pub at_ms: i64,
    /// The operator.
    pub by: String,
}

impl Ledger {
    /// Stops a part in every process. `false` when it was stopped already.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn pause(&self, part: Part, by: &str, now_ms: i64) -> Result<bool, LedgerError> {
        let doing = "pausing";
        let mut writer = self.writer(doing).await?;
        let paused =
            sql("insert into pause (what, paused_at, paused_by) values ($1, $2, $3) on conflict do nothing")
                .bind(part.as_str())
                .bind(now_ms)
                .bind(storable(by, 100))
                .execute(&mut writer)
                .await;
        let paused = writer.keep(paused).map_err(LedgerError::of(doing))?;
        self.pauses.send_replace(());
        self.notify_changed();
        Ok(paused == 1)
    }

    /// Lets a part go on in every process. Credentials that were parked are tried again when it is the pusher. `false` when it was not stopped.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn resume(&self, part: Part, now_ms: i64) -> Result<bool, LedgerError> {
        let doing = "resuming";
        let mut writer = self.writer(doing).await?;
        let resumed = async {
            writer.begin().await?;
            let resumed =
                sql("delete from pause where what = $1").bind(part.as_str()).execute(&mut writer).await?;
            if part == Part::Pusher {
                super::parked::free_credentials(&mut writer, now_ms).await?;
            }
            writer.commit().await?;
            Ok(resumed == 1)
        };
        let resumed = resumed.await;
        let resumed = writer.keep(resumed).map_err(LedgerError::of(doing))?;
        self.pauses.send_replace(());
        self.notify_changed();
        Ok(resumed)
    }

    /// Whether a part is stopped.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn paused(&self, part: Part) -> Result<Option<Paused>, LedgerError> {
        let row = sql("select paused_at, paused_by from pause where what = $1")
            .bind(part.as_str())
            .fetch_optional(&self.readers)
            .await;
        row.and_then(|row| {
            row.map(|row| Ok(Paused { at_ms: row.get("paused_at")?, by: row.get("paused_by")? })).transpose()
        })
        .map_err(LedgerError::of("whether a part is paused"))
    }
}
