//! The number and the hash of the events of a log up to a position.

use sha2::{Digest, Sha256};

use super::error::TransferError;
use super::stored_event::StoredEvent;
use crate::position::Position;

/// Events in a block: how precisely a difference is found.
const BLOCK: u64 = 4_096;

/// The number and the hash of the events of a log from its beginning: equal exactly when all of them are.
#[derive(Debug, Clone, Default)]
pub struct Checksum {
    events: u64,
    last: Position,
    whole: Sha256,
    open: Sha256,
    /// The hash of each full block, and its last position.
    blocks: Vec<(Position, [u8; 32])>,
}

impl Checksum {
    /// Adds events, in order.
    pub fn add(&mut self, events: &[StoredEvent]) {
        for event in events {
            event.hash_into(&mut self.open);
            self.last = event.position;
            self.events += 1;
            if self.events.is_multiple_of(BLOCK) {
                self.close_block();
            }
        }
    }

    fn close_block(&mut self) {
        let hash = std::mem::take(&mut self.open).finalize();
        self.whole.update(hash);
        self.blocks.push((self.last, hash.into()));
    }

    /// How many events there are.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The position of the last one.
    pub fn last(&self) -> Position {
        self.last
    }

    /// SHA-256 of them all, in lowercase hex. The same events have the same, in however many portions they were added.
    pub fn sha256(&self) -> String {
        let mut whole = self.clone();
        whole.close_block();
        hex::encode(whole.whole.finalize())
    }

    /// Refuses a copy that is not the same.
    ///
    /// # Errors
    /// [`TransferError::Differs`], with the block that does.
    pub fn must_equal(&self, copy: &Self) -> Result<(), TransferError> {
        let (mut ours, mut theirs) = (self.clone(), copy.clone());
        ours.close_block();
        theirs.close_block();
        let mut from = Position(0);
        for (index, block) in ours.blocks.iter().enumerate() {
            if theirs.blocks.get(index) != Some(block) {
                return Err(TransferError::Differs { from, to: block.0.max(theirs.last) });
            }
            from = block.0;
        }
        if theirs.blocks.len() > ours.blocks.len() {
            return Err(TransferError::Differs { from, to: theirs.last });
        }
        Ok(())
    }
}
