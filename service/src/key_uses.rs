//! When API keys were last used: noted beside the requests, never within them, and at most once an hour for each key.

use honoken_domain::ids::{Digest, UnixSeconds};
use honoken_office::Office;
use honoken_office::key_uses::INTERVAL_SECONDS;
use honoken_telemetry::error_chain;
use moka::sync::Cache;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_util::sync::CancellationToken;

use crate::limits;

/// Takes note of the uses of keys. Clones share their memory.
#[derive(Debug, Clone)]
pub struct KeyUses {
    /// When this process noted each key last.
    noted: Cache<Digest, UnixSeconds>,
    sender: Sender<(Digest, UnixSeconds)>,
}

impl KeyUses {
    /// Nothing was noted yet. The future writes the notes into the office, and ends when `stop` is cancelled and they are written.
    pub fn start(
        office: Office,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(limits::KEY_USES_WAITING);
        let noted = Cache::new(limits::KEYS_REMEMBERED);
        let writing = write(office, receiver, noted.clone(), stop);
        (Self { noted, sender }, writing)
    }

    /// Notes that a key was used. This does not wait: where too many notes are waiting, a later use of the key is noted.
    pub fn note(&self, key_digest: &Digest, now: UnixSeconds) {
        let is_recent = |at: UnixSeconds| now.0.abs_diff(at.0) < INTERVAL_SECONDS.unsigned_abs();
        if self.noted.get(key_digest).is_some_and(is_recent) {
            return;
        }
        if self.sender.try_send((key_digest.clone(), now)).is_ok() {
            self.noted.insert(key_digest.clone(), now);
        }
    }
}

async fn write(
    office: Office,
    mut receiver: Receiver<(Digest, UnixSeconds)>,
    noted: Cache<Digest, UnixSeconds>,
    stop: CancellationToken,
) {
    let mut is_away = false;
    loop {
        let next = tokio::select! {
            biased;
            next = receiver.recv() => next,
            () = stop.cancelled() => None,
        };
        let Some((key_digest, at)) = next else { return };
        match office.note_use(&key_digest, at).await {
            Ok(()) => is_away = false,
            Err(fault) => {
                // The next use of the key is noted instead.
                noted.invalidate(&key_digest);
                if !std::mem::replace(&mut is_away, true) {
                    tracing::warn!(error = error_chain(&fault), "the last use of API keys cannot be noted");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_noted_once_an_hour_and_what_was_noted_is_written_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::in_file(&folder.path().join("office.sqlite")).await.unwrap();
        let stop = CancellationToken::new();
        let (uses, writing) = KeyUses::start(office.clone(), stop.clone());
        let (till, gate) = (Digest::of(b"till"), Digest::of(b"gate"));
        for at in [1000, 1001, 1000 + INTERVAL_SECONDS - 1] {
            uses.note(&till, UnixSeconds(at));
        }
        uses.note(&gate, UnixSeconds(2000));
        stop.cancel();
        writing.await;
        let written = office.key_uses().await.unwrap();
        assert_eq!(written, [(till.clone(), UnixSeconds(1000)), (gate, UnixSeconds(2000))].into());

        let stop = CancellationToken::new();
        let (uses, writing) = KeyUses::start(office.clone(), stop.clone());
        uses.note(&till, UnixSeconds(1000 + INTERVAL_SECONDS));
        stop.cancel();
        writing.await;
        assert_eq!(office.key_uses().await.unwrap()[&till], UnixSeconds(1000 + INTERVAL_SECONDS));
    }
}
