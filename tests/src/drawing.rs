//! Draws PNG images.

use png::{BitDepth, ColorType, Encoder};

/// An image of one shade.
///
/// # Panics
///
/// When a side is zero.
pub fn png(width: u32, height: u32, shade: u8) -> Vec<u8> {
    encoded(width, height, |_| shade)
}

/// An image that no compression makes smaller.
///
/// # Panics
///
/// When a side is zero.
pub fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    encoded(width, height, |_| {
        // xorshift32
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    })
}

fn encoded(width: u32, height: u32, shade: impl FnMut(u32) -> u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    let pixels: Vec<u8> = (0..width * height).map(shade).collect();
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&pixels).expect("the pixels");
    writer.finish().expect("the end");
    file
}

/// `icon.png`.
pub fn icon(shade: u8) -> Vec<u8> {
    png(29, 29, shade)
}

/// `logo.png`.
pub fn logo(shade: u8) -> Vec<u8> {
    png(160, 50, shade)
}

/// `background.png` of a poster.
pub fn background(shade: u8) -> Vec<u8> {
    png(345, 505, shade)
}
