//! Images, as integrators upload them.

use honoken_pkpass::image::{ImageSlot, PngHeader, check_size, decode_png, read_png, scaled};

/// Pixels of an image that is drawn at other scales here: larger ones take long and go the same way.
const MOST_SCALED: u64 = 300 * 300;

/// Pixels of an image that is decoded here.
const MOST_DECODED: u64 = 1024 * 1024;

/// Reads an image, once as it is, and once with right checksums, without which nothing behind the first chunk is read.
///
/// # Panics
/// When the image is measured in two ways, or its scales are no images.
pub fn png(bytes: &[u8]) {
    read(bytes);
    read(&with_checksums(bytes));
}

fn read(bytes: &[u8]) {
    let Ok(header) = read_png(bytes) else { return };
    let PngHeader { width, height } = header;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MOST_DECODED || decode_png(bytes).map(|decoded| assert_eq!(decoded, header)).is_err() {
        return;
    }
    if pixels > MOST_SCALED {
        return;
    }
    for slot in [ImageSlot::Icon, ImageSlot::Logo, ImageSlot::Thumbnail] {
        let images = scaled(slot, bytes).expect("an image that is decoded is drawn at every scale");
        for (name, image) in images {
            let header = read_png(&image).expect("what is drawn is an image");
            check_size(&name, header).expect("it has the size of its slot");
        }
    }
}

/// The same chunks, each with the checksum that it should have.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 8;
    while let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        let Ok(length) = usize::try_from(u32::from_be_bytes(*length)) else { break };
        let Some(end) = at.checked_add(8).and_then(|data| data.checked_add(length)) else { break };
        let Some(covered) = bytes.get(at + 4..end) else { break };
        let checksum = crc32fast::hash(covered).to_be_bytes();
        let Some(place) = bytes.get_mut(end..end + 4) else { break };
        place.copy_from_slice(&checksum);
        at = end + 4;
    }
    bytes
}
