//! What a phone makes of the images that a pass is given.

use std::collections::{BTreeMap, BTreeSet};

use crate::PassKind;
use crate::finding::Finding;
use crate::image::{ImageName, ImageSlot, PngHeader, check_size};
use crate::pointer::at;

/// Warnings about images that Wallet does not show on a pass of this kind, or shows otherwise than they are: of a slot that the kind does not have,
/// of another size (where it is known), or beside an image that excludes them. Pointers are like `/assets/logo.png`.
///
/// <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>
pub fn lint_images(kind: PassKind, images: &BTreeMap<ImageName, Option<PngHeader>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, header) in images {
        if !kind.shows(name.slot()) {
            findings.push(Finding::warning("image_not_shown", &pointer(*name), not_shown(kind, name.slot())));
        } else if let Some(Err(other)) = header.map(|header| check_size(name, header)) {
            findings.push(Finding::warning("image_size", &pointer(*name), other.to_string()));
        }
    }
    let slots: BTreeSet<ImageSlot> = images.keys().map(ImageName::slot).collect();
    findings.extend(images.keys().filter(|name| name.slot() == ImageSlot::Strip).find_map(|strip| {
        let excluded = kind.excluded_by(strip.slot()).iter().filter(|other| slots.contains(other));
        let excluded: Vec<&str> = excluded.map(|other| other.as_str()).collect();
        let detail = format!(
            "an event ticket has either a strip, or a background and a thumbnail; this one has a strip and {}: remove one of them",
            excluded.join(" and ")
        );
        (!excluded.is_empty()).then(|| Finding::warning("image_excluded", &pointer(*strip), detail))
    }));
    findings
}

fn not_shown(kind: PassKind, slot: ImageSlot) -> String {
    let (name, style) = (slot.as_str(), kind.style);
    let shown_by = slot.shown_by_words();
    if shown_by.is_empty() {
        return format!("{name} is kept and not shown: no pass shows it, the sheet for enrolling does");
    }
    let look = if kind.poster { " with the poster look" } else { "" };
    format!(
        "{name} is kept and not shown: this pass is of the style {style}{look}, and {name} is shown by {shown_by}"
    )
}

fn pointer(name: ImageName) -> String {
    at("/assets", name)
}
