//! Looks at the images of a pass. A fault of an image is that image's alone: a phone leaves it out, or scales it. Only the icon keeps the
//! whole pass from opening.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::image::{ImageName, ImageSlot, PngError, check_size, read_png};
use crate::pass_json::poster::asks_for_poster;
use crate::pointer::in_assets;
use crate::reader::image_names;
use crate::reader::localization::localized;
use crate::reader::pass::ticket_style;
use crate::reader::unpack::Files;
use crate::required_images::{missing_icon, missing_images};
use crate::{Finding, PassKind};

/// Every image is one, has a name that a phone knows and a size that fits, and none is missing.
pub(super) fn check(files: &Files, pass: Option<&Map<String, Value>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut usable = BTreeMap::new();
    let mut has_broken_icon = false;
    for (path, bytes) in files.iter().filter(|(path, _)| image_names::is_image(path)) {
        let place = localized(path).map_or((None, path.as_str()), |(language, name)| (Some(language), name));
        let name = image_names::read(place.1);
        let (content, is_usable) = check_content(path, name.as_ref().ok(), bytes);
        match &name {
            Err(why) => {
                findings.push(Finding::warning("image_unknown", &in_assets(path), format!("{path}: {why}")));
            }
            Ok(name) if is_usable => {
                usable.insert((place.0, *name), path.as_str());
            }
            Ok(name) => has_broken_icon |= name.slot() == ImageSlot::Icon,
        }
        findings.extend(content);
    }
    findings.extend(missing(&usable, has_broken_icon, pass));
    findings.extend(hidden_and_incomplete(&usable));
    findings
}

/// What there is to say about the bytes, and whether a phone can show them.
fn check_content(path: &str, name: Option<&ImageName>, bytes: &[u8]) -> (Option<Finding>, bool) {
    let warning = |code, detail: String| Some(Finding::warning(code, &in_assets(path), detail));
    let kind = image_names::kind_of(bytes);
    if let Some(kind) = kind.filter(|kind| *kind != "PNG") {
        let is_named_so = image_names::ending(path).eq_ignore_ascii_case(kind);
        let detail = if is_named_so {
            format!("{path} is not a PNG file, which is what phones are documented to show: convert it")
        } else {
            format!(
                "{path} is a {kind} under the name of a PNG file: a phone may leave this image out. Convert it, renaming is not enough"
            )
        };
        return (warning("image_not_png", detail), true);
    }
    match read_png(bytes) {
        Ok(header) => {
            let size = name.and_then(|name| check_size(name, header).err());
            // A phone scales it.
            (size.and_then(|error| warning("image_size", error.to_string())), true)
        }
        Err(error @ PngError::TooLarge { .. }) => (
            warning("image_large", format!("{path}: {error} by this service, and a large pass loads slowly")),
            true,
        ),
        Err(error @ PngError::Trailing { .. }) => {
            (warning("image_trailing_bytes", format!("{path}: {error}")), true)
        }
        Err(error @ PngError::Dimensions { width: 1.., height: 1.. }) => {
            (warning("image_size", format!("{path}: {error}")), true)
        }
        Err(error) => {
            (warning("image_unreadable", format!("{path}: {error}. A phone leaves this image out")), false)
        }
    }
}

type Usable<'a> = BTreeMap<(Option<&'a str>, ImageName), &'a str>;

/// What the pass lacks: an icon, without which no phone takes it, and images without which it falls back to a plainer look.
fn missing(usable: &Usable<'_>, has_broken_icon: bool, pass: Option<&Map<String, Value>>) -> Vec<Finding> {
    let names: BTreeSet<ImageName> = usable.keys().map(|(_, name)| *name).collect();
    let has_icon = names.iter().any(|name| name.slot() == ImageSlot::Icon);
    let kind =
        pass.and_then(|pass| Some(PassKind { style: ticket_style(pass)?, poster: asks_for_poster(pass) }));
    let mut findings = match kind {
        Some(kind) => missing_images(kind, names.iter()),
        None if has_icon => Vec::new(),
        None => vec![missing_icon()],
    };
    if has_broken_icon {
        for error in findings.iter_mut().filter(|finding| finding.is_error()) {
            "no icon image can be read: a pass without an icon does not open".clone_into(&mut error.detail);
        }
    }
    findings
}

/// An image at the root hides those of the languages, and every language needs the same ones.
fn hidden_and_incomplete(usable: &Usable<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let languages: BTreeSet<&str> = usable.keys().filter_map(|(language, _)| *language).collect();
    let localized: BTreeSet<&ImageName> =
        usable.keys().filter(|(language, _)| language.is_some()).map(|(_, name)| name).collect();
    for name in localized {
        let file = name.to_string();
        if usable.contains_key(&(None, *name)) {
            let detail =
                format!("{file} at the root is shown instead of the ones in the folders of languages");
            findings.push(Finding::warning("image_localized_hidden", &in_assets(&file), detail));
            continue;
        }
        let without = |language: &&&str| !usable.contains_key(&(Some(**language), *name));
        if let Some(language) = languages.iter().find(without) {
            let path = format!("{language}.lproj/{file}");
            let detail = format!(
                "there is no {path}, and other languages have this image: give every language the same ones"
            );
            findings.push(Finding::warning("image_localized_missing", &in_assets(&path), detail));
        }
    }
    findings
}
