//! The colours of a pass.

use serde_json::{Map, Value};

use crate::PassKind;
use crate::color::plain_color;
use crate::image::ImageSlot;
use crate::pass_json::poster::asks_for_poster;

/// The three colours of a pass that names none of them: black on white.
const DEFAULTS: [(&str, &str); 3] = [
    ("backgroundColor", "rgb(255, 255, 255)"),
    ("foregroundColor", "rgb(0, 0, 0)"),
    ("labelColor", "rgb(0, 0, 0)"),
];

/// Every colour at the top of pass.json.
const COLORS: [&str; 5] =
    ["backgroundColor", "footerBackgroundColor", "foregroundColor", "labelColor", "stripColor"];

/// Images behind the text, which Wallet chooses colours by.
const PICTURES: [ImageSlot; 3] = [ImageSlot::Artwork, ImageSlot::Background, ImageSlot::Strip];

/// Writes colours as every reader takes them, and those that are missing where nothing else decides them.
pub(super) fn write_colors(pass: &mut Map<String, Value>, kind: PassKind, slots: &[ImageSlot]) {
    for key in COLORS {
        if let Some(Value::String(color)) = pass.get_mut(key) {
            *color = plain_color(color);
        }
    }
    let is_poster = kind.poster || asks_for_poster(pass);
    let has_picture = slots.iter().any(|slot| PICTURES.contains(slot));
    let has_color = DEFAULTS.iter().any(|(key, _)| pass.contains_key(*key));
    if !(is_poster || has_picture || has_color) {
        pass.extend(DEFAULTS.map(|(key, color)| (key.to_owned(), Value::from(color))));
    }
}
