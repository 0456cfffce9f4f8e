//! What a phone makes of the images that a pass is given.

use std::collections::{BTreeMap, BTreeSet};

use crate::PassKind;
use crate::finding::Finding;
use crate::image::{ImageFile, ImageSlot, PngHeader, check_size};
use crate::pointer::in_assets;

/// Warnings about images that Wallet does not show on a pass of this kind, or shows otherwise than they are: of a slot that the kind does not have,
/// of another size (where it is known), beside an image that excludes them, or of one language where a phone looks for one of all. Pointers are like `/assets/logo.png`.
///
/// <https://developer.apple.com/documentation/walletpasses/creating-the-source-for-a-pass>
pub fn lint_images(kind: PassKind, images: &BTreeMap<ImageFile, Option<PngHeader>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, header) in images {
        if kind.shows(file.slot()) {
            findings.extend(header.and_then(|header| lint_size(file, header)));
        } else {
            findings.push(Finding::warning(
                "image_not_shown",
                &in_assets(file),
                not_shown(kind, file.slot()),
            ));
        }
    }
    findings.extend(images.keys().filter(|file| kind.shows(file.slot())).filter_map(|file| {
        let hidden = hidden_language(file, images)?;
        Some(Finding::warning("image_language", &in_assets(file), hidden))
    }));
    let slots: BTreeSet<ImageSlot> = images.keys().map(ImageFile::slot).collect();
    findings.extend(images.keys().filter(|file| file.slot() == ImageSlot::Strip).find_map(|strip| {
        let excluded = kind.excluded_by(strip.slot()).iter().filter(|other| slots.contains(other));
        let excluded: Vec<&str> = excluded.map(|other| other.as_str()).collect();
        let detail = format!(
            "an event ticket has either a strip, or a background and a thumbnail; this one has a strip and {}: remove one of them",
            excluded.join(" and ")
        );
        (!excluded.is_empty()).then(|| Finding::warning("image_excluded", &in_assets(strip), detail))
    }));
    findings
}

/// A warning about an image of another size than Wallet draws, on whatever pass that shows it.
pub fn lint_size(file: &ImageFile, header: PngHeader) -> Option<Finding> {
    let other = check_size(&file.name(), header).err()?;
    Some(Finding::warning("image_size", &in_assets(file), other.to_string()))
}

/// Why a phone does not choose a file by its language, if it does not.
fn hidden_language(file: &ImageFile, images: &BTreeMap<ImageFile, Option<PngHeader>>) -> Option<String> {
    file.language()?;
    let slot = file.slot();
    if slot == ImageSlot::Icon {
        return Some(format!(
            "{file} is kept and not shown: the icon of a pass is the same in every language"
        ));
    }
    let hides = |other: &&ImageFile| other.slot() == slot && other.language().is_none();
    let hiding = images.keys().find(hides)?;
    Some(format!("{file} is not shown: {hiding} stands for every language and hides it; remove one of them"))
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
