//! The images that a pass shows, compared with those that it would show today.

use honoken_database::statements::Row;
use honoken_domain::ids::{OrganizationId, PassId};
use honoken_domain::images::{self, DefaultImages, Images};
use honoken_domain::pass::TicketStyle;

use crate::rows::columns::{invalid_value, pass_id, ticket_style};

/// The images that a pass shows, and the columns that decide which ones it would show today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownImages {
    /// The pass.
    pub id: PassId,
    /// The organisation that issued it.
    pub organization_id: OrganizationId,
    /// The style in which it is drawn.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout.
    pub poster: bool,
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
        /// The empty slot.
        slot: &'static str,
    },
}

/// Compares the images of a pass with those it would show under these defaults.
pub fn freshness(
    style: TicketStyle,
    poster: bool,
    assets: &Images,
    shown: &Images,
    defaults: &DefaultImages,
) -> Freshness {
    let resolved = images::resolve(style, assets, defaults);
    if resolved == *shown {
        return Freshness::Current;
    }
    match images::missing_slot(style, poster, &resolved) {
        Some(slot) => Freshness::Lacking { slot },
        None => Freshness::Outdated,
    }
}

/// Reads the columns of a pass and its content.
pub(crate) fn shown_images(row: &Row) -> sqlx::Result<ShownImages> {
    Ok(ShownImages {
        id: pass_id(row)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?)
            .map_err(invalid_value)?,
        ticket_style: ticket_style(row.get("ticket_style")?)?,
        poster: row.get("poster")?,
        retired: row.get("retired")?,
        assets: row.json("assets")?,
        images: row.json("images")?,
    })
}
