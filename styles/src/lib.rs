//! The kinds of pass that Wallet knows, and the images of each.
//!
//! - [`TicketStyle`] is what a pass is drawn as, [`PassKind`] says besides whether it asks for the poster look.
//! - [`ImageSlot`] is the purpose of an image. The table in `slots.rs` says for each of them its name, its sizes and the kinds of pass that
//!   show it. There is no second table: the domain chooses images by it, `pkpass` measures and packs them by it.
//! - [`ImageName`] is the name of an image, such as `logo@2x.png`; [`ImageFile`] is where it lies, such as `de.lproj/logo@2x.png`.
//! - [`Language`] is a language that a pass has texts or images for, [`Localizations`] are those texts.
//!
//! It knows nothing of content, bytes, events or HTTP.
//!
//! <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>

mod kind;
mod language;
mod localizations;
mod names;
mod slots;
mod style;

pub use kind::PassKind;
pub use language::{Language, UnknownLanguage};
pub use localizations::{Localization, Localizations};
pub use names::{ImageFile, ImageName, Scale, UnknownImage};
pub use slots::{ImageSlot, Points};
pub use style::{TicketStyle, UnknownTicketStyle};
