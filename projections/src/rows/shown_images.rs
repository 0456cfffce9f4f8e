//! The images that a pass shows, compared with those that it would show today.

use honoken_database::statements::Row;
use honoken_domain::ids::{OrganizationId, PassId};
use honoken_domain::images::{self, DefaultImages, Images};
use honoken_domain::pass::TicketStyle;

use crate::rows::columns::{decode, pass_id, ticket_style};

/// What decides which images a pass shows, and those that it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownImages {
    /// Which pass.
    pub id: PassId,
    /// Who issued it.
    pub organization_id: OrganizationId,
    /// What it is drawn as.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout.
    pub poster: bool,
    /// Whether it is retired, so that nothing can change it any more.
    pub retired: bool,
    /// Images of its own.
    pub assets: Images,
    /// The images that end up in it.
    pub images: Images,
}

/// What became of a pass since its images were resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It shows what it would show today.
    Current,
    /// It would show something else.
    Outdated,
    /// It would be left without an image that it needs, and keeps what it has.
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

pub(crate) fn shown_images(row: &Row) -> sqlx::Result<ShownImages> {
    Ok(ShownImages {
        id: pass_id(row)?,
        organization_id: OrganizationId::parse(row.get::<String>("organization_id")?).map_err(decode)?,
        ticket_style: ticket_style(row.get("ticket_style")?)?,
        poster: row.get("poster")?,
        retired: row.get("retired")?,
        assets: row.json("assets")?,
        images: row.json("images")?,
    })
}
