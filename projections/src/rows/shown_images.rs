//! The images that a pass shows, compared with those that it would show today.

use honoken_database::statements::Row;
use honoken_domain::ids::{OrganizationId, PassId};
use honoken_domain::images::{self, DefaultImages, Images};
use honoken_domain::pass::PassKind;
use honoken_styles::ImageSlot;

use crate::rows::columns::{invalid_value, pass_id, pass_kind};

/// The images that a pass shows, and the columns that decide which ones it would show today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownImages {
    /// The pass.
    pub id: PassId,
    /// The organisation that issued it.
    pub organization_id: OrganizationId,
    /// What it is drawn as.
    pub kind: PassKind,
    /// Whether it is retired, so that it can no longer change.
    pub retired: bool,
    /// Images of its own.
    pub assets: Images,
    /// The images that end up in it.
    pub images: Images,
}

/// Whether the images of a pass are those that it would show today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It shows what it would show today.
    Current,
    /// It would show something else.
    Outdated,
    /// It would be left without an image that it needs, and keeps those that it has.
    Lacking {
        /// The empty slots, of which one is enough.
        one_of: &'static [ImageSlot],
    },
}

/// Compares the images of a pass with those it would show under these defaults.
pub fn freshness(kind: PassKind, assets: &Images, shown: &Images, defaults: &DefaultImages) -> Freshness {
    let resolved = images::resolve(kind, assets, defaults);
    if resolved == *shown {
        return Freshness::Current;
    }
    match images::missing_slots(kind, &resolved) {
        Some(one_of) => Freshness::Lacking { one_of },
        None => Freshness::Outdated,
    }
}

/// Reads the columns of a pass and its content.
pub(crate) fn shown_images(row: &Row) -> sqlx::Result<ShownImages> {
    Ok(ShownImages {
        id: pass_id(row)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        kind: pass_kind(row)?,
        retired: row.get("retired")?,
        assets: row.json("assets")?,
        images: row.json("images")?,
    })
}
