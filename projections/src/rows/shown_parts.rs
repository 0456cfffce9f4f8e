//! The images and the texts that a pass shows, compared with those that it would show today.

use honoken_database::statements::Row;
use honoken_domain::ids::{OrganizationId, PassId};
use honoken_domain::images::{self, Images};
use honoken_domain::localizations::{self, Localizations};
use honoken_domain::pass::PassKind;
use honoken_styles::ImageSlot;

use crate::rows::columns::{invalid_value, pass_id, pass_kind};
use crate::rows::pass_type::PassTypeRow;

/// The images and texts that a pass shows, and the columns that decide which ones it would show today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownParts {
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
    /// Texts of its own in other languages.
    pub own_localizations: Localizations,
    /// The texts in other languages that end up in it.
    pub localizations: Localizations,
}

/// Whether the images and texts of a pass are those that it would show today.
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

/// Compares the images and texts of a pass with those it would show with the present defaults of its type.
pub fn freshness(pass: &ShownParts, pass_type: &PassTypeRow) -> Freshness {
    let images = images::resolve(pass.kind, &pass.assets, &pass_type.default_images);
    if images == pass.images {
        let texts = localizations::resolve(&pass.own_localizations, &pass_type.default_localizations);
        return if texts == pass.localizations { Freshness::Current } else { Freshness::Outdated };
    }
    match images::missing_slots(pass.kind, &images) {
        Some(one_of) => Freshness::Lacking { one_of },
        None => Freshness::Outdated,
    }
}

/// Reads the columns of a pass and its content.
pub(crate) fn shown_parts(row: &Row) -> sqlx::Result<ShownParts> {
    Ok(ShownParts {
        id: pass_id(row)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        kind: pass_kind(row)?,
        retired: row.get("retired")?,
        assets: row.json("assets")?,
        images: row.json("images")?,
        own_localizations: row.json("localizations")?,
        localizations: row.json("shown_localizations")?,
    })
}
