//! Which backups go.

use std::collections::BTreeSet;

use super::images::{self, LIST};
use super::place::Backups;

/// Removes all but the newest `keep` backups, and the images that only they had. Gives how many went.
///
/// # Errors
/// When the place cannot be read or written.
pub async fn keep(backups: &Backups, keep: usize) -> anyhow::Result<usize> {
    let all = backups.names().await?;
    let (gone, rest) = all.split_at(all.len().saturating_sub(keep));
    for name in gone {
        backups.remove(name, &backups.manifest(name).await?).await?;
    }
    if !gone.is_empty() {
        let mut listed = BTreeSet::new();
        for name in rest {
            if backups.manifest(name).await?.images.is_some() {
                let list = backups.read(name, LIST).await?;
                listed.append(&mut images::listed(&String::from_utf8_lossy(&list))?);
            }
        }
        backups.images().remove_others(&listed).await?;
    }
    Ok(gone.len())
}
