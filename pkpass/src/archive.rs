//! The archive: a ZIP with the files at its root.

use std::io::{Cursor, Write};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

/// Files below this size in bytes are stored as they are: deflating the three small ones of a usual pass takes a quarter of the time of its
/// signature and saves less than a packet.
const WORTH_DEFLATING: usize = 4096;

/// Packs files in the order given. The same files give the same bytes: names, order, dates and permissions are fixed.
///
/// PNG files and passes are stored, they are compressed already; so are small files. Everything else is deflated.
pub(crate) fn archive<'a>(
    files: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
) -> Result<Vec<u8>, ZipError> {
    let size = files.clone().map(|(path, bytes)| bytes.len() + 2 * path.len() + HEADERS).sum();
    let mut writer = ZipWriter::new(Cursor::new(Vec::with_capacity(size)));
    for (path, bytes) in files {
        writer.start_file(path, options(path, bytes))?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// Bytes around a file, but for its name: a local header and an entry of the directory.
const HEADERS: usize = 128;

/// Everything said outright: the defaults of the library may depend on the system and on features of other crates.
fn options(path: &str, bytes: &[u8]) -> SimpleFileOptions {
    let is_compressed = path.ends_with(".pkpass") || path.to_ascii_lowercase().ends_with(".png");
    let is_worth_it = bytes.len() >= WORTH_DEFLATING && !is_compressed;
    let method = if is_worth_it { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    SimpleFileOptions::default()
        .compression_method(method)
        .last_modified_time(DateTime::default())
        .system(System::Unix)
        .unix_permissions(0o644)
}
