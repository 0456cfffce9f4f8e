//! From bytes to files, within limits: a phone must survive any bytes that a server sends.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::invalid::InvalidPass;

const MAX_FILES: usize = 500;
const MAX_UNPACKED_BYTES: u64 = 32 * 1024 * 1024;

/// The files of a pass by their path inside the archive.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

pub(super) fn unpack(bytes: &[u8]) -> Result<Files, InvalidPass> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
    if archive.len() > MAX_FILES {
        return Err(InvalidPass::TooManyFiles);
    }
    if archive.has_duplicate_names() {
        return Err(InvalidPass::DuplicateFile);
    }
    let mut files = Files::new();
    let mut budget = MAX_UNPACKED_BYTES;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| unreadable(&error))?;
        if entry.is_dir() {
            continue;
        }
        let path = safe_path(&entry.name().map_err(|error| unreadable(&error))?)?;
        let content = read_within(&mut entry, &mut budget)?;
        files.insert(path, content);
    }
    Ok(files)
}

/// Counts the bytes that really come out, because the sizes in the archive's own headers may lie.
fn read_within(entry: &mut impl Read, budget: &mut u64) -> Result<Vec<u8>, InvalidPass> {
    let mut content = Vec::new();
    let read = entry.take(*budget + 1).read_to_end(&mut content);
    let length = read.map_err(|error| unreadable(&error))? as u64;
    *budget = budget.checked_sub(length).ok_or(InvalidPass::TooLarge)?;
    Ok(content)
}

fn safe_path(path: &str) -> Result<String, InvalidPass> {
    let escapes = path.starts_with('/') || path.contains('\\') || path.split('/').any(|part| part == "..");
    if escapes { Err(InvalidPass::UnsafePath(path.to_owned())) } else { Ok(path.to_owned()) }
}

fn unreadable(error: &impl ToString) -> InvalidPass {
    InvalidPass::NotAnArchive(error.to_string())
}
