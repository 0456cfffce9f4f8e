//! A copy of an event log that is being made, beside the processes that go on with the original.

use futures::future;

use super::{Checksum, Identity, Target, TransferError};
use crate::engine::Log;
use crate::log::EventLog;
use crate::position::Position;

/// A copy that is being made.
pub struct Copying<'a> {
    original: &'a Log,
    target: Target,
    identity: Identity,
    /// The position that the copy has come to.
    copied: Position,
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
        let copied = target.begin(&identity).await?;
        let before = Position(copied.0.saturating_sub(1));
        if copied > before {
            let events = original.stored_after(before).await?;
            let last = events.first().filter(|event| event.position == copied);
            let is_there = match last {
                Some(event) => target.has(event).await?,
                None => false,
            };
            if !is_there {
                return Err(TransferError::HasGoneOn(copied));
            }
        }
        Ok(Self { original, target, identity, copied, checksum: Checksum::default() })
    }

    /// Copies what the original has by now, and tells of each batch how far the copy is. The next batch is read while one is written.
    ///
    /// # Errors
    /// When one of them is unavailable, or an event cannot be read.
    pub async fn catch_up(&mut self, mut reached: impl FnMut(Position)) -> Result<(), TransferError> {
        let mut events = self.original.stored_after(self.checksum.last()).await?;
        while let Some(last) = events.last() {
            let next = self.original.stored_after(last.position);
            let new = events.partition_point(|event| event.position <= self.copied);
            let (next, appended) = future::join(next, self.target.append(&events[new..])).await;
            appended?;
            self.checksum.add(&events);
            self.copied = self.copied.max(self.checksum.last());
            reached(self.checksum.last());
            events = next?;
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
        let known = self.checksum.last();
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
