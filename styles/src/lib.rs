//! The kinds of pass that Wallet knows, and the images of each.
//!
//! - [`TicketStyle`] is what a pass is drawn as, [`PassKind`] says besides whether it asks for the poster look.
//! - [`ImageSlot`] is the purpose of an image. The table in `slots.rs` says for each of them its name, its sizes and the kinds of pass that
//!   show it. There is no second table: the domain chooses images by it, `pkpass` measures and packs them by it.
//! - [`ImageName`] is the name of an image file, such as `logo@2x.png`.
//!
//! It knows nothing of content, bytes, events or HTTP.
//!
//! <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>

mod kind;
mod names;
mod slots;
mod style;

pub use kind::PassKind;
pub use names::{ImageName, Scale, UnknownImage};
pub use slots::{ImageSlot, Points};
pub use style::{TicketStyle, UnknownTicketStyle};
