//! Which images a pass has room for, and which it cannot do without.

use std::collections::BTreeSet;

use crate::TicketStyle;
use crate::finding::Finding;
use crate::image::{ImageName, ImageSlot, Scale};
use crate::pointer::at;

/// The slots whose images end up in a pass. Images of other slots are left out of the file and of the entity tag.
///
/// The poster look uses the same slots as the plain one today; it is an argument because its own images will not.
pub fn image_slots_for(style: TicketStyle, poster: bool) -> &'static [ImageSlot] {
    match (style, poster) {
        (TicketStyle::Boarding, _) => {
            &[ImageSlot::Footer, ImageSlot::Icon, ImageSlot::Logo, ImageSlot::PrimaryLogo]
        }
        (TicketStyle::Coupon, _) => {
            &[ImageSlot::Icon, ImageSlot::Logo, ImageSlot::PrimaryLogo, ImageSlot::Strip]
        }
        // No strip and no thumbnail: Apple forbids them beside a background.
        (TicketStyle::Event, _) => &[ImageSlot::Background, ImageSlot::Icon, ImageSlot::Logo],
        (TicketStyle::Generic, _) => &[
            ImageSlot::Artwork,
            ImageSlot::Icon,
            ImageSlot::Logo,
            ImageSlot::PrimaryLogo,
            ImageSlot::Thumbnail,
        ],
        (TicketStyle::StoreCard, _) => &[ImageSlot::Icon, ImageSlot::Logo, ImageSlot::Strip],
    }
}

/// The missing images of a pass: an error for each slot it cannot do without, a warning for each scale of the icon that a phone would have to
/// draw from another one. Pointers are like `/assets/icon.png`.
pub fn missing_images<'a>(
    style: TicketStyle,
    poster: bool,
    names: impl Iterator<Item = &'a ImageName>,
) -> Vec<Finding> {
    let names: BTreeSet<ImageName> = names.copied().collect();
    let has_slot = |slot| names.iter().any(|name| name.slot() == slot);
    let mut findings = Vec::new();
    for (slot, why) in required_slots(style, poster) {
        if !has_slot(slot) {
            let name = ImageName::new(slot, Scale::One);
            let detail = format!("there is no {} image at any scale: {why}", slot.as_str());
            findings.push(Finding::error("image_missing", &pointer(name), detail));
        }
    }
    if has_slot(ImageSlot::Icon) {
        let sharp = [Scale::Two, Scale::Three].map(|scale| ImageName::new(ImageSlot::Icon, scale));
        for name in sharp.into_iter().filter(|name| !names.contains(name)) {
            let detail = format!("there is no {name}: the icon is blurred on screens of that scale");
            findings.push(Finding::warning("image_scale_missing", &pointer(name), detail));
        }
    }
    findings
}

fn required_slots(style: TicketStyle, poster: bool) -> Vec<(ImageSlot, &'static str)> {
    let mut slots = vec![(ImageSlot::Icon, "a pass without an icon does not open")];
    match style {
        TicketStyle::Event if poster => slots.push((ImageSlot::Background, "the poster look needs it")),
        TicketStyle::Event
        | TicketStyle::Boarding
        | TicketStyle::Coupon
        | TicketStyle::Generic
        | TicketStyle::StoreCard => {}
    }
    slots
}

fn pointer(name: ImageName) -> String {
    at("/assets", name)
}
