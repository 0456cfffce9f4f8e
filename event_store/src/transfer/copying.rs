//! A copy of an event log that is being made, beside the processes that go on with the original.

use futures::future;

use super::{Checksum, Identity, StoredEvent, Target, TransferError, number};
use crate::engine::Log;
use crate::log::EventLog;
use crate::position::Position;

/// A copy that is being made.
pub struct Copying<'a> {
    original: &'a Log,
    target: Target,
    identity: Identity,
    /// Whether events are compared by their numbers, since their positions differ.
    renumbers: bool,
    /// The position that the copy has come to.
    copied: Position,
    /// Whether the last event of a copy that was begun earlier is known to be one of the original.
    is_known: bool,
    /// The position that the original was read to.
    read: Position,
    /// Of the original, up to there.
    checksum: Checksum,
}

impl<'a> Copying<'a> {
    /// Begins a copy, or goes on with one.
    ///
    /// # Errors
    /// [`TransferError`] when the target is not empty and no copy of this log, or one of them is unavailable.
    pub async fn begin(original: &'a Log, mut target: Target) -> Result<Self, TransferError> {
        let identity = original.identity().await?;
        let renumbers = target.renumbers(&identity);
        let copied = target.begin(&identity).await?;
        let mut copying = Self {
            original,
            target,
            identity,
            renumbers,
            copied,
            is_known: copied == Position(0),
            read: Position(0),
            checksum: Checksum::default(),
        };
        if !copying.is_known && !renumbers {
            let found = copying.original.event_at(copied).await?;
            let before = Position(copied.0 - 1);
            let events =
                if found.is_some() { copying.original.stored_after(before).await? } else { Vec::new() };
            copying.compare(&events).await?;
            if !copying.is_known {
                return Err(TransferError::HasGoneOn(copied));
            }
        }
        Ok(copying)
    }

    /// Looks whether the last event of the copy is one of these, and claims the copy then.
    async fn compare(&mut self, events: &[StoredEvent]) -> Result<(), TransferError> {
        if let Some(event) = events.iter().find(|event| event.position == self.copied) {
            if !self.target.has(event).await? {
                return Err(TransferError::HasGoneOn(self.copied));
            }
            self.target.claim(&self.identity).await?;
            self.is_known = true;
        }
        Ok(())
    }

    /// Copies what the original has by now, and tells of each batch how far it was read. The next batch is read while one is written.
    ///
    /// # Errors
    /// When one of them is unavailable, or an event cannot be read.
    pub async fn catch_up(&mut self, mut reached: impl FnMut(Position)) -> Result<(), TransferError> {
        let mut events = self.original.stored_after(self.read).await?;
        while let Some(last) = events.last() {
            self.read = last.position;
            let next = self.original.stored_after(last.position);
            if self.renumbers {
                number(&mut events, self.checksum.events());
            }
            if !self.is_known {
                self.compare(&events).await?;
            }
            let new = events.partition_point(|event| event.position <= self.copied);
            let (next, appended) = future::join(next, self.target.append(&events[new..])).await;
            appended?;
            self.checksum.add(&events);
            self.copied = self.copied.max(self.checksum.last());
            reached(self.read);
            events = next?;
        }
        // The copy has more events than the original.
        if !self.is_known {
            return Err(TransferError::HasGoneOn(self.copied));
        }
        Ok(())
    }

    /// Reads the copy again and compares number and hash of its events with those of the original; it may be used from then on.
    ///
    /// # Errors
    /// [`TransferError::Differs`], and when it is unavailable. It stays unusable then.
    pub async fn verify(&mut self, reached: impl FnMut(Position)) -> Result<&Checksum, TransferError> {
        let copy = self.target.checksum(reached).await?;
        self.checksum.must_equal(&copy)?;
        self.target.finish(&self.identity).await?;
        Ok(&self.checksum)
    }

    /// How many events the copy has, as far as this run has looked.
    pub fn events(&self) -> u64 {
        self.checksum.events()
    }

    /// Waits until the original has more events than the copy.
    pub async fn grows(&self) {
        let mut head = self.original.head();
        let known = self.read;
        // A log that is closed grows no more; its process has ended, and the caller is told by whatever it asks next.
        if head.wait_for(|head| *head > known).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Closes the copy.
    ///
    /// # Errors
    /// When what was written last could not be brought to its place.
    pub async fn close(self) -> Result<(), TransferError> {
        Ok(self.target.close().await?)
    }
}
