//! Which images a pass cannot do without.

use std::collections::BTreeSet;

use crate::PassKind;
use crate::finding::Finding;
use crate::image::{ImageName, ImageSlot, Scale};
use crate::pointer::in_assets;

/// The missing images of a pass: an error when there is no icon, a warning where a look is not shown for want of an image, and one for each scale
/// of the icon that a phone would have to draw from another one. Pointers are like `/assets/icon.png`.
pub fn missing_images<'a>(kind: PassKind, names: impl Iterator<Item = &'a ImageName>) -> Vec<Finding> {
    let names: BTreeSet<ImageName> = names.copied().collect();
    let has_slot = |slot: &ImageSlot| names.iter().any(|name| name.slot() == *slot);
    let mut findings = Vec::new();
    for one_of in kind.required_slots().iter().filter(|one_of| !one_of.iter().any(has_slot)) {
        findings.push(missing(one_of));
    }
    if has_slot(&ImageSlot::Icon) {
        let sharp = [Scale::Two, Scale::Three].map(|scale| ImageName::new(ImageSlot::Icon, scale));
        for name in sharp.into_iter().filter(|name| !names.contains(name)) {
            let detail = format!("there is no {name}: the icon is blurred on screens of that scale");
            findings.push(Finding::warning("image_scale_missing", &in_assets(name), detail));
        }
    }
    findings
}

/// The finding about a pass without an icon, of whatever kind it is.
pub(crate) fn missing_icon() -> Finding {
    let detail = "there is no icon image at any scale: a pass without an icon does not open";
    let icon = ImageName::new(ImageSlot::Icon, Scale::One);
    Finding::error("image_missing", &in_assets(icon), detail.to_owned())
}

fn missing(one_of: &[ImageSlot]) -> Finding {
    if one_of.contains(&ImageSlot::Icon) {
        return missing_icon();
    }
    let slots = one_of.iter().map(|slot| slot.as_str()).collect::<Vec<_>>().join(" or ");
    let pointer = one_of.first().map(|slot| in_assets(ImageName::new(*slot, Scale::One))).unwrap_or_default();
    let detail =
        format!("there is no {slots} image at any scale: Wallet shows the plain look instead of the poster");
    Finding::warning("image_missing", &pointer, detail)
}
