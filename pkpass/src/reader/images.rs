//! Looks at the images of a pass. A fault of an image is that image's alone: a phone leaves it out, or scales it. Only the icon keeps the
//! whole pass from opening.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::image::{ImageName, PngError, check_size, read_png};
use crate::pass_json::poster::asks_for_poster;
use crate::pointer::at;
use crate::reader::image_names::{self, Name};
use crate::reader::localization::localized;
use crate::reader::pass::ticket_style;
use crate::reader::unpack::Files;
use crate::{Finding, PassKind, missing_images};

const ICON: &str = "icon";

/// Every image is one, has a name that a phone knows and a size that fits, and none is missing.
pub(super) fn check(files: &Files, pass: Option<&Map<String, Value>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut usable = BTreeMap::new();
    let mut has_broken_icon = false;
    for (path, bytes) in files.iter().filter(|(path, _)| image_names::is_image(path)) {
        let place = localized(path).map_or((None, path.as_str()), |(language, name)| (Some(language), name));
        let name = image_names::read(place.1);
        let (content, is_usable) = check_content(path, bytes);
        match &name {
            Err(why) => findings.push(Finding::warning(
                "image_unknown",
                &at("/assets", path),
                format!("{path}: {why}"),
            )),
            Ok(name) if is_usable => {
                usable.insert((place.0, name.clone()), path.as_str());
            }
            Ok(name) => has_broken_icon |= name.slot == ICON,
        }
        findings.extend(content);
    }
    icon(&usable, has_broken_icon, &mut findings);
    findings.extend(missing(&usable, pass));
    findings.extend(hidden_and_incomplete(&usable));
    findings
}

/// What there is to say about the bytes, and whether a phone can show them.
fn check_content(path: &str, bytes: &[u8]) -> (Option<Finding>, bool) {
    let warning = |code, detail: String| Some(Finding::warning(code, &at("/assets", path), detail));
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
            let size = ImageName::parse(path).ok().and_then(|name| check_size(&name, header).err());
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

type Usable<'a> = BTreeMap<(Option<&'a str>, Name), &'a str>;

fn icon(usable: &Usable<'_>, has_broken_icon: bool, findings: &mut Vec<Finding>) {
    if usable.keys().any(|(_, name)| name.slot == ICON) {
        return;
    }
    let detail = if has_broken_icon {
        "no icon image can be read: a pass without an icon does not open"
    } else {
        "there is no icon image at any scale: a pass without an icon does not open"
    };
    findings.push(Finding::error("image_missing", "/assets/icon.png", detail.to_owned()));
}

/// What else a pass of this style lacks. It falls back to a plainer look without it.
fn missing(usable: &Usable<'_>, pass: Option<&Map<String, Value>>) -> Vec<Finding> {
    let Some((style, poster)) = pass.and_then(|pass| Some((ticket_style(pass)?, asks_for_poster(pass))))
    else {
        return Vec::new();
    };
    let names: BTreeSet<ImageName> =
        usable.keys().filter_map(|(_, name)| ImageName::parse(&name.file()).ok()).collect();
    let found = missing_images(PassKind { style, poster }, names.iter()).into_iter();
    let is_about_icon = |finding: &Finding| finding.pointer.starts_with("/assets/icon.");
    found
        .filter(|finding| !(finding.is_error() && is_about_icon(finding)))
        .map(|finding| {
            if finding.is_error() {
                Finding::warning("image_missing", &finding.pointer, finding.detail)
            } else {
                finding
            }
        })
        .collect()
}

/// An image at the root hides those of the languages, and every language needs the same ones.
fn hidden_and_incomplete(usable: &Usable<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let languages: BTreeSet<&str> = usable.keys().filter_map(|(language, _)| *language).collect();
    let localized: BTreeSet<&Name> =
        usable.keys().filter(|(language, _)| language.is_some()).map(|(_, name)| name).collect();
    for name in localized {
        let file = name.file();
        if usable.contains_key(&(None, name.clone())) {
            let detail =
                format!("{file} at the root is shown instead of the ones in the folders of languages");
            findings.push(Finding::warning("image_localized_hidden", &at("/assets", &file), detail));
            continue;
        }
        let without = |language: &&&str| !usable.contains_key(&(Some(**language), name.clone()));
        if let Some(language) = languages.iter().find(without) {
            let path = format!("{language}.lproj/{file}");
            let detail = format!(
                "there is no {path}, and other languages have this image: give every language the same ones"
            );
            findings.push(Finding::warning("image_localized_missing", &at("/assets", &path), detail));
        }
    }
    findings
}
