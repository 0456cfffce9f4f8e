//! The images that something refers to, and those that are known at all.

use std::collections::BTreeSet;

use honoken_domain::ids::Digest;
use honoken_projections::{QueryError, ReadModel};

/// Rows that are read at a time.
const PAGE: u32 = 1000;

/// The images that a pass has or shows, a pass type has, or the brand has. Voided and retired passes are served, so theirs count.
///
/// # Errors
/// When the read model cannot be asked.
pub async fn referred_to(read_model: &ReadModel) -> Result<BTreeSet<Digest>, QueryError> {
    let mut found = BTreeSet::new();
    let mut after = None;
    loop {
        let page = read_model.shown_parts(None, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        for parts in &page {
            found.extend(parts.assets.values().chain(parts.images.values()).cloned());
        }
    }
    let mut after = String::new();
    loop {
        let page = read_model.pass_types(&after, PAGE).await?;
        let Some(last) = page.last() else { break };
        last.pass_type_identifier.as_str().clone_into(&mut after);
        for owned in &page {
            if let Some(row) = read_model.pass_type(&owned.pass_type_identifier).await? {
                found.extend(row.default_images.pass_type.values().cloned());
            }
        }
    }
    found.extend(read_model.brand_assets().await?.unwrap_or_default().into_values());
    Ok(found)
}

/// All images that are known: those that something refers to, and those that an organisation may name.
///
/// # Errors
/// When the read model cannot be asked.
pub async fn known(read_model: &ReadModel) -> Result<BTreeSet<Digest>, QueryError> {
    let mut found = referred_to(read_model).await?;
    let mut after = None;
    loop {
        let page = read_model.images_of_organizations(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.clone());
        found.extend(page.into_iter().map(|(_, digest)| digest));
    }
}
