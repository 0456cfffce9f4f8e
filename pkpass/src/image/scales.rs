//! One large image at every scale of a slot.

use std::io::Cursor;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use png::{BitDepth, ColorType, Encoder};

use crate::image::png::{COLOURS, DECODER_BYTES, PngError, PngHeader, read_png};
use crate::image::{ImageName, ImageSlot, Scale};

use honoken_styles::Points;

/// Bytes of a pixel: red, green, blue, alpha.
const PIXEL: usize = 4;

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    width: u32,
    height: u32,
}

/// Makes the images of a slot at 1x, 2x and 3x from one large image, as large as Wallet draws them.
///
/// Its sides keep their proportion. In a slot with one exact size it stands in the middle, with nothing around; in others it is never made larger
/// than it is. It takes up to some seconds of one core and four bytes of memory a pixel: call it where waiting is allowed.
///
/// # Errors
/// [`PngError`] when the image cannot be read.
pub fn scaled(slot: ImageSlot, bytes: &[u8]) -> Result<Vec<(ImageName, Vec<u8>)>, PngError> {
    let PngHeader { width, height } = read_png(bytes)?;
    let original = Size { width, height };
    let pixels = decode(bytes, original)?;
    let scales = Scale::ALL.into_iter().map(|scale| {
        let (canvas, drawn) = fit(slot, original, scale);
        let drawn_pixels = resize(&pixels, original, drawn).ok_or(PngError::Pixels)?;
        let image = encode(&center(drawn_pixels, drawn, canvas), canvas).ok_or(PngError::Pixels)?;
        Ok((ImageName::new(slot, scale), image))
    });
    scales.collect()
}

/// The size of the image at a scale, and of what is drawn in its middle.
fn fit(slot: ImageSlot, original: Size, scale: Scale) -> (Size, Size) {
    let factor = scale.factor();
    match slot.sizes().first() {
        Some(Points::Exactly(width, height)) => {
            let canvas = Size { width: width * factor, height: height * factor };
            (canvas, within(original, canvas))
        }
        Some(Points::AtMost(width, height)) => {
            let most = Scale::Three.factor();
            let largest = Size { width: width * most, height: height * most };
            let at_three = if original.width <= largest.width && original.height <= largest.height {
                original
            } else {
                within(original, largest)
            };
            let drawn = at_scale(at_three, factor);
            (drawn, drawn)
        }
        None => {
            let drawn = at_scale(original, factor);
            (drawn, drawn)
        }
    }
}

/// What is three times as large at 3x as at 1x.
fn at_scale(at_three: Size, factor: u32) -> Size {
    let part = |side: u32| (side * factor).div_ceil(Scale::Three.factor()).max(1);
    Size { width: part(at_three.width), height: part(at_three.height) }
}

/// The largest size of the same proportion that fits, at least one pixel a side.
fn within(original: Size, room: Size) -> Size {
    let (width, height) = (u64::from(original.width), u64::from(original.height));
    let (most_width, most_height) = (u64::from(room.width), u64::from(room.height));
    let side = |pixels: u64, most: u32| u32::try_from(pixels).unwrap_or(most).clamp(1, most);
    if width * most_height >= height * most_width {
        Size { width: room.width, height: side(height * most_width / width, room.height) }
    } else {
        Size { width: side(width * most_height / height, room.width), height: room.height }
    }
}

/// The pixels of an image, whatever its colour type.
fn decode(bytes: &[u8], size: Size) -> Result<Vec<u8>, PngError> {
    let limits = ::png::Limits { bytes: DECODER_BYTES };
    let mut decoder = ::png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(COLOURS);
    let unreadable = |_| PngError::Pixels;
    let mut reader = decoder.read_info().map_err(unreadable)?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or(PngError::Pixels)?];
    let frame = reader.next_frame(&mut pixels).map_err(unreadable)?;
    pixels.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        ColorType::Rgba => pixels,
        ColorType::GrayscaleAlpha => {
            pixels.chunks_exact(2).flat_map(|pair| [pair[0], pair[0], pair[0], pair[1]]).collect()
        }
        ColorType::Grayscale | ColorType::Rgb | ColorType::Indexed => return Err(PngError::Pixels),
    };
    let expected = size.width as usize * size.height as usize * PIXEL;
    if pixels.len() == expected { Ok(pixels) } else { Err(PngError::Pixels) }
}

fn resize(pixels: &[u8], from: Size, to: Size) -> Option<Vec<u8>> {
    if from == to {
        return Some(pixels.to_vec());
    }
    let source = ImageRef::new(from.width, from.height, pixels, PixelType::U8x4).ok()?;
    let mut target = Image::new(to.width, to.height, PixelType::U8x4);
    Resizer::new().resize(&source, &mut target, &ResizeOptions::new()).ok()?;
    Some(target.into_vec())
}

/// The image in the middle of a larger one, with nothing around it.
fn center(pixels: Vec<u8>, drawn: Size, canvas: Size) -> Vec<u8> {
    if drawn == canvas {
        return pixels;
    }
    let left = ((canvas.width - drawn.width) / 2) as usize;
    let top = ((canvas.height - drawn.height) / 2) as usize;
    let mut whole = vec![0; canvas.width as usize * canvas.height as usize * PIXEL];
    let row = drawn.width as usize * PIXEL;
    for (index, line) in pixels.chunks_exact(row).enumerate() {
        let start = ((top + index) * canvas.width as usize + left) * PIXEL;
        whole[start..start + row].copy_from_slice(line);
    }
    whole
}

/// A PNG file, without an alpha channel where nothing shines through.
fn encode(pixels: &[u8], size: Size) -> Option<Vec<u8>> {
    let is_opaque = pixels.chunks_exact(PIXEL).all(|pixel| pixel[3] == u8::MAX);
    let opaque: Vec<u8>;
    let (color, data) = if is_opaque {
        opaque = pixels.chunks_exact(PIXEL).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        (ColorType::Rgb, &opaque[..])
    } else {
        (ColorType::Rgba, pixels)
    };
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, size.width, size.height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(data).ok()?;
    writer.finish().ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::check_size;

    /// A picture of one colour.
    fn picture(width: u32, height: u32, color: ColorType, pixel: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.set_depth(BitDepth::Eight);
        let pixels = pixel.repeat(width as usize * height as usize);
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        file
    }

    fn sizes(slot: ImageSlot, width: u32, height: u32) -> Vec<(u32, u32)> {
        let made = scaled(slot, &picture(width, height, ColorType::Rgb, &[9, 8, 7])).unwrap();
        let names: Vec<ImageName> = made.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, Scale::ALL.map(|scale| ImageName::new(slot, scale)));
        let sizes = made.iter().map(|(name, image)| {
            let header = read_png(image).unwrap();
            check_size(name, header).unwrap();
            (header.width, header.height)
        });
        sizes.collect()
    }

    #[test]
    fn every_slot_gets_its_three_scales_as_large_as_wallet_draws_them() {
        for slot in ImageSlot::ALL {
            sizes(slot, 900, 700);
            sizes(slot, 1, 1);
        }
        assert_eq!(sizes(ImageSlot::Icon, 1000, 1000), [(38, 38), (76, 76), (114, 114)]);
        assert_eq!(sizes(ImageSlot::Icon, 500, 20), [(38, 38), (76, 76), (114, 114)]);
        assert_eq!(sizes(ImageSlot::Logo, 960, 300), [(160, 50), (320, 100), (480, 150)]);
        assert_eq!(sizes(ImageSlot::Logo, 600, 600), [(50, 50), (100, 100), (150, 150)]);
        assert_eq!(sizes(ImageSlot::Strip, 1125, 432), [(375, 144), (750, 288), (1125, 432)]);
        assert_eq!(
            sizes(ImageSlot::Thumbnail, 90, 60),
            [(30, 20), (60, 40), (90, 60)],
            "nothing is made larger"
        );
        assert_eq!(sizes(ImageSlot::VenueMap, 300, 3), [(100, 1), (200, 2), (300, 3)]);
    }

    #[test]
    fn colours_and_what_shines_through_stay() {
        let cases: [(ColorType, &[u8], [u8; 4]); 4] = [
            (ColorType::Rgb, &[200, 100, 50], [200, 100, 50, 255]),
            (ColorType::Rgba, &[200, 100, 50, 128], [200, 100, 50, 128]),
            (ColorType::Grayscale, &[77], [77, 77, 77, 255]),
            (ColorType::GrayscaleAlpha, &[77, 0], [0, 0, 0, 0]),
        ];
        for (color, pixel, expected) in cases {
            for (_, image) in scaled(ImageSlot::Logo, &picture(700, 300, color, pixel)).unwrap() {
                let PngHeader { width, height } = read_png(&image).unwrap();
                let pixels = decode(&image, Size { width, height }).unwrap();
                let near = |one: u8, other: u8| one.abs_diff(other) <= 2;
                for found in pixels.chunks_exact(PIXEL) {
                    // The colour of a pixel that is not seen is no matter.
                    let is_seen = expected[3] > 0;
                    assert!(near(found[3], expected[3]), "{color:?}: {found:?}");
                    assert!(
                        !is_seen || found.iter().zip(expected).all(|(one, other)| near(*one, other)),
                        "{color:?}: {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_icon_that_is_no_square_stands_in_the_middle_with_nothing_around() {
        let made = scaled(ImageSlot::Icon, &picture(200, 100, ColorType::Rgb, &[255, 0, 0])).unwrap();
        let pixels = decode(&made[0].1, Size { width: 38, height: 38 }).unwrap();
        let at = |x: usize, y: usize| &pixels[(y * 38 + x) * PIXEL..][..PIXEL];
        assert_eq!((at(0, 0), at(37, 37)), (&[0, 0, 0, 0][..], &[0, 0, 0, 0][..]));
        assert_eq!(at(19, 19), [255, 0, 0, 255]);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert_eq!(scaled(ImageSlot::Icon, b"GIF89a"), Err(PngError::Signature));
    }
}
