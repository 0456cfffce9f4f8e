//! Since when it is known that nothing refers to an image, for stores that do not say when an image was stored. It is kept in the store itself, so
//! it is the same for every machine on which a command looks.

use std::collections::BTreeMap;

use honoken_domain::ids::{Digest, UnixSeconds};

use super::store::{ImageStore, StoreFault};

/// The name under which it is kept: no image has it.
const NAME: &str = "unreferred.txt";

/// The images that nothing referred to when it was looked last, and when that was seen first.
#[derive(Debug, Default)]
pub(super) struct FirstSeen(pub(super) BTreeMap<Digest, UnixSeconds>);

impl FirstSeen {
    /// What is kept in a store. A line that cannot be read is left out: its image is then seen for the first time.
    pub(super) async fn read(store: &ImageStore) -> Result<Self, StoreFault> {
        let bytes = store.read_file(NAME).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let line = |line: &str| {
            let (digest, seconds) = line.split_once(' ')?;
            Some((Digest::parse(digest).ok()?, UnixSeconds(seconds.parse().ok()?)))
        };
        Ok(Self(text.lines().filter_map(line).collect()))
    }

    /// Keeps it.
    pub(super) async fn write(&self, store: &ImageStore) -> Result<(), StoreFault> {
        let lines = self.0.iter().map(|(digest, seen)| format!("{digest} {}\n", seen.0));
        store.write_file(NAME, lines.collect::<String>().into()).await
    }
}
