//! Images for users who have none yet: a ticket stub, drawn pixel by pixel.

use bytes::Bytes;
use png::{BitDepth, ColorType, Encoder};

type Rgba = [u8; 4];

const NOTHING: Rgba = [0, 0, 0, 0];
const WHITE: Rgba = [255, 255, 255, 255];

/// A drawn image under the name that it goes by.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// File name, `icon@2x.png`.
    pub file: String,
    /// PNG bytes.
    pub bytes: Bytes,
}

/// The icon and the logo of the brand, at every scale.
pub fn brand() -> Vec<Drawing> {
    let ink = [94, 53, 177, 255];
    scales("icon", |scale| icon(38 * scale, ink))
        .chain(scales("logo", |scale| logo(50 * scale, ink)))
        .collect()
}

/// The logo of the sample's pass type, in another colour, so that the origin of each image can be seen.
pub fn pass_type_logo() -> Vec<Drawing> {
    scales("logo", |scale| logo(50 * scale, [0, 121, 107, 255])).collect()
}

/// An own icon for the sample.
pub fn sample_icon() -> Vec<Drawing> {
    scales("icon", |scale| icon(38 * scale, [216, 67, 21, 255])).collect()
}

fn scales(slot: &'static str, draw: impl Fn(u32) -> Bytes) -> impl Iterator<Item = Drawing> {
    [(1, ""), (2, "@2x"), (3, "@3x")]
        .into_iter()
        .map(move |(scale, suffix)| Drawing { file: format!("{slot}{suffix}.png"), bytes: draw(scale) })
}

/// A square in the ink's colour with a stub on it.
fn icon(size: u32, ink: Rgba) -> Bytes {
    encode(size, size, |x, y| {
        let (x, y) = (x / f64::from(size), y / f64::from(size));
        if stub((x - 0.14) / 0.72, (y - 0.28) / 0.44) { WHITE } else { ink }
    })
}

/// A stub in the ink's colour on nothing.
fn logo(height: u32, ink: Rgba) -> Bytes {
    let width = height * 8 / 5;
    encode(width, height, |x, y| {
        if stub(x / f64::from(width), (y / f64::from(height) - 0.08) / 0.84) { ink } else { NOTHING }
    })
}

/// Whether a point of the unit square is on a ticket stub: a rectangle with a bite at either end and a perforation.
fn stub(x: f64, y: f64) -> bool {
    let on_paper = (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y);
    let in_bite = |at: f64| (x - at).hypot((y - 0.5) * 0.6) < 0.11;
    let in_hole = (x - 0.68).abs() < 0.02 && (y * 9.0).fract() < 0.5;
    on_paper && !in_bite(0.0) && !in_bite(1.0) && !in_hole
}

fn encode(width: u32, height: u32, colour: impl Fn(f64, f64) -> Rgba) -> Bytes {
    let pixel = |index: u32| colour(f64::from(index % width) + 0.5, f64::from(index / width) + 0.5);
    let pixels: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, width, height);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    written.expect("memory takes every byte, and there are as many as the header says");
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use honoken_pkpass::image::{ImageName, check_size, read_png};

    use super::*;

    #[test]
    fn every_drawing_is_an_image_that_fits_its_name() {
        let drawings = [brand(), pass_type_logo(), sample_icon()].concat();
        assert_eq!(drawings.len(), 12);
        for Drawing { file, bytes } in drawings {
            let name = ImageName::parse(&file).unwrap();
            check_size(&name, read_png(&bytes).unwrap()).unwrap();
        }
    }
}
