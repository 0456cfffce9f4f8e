//! Walks a PNG file from its signature to its end.
//!
//! <https://www.w3.org/TR/png-3/>

use std::io::Cursor;

use ::png::Transformations;
use serde::Serialize;
use thiserror::Error;

use crate::image::{MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS};

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// The size of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PngHeader {
    /// Pixels across, never zero.
    pub width: u32,
    /// Pixels down, never zero.
    pub height: u32,
}

/// Why bytes are not a PNG file that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PngError {
    /// More than [`MAX_IMAGE_BYTES`].
    #[error("the image has {bytes} bytes; at most {MAX_IMAGE_BYTES} are accepted")]
    TooLarge {
        /// How many there are.
        bytes: usize,
    },
    /// The file does not begin as a PNG file does.
    #[error("this is not a PNG file: it does not begin with the PNG signature")]
    Signature,
    /// The file ends in the middle of a chunk or before its end chunk.
    #[error("the PNG file is cut off at byte {offset}")]
    Truncated {
        /// Where the chunk begins that is not all there.
        offset: usize,
    },
    /// The first chunk is not a header of 13 bytes.
    #[error("the PNG file does not begin with a header chunk (IHDR)")]
    Header,
    /// A checksum does not match.
    #[error("the PNG file is damaged: the checksum of the chunk at byte {offset} is wrong")]
    Checksum {
        /// Where the chunk begins.
        offset: usize,
    },
    /// The pair of bit depth and colour type is not one of the standard's.
    #[error(
        "the PNG file has bit depth {bit_depth} with colour type {color_type}, which the standard does not allow"
    )]
    ColorType {
        /// Bits per sample.
        bit_depth: u8,
        /// Colour type.
        color_type: u8,
    },
    /// Compression, filter or interlace method that the standard does not have.
    #[error("the PNG file uses a compression, filter or interlace method that does not exist")]
    Method,
    /// A side is zero or longer than [`MAX_IMAGE_PIXELS`].
    #[error("the image is {width}×{height} pixels; each side must be from 1 to {MAX_IMAGE_PIXELS}")]
    Dimensions {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// There is no image data chunk.
    #[error("the PNG file has no image data (IDAT)")]
    NoData,
    /// A second header.
    #[error("the PNG file has a second header chunk at byte {offset}")]
    SecondHeader {
        /// Where the chunk begins.
        offset: usize,
    },
    /// The compressed pixels cannot be read.
    #[error("the pixels of the PNG file cannot be read")]
    Pixels,
    /// Something follows the end chunk.
    #[error("{bytes} bytes follow the end of the PNG file")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// The bytes of a PNG file up to the end of its header: the signature, and the first chunk with its checksum.
pub const HEAD_BYTES: u64 = 33;

struct Chunk<'a> {
    offset: usize,
    kind: &'a [u8],
    data: &'a [u8],
}

/// Reads the size from the first [`HEAD_BYTES`] of a file that was checked before. `None` when it does not begin as a PNG file.
pub fn read_head(bytes: &[u8]) -> Option<PngHeader> {
    if !bytes.starts_with(&SIGNATURE) {
        return None;
    }
    read_header(&chunk_at(bytes, SIGNATURE.len()).ok()?.0).ok()
}

/// Checks that the bytes are one complete PNG file with correct checksums, and reads its size.
///
/// The compressed pixels are not looked into: [`decode_png`] does that.
///
/// # Errors
/// [`PngError`] names the first thing that is wrong.
pub fn read_png(bytes: &[u8]) -> Result<PngHeader, PngError> {
    if bytes.len() > MAX_IMAGE_BYTES {
        return Err(PngError::TooLarge { bytes: bytes.len() });
    }
    if !bytes.starts_with(&SIGNATURE) {
        return Err(PngError::Signature);
    }
    let (first, mut next) = chunk_at(bytes, SIGNATURE.len())?;
    let header = read_header(&first)?;
    let mut has_data = false;
    loop {
        let (chunk, after) = chunk_at(bytes, next)?;
        next = after;
        match chunk.kind {
            b"IHDR" => return Err(PngError::SecondHeader { offset: chunk.offset }),
            b"IDAT" => has_data = true,
            b"IEND" => break,
            _ => {}
        }
    }
    if !has_data {
        return Err(PngError::NoData);
    }
    match bytes.len() - next {
        0 => Ok(header),
        trailing => Err(PngError::Trailing { bytes: trailing }),
    }
}

/// Checks a PNG file as [`read_png`] does, and that every row of its pixels can be read.
///
/// Row by row, so that a small file cannot ask for much memory. It takes up to some tenths of a second for the largest images: call it where
/// waiting is allowed.
///
/// # Errors
/// [`PngError`] names the first thing that is wrong.
pub fn decode_png(bytes: &[u8]) -> Result<PngHeader, PngError> {
    let header = read_png(bytes)?;
    let limits = ::png::Limits { bytes: DECODER_BYTES };
    let mut decoder = ::png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    // As for drawing it at other scales: a palette that is missing is only missed then.
    decoder.set_transformations(COLOURS);
    let rows = move || -> Result<(), ::png::DecodingError> {
        let mut reader = decoder.read_info()?;
        while reader.next_row()?.is_some() {}
        reader.finish()
    };
    rows().map(|()| header).map_err(|_| PngError::Pixels)
}

/// Red, green, blue and alpha, or grey and alpha, a byte each.
pub(super) const COLOURS: Transformations =
    Transformations::EXPAND.union(Transformations::STRIP_16).union(Transformations::ALPHA);

/// Memory for decoding: rows, a palette, a colour profile.
pub(super) const DECODER_BYTES: usize = 16 * 1024 * 1024;

/// The chunk that begins at `offset`, and where the next one begins.
fn chunk_at(bytes: &[u8], offset: usize) -> Result<(Chunk<'_>, usize), PngError> {
    let truncated = PngError::Truncated { offset };
    let rest = bytes.get(offset..).ok_or(truncated)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(truncated)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| truncated)?;
    let covered = rest.get(..length.checked_add(4).ok_or(truncated)?).ok_or(truncated)?;
    let (checksum, _) = rest[covered.len()..].split_first_chunk::<4>().ok_or(truncated)?;
    if crc32fast::hash(covered) != u32::from_be_bytes(*checksum) {
        return Err(PngError::Checksum { offset });
    }
    let (kind, data) = covered.split_at(4);
    Ok((Chunk { offset, kind, data }, offset + 4 + covered.len() + 4))
}

fn read_header(chunk: &Chunk<'_>) -> Result<PngHeader, PngError> {
    let (b"IHDR", &[w0, w1, w2, w3, h0, h1, h2, h3, bit_depth, color_type, compression, filter, interlace]) =
        (chunk.kind, chunk.data)
    else {
        return Err(PngError::Header);
    };
    let (width, height) = (u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]));
    if !is_legal(bit_depth, color_type) {
        return Err(PngError::ColorType { bit_depth, color_type });
    }
    if compression != 0 || filter != 0 || interlace > 1 {
        return Err(PngError::Method);
    }
    if [width, height].iter().any(|side| !(1..=MAX_IMAGE_PIXELS).contains(side)) {
        return Err(PngError::Dimensions { width, height });
    }
    Ok(PngHeader { width, height })
}

/// The table of allowed combinations in section 11.2.1 of the standard.
const fn is_legal(bit_depth: u8, color_type: u8) -> bool {
    match color_type {
        0 => matches!(bit_depth, 1 | 2 | 4 | 8 | 16),
        3 => matches!(bit_depth, 1 | 2 | 4 | 8),
        2 | 4 | 6 => matches!(bit_depth, 8 | 16),
        _ => false,
    }
}
