//! Looks at the images of a pass.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::image::{ImageName, ImageSlot, check_size, read_png};
use crate::pass_json::poster::asks_for_poster;
use crate::pointer::at;
use crate::reader::pass::ticket_style;
use crate::{Finding, PassKind, missing_images};

/// Every PNG file is one, those we know have a size that fits, and none is missing.
pub(super) fn check(files: &BTreeMap<String, Vec<u8>>, pass: Option<&Map<String, Value>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.to_ascii_lowercase().ends_with(".png")) {
        findings.extend(check_image(path, bytes));
    }
    let names: Vec<ImageName> = files.keys().filter_map(|path| ImageName::parse(path).ok()).collect();
    match pass.and_then(|pass| Some((ticket_style(pass)?, asks_for_poster(pass)))) {
        Some((style, poster)) => findings.extend(missing_images(PassKind { style, poster }, names.iter())),
        None if names.iter().any(|name| name.slot() == ImageSlot::Icon) => {}
        None => {
            let detail =
                "there is no icon image at any scale: a pass without an icon does not open".to_owned();
            findings.push(Finding::error("image_missing", "/assets/icon.png", detail));
        }
    }
    findings
}

fn check_image(path: &str, bytes: &[u8]) -> Option<Finding> {
    let pointer = at("/assets", path);
    let header = match read_png(bytes) {
        Ok(header) => header,
        Err(error) => return Some(Finding::error("image_unreadable", &pointer, format!("{path}: {error}"))),
    };
    let name = ImageName::parse(path).ok()?;
    let error = check_size(&name, header).err()?;
    // A phone scales it; that it is refused when uploaded is our rule, not Wallet's.
    Some(Finding::warning("image_size", &pointer, error.to_string()))
}
