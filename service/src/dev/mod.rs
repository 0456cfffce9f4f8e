//! The content that `honoken dev` puts into its folder, so that everything works without configuration.
//!
//! - [`authority`]: a development CA that plays Apple's part
//! - [`drawing`]: images for users who have none yet
//! - [`ownership`]: which event logs `dev` may use
//! - [`sample`]: an organisation, a pass type and an event ticket to look at

pub mod authority;
pub mod drawing;
pub mod ownership;
pub mod sample;
