//! What `honoken dev` puts into its folder, so that everything works with nothing configured.
//!
//! - [`authority`]: a development CA that plays Apple's part
//! - [`drawing`]: images for those who have none yet
//! - [`sample`]: an organisation, a pass type and an event ticket to look at

pub mod authority;
pub mod drawing;
pub mod sample;
