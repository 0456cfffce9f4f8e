//! Unpacks an archive that may have been made to hurt.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::reader::Problem;

/// The most entries an archive may have.
pub const MAX_FILES: usize = 200;

/// The most bytes an archive may have, packed and unpacked: 32 MiB.
pub const MAX_UNPACKED_BYTES: usize = 32 * 1024 * 1024;

/// The files by path. A file that cannot be unpacked is a problem and left out.
pub(super) fn unpack(bytes: &[u8], problems: &mut Vec<Problem>) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let Some(mut archive) = open(bytes, problems) else { return files };
    let mut room = MAX_UNPACKED_BYTES;
    for index in 0..archive.len() {
        match unpack_entry(&mut archive, index, room) {
            Ok(None) => {}
            Ok(Some((path, content))) => {
                room -= content.len();
                files.insert(path, content);
            }
            Err(problem) => {
                let stop = problem.code == "archive_too_large";
                problems.push(problem);
                if stop {
                    break;
                }
            }
        }
    }
    files
}

fn open<'a>(bytes: &'a [u8], problems: &mut Vec<Problem>) -> Option<ZipArchive<Cursor<&'a [u8]>>> {
    if bytes.len() > MAX_UNPACKED_BYTES {
        problems.push(too_large());
        return None;
    }
    let mut archive = match ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => archive,
        Err(error) => {
            problems.push(Problem::new("archive_unreadable", format!("this is not a ZIP archive: {error}")));
            return None;
        }
    };
    if archive.len() > MAX_FILES {
        let detail = format!("the archive has {} entries; at most {MAX_FILES} are read", archive.len());
        problems.push(Problem::new("archive_too_many_files", detail));
        return None;
    }
    if archive.has_duplicate_names() {
        problems.push(Problem::new("archive_ambiguous", "the archive has two files of the same name"));
    }
    // Readers disagree about which of two overlapping files there is.
    if archive.has_overlapping_entries().unwrap_or(true) {
        problems.push(Problem::new("archive_ambiguous", "files of the archive overlap"));
    }
    Some(archive)
}

/// One entry; folders are nothing.
fn unpack_entry(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    room: usize,
) -> Result<Option<(String, Vec<u8>)>, Problem> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Problem::new("file_unreadable", format!("file {index} of the archive cannot be read: {error}"))
    };
    let (path, encrypted, is_link, is_folder) = {
        let entry = archive.by_index_data(index).map_err(|error| unreadable(&error))?;
        let path = entry.name().map_err(|error| unreadable(&error))?.into_owned();
        (path, entry.encrypted(), entry.is_symlink(), entry.is_dir())
    };
    if encrypted {
        return Err(Problem::new("file_encrypted", format!("{path:?} is encrypted")));
    }
    if !is_safe(&path) || is_link {
        return Err(Problem::new("path_unsafe", format!("{path:?} leaves the archive or is a link")));
    }
    if is_folder {
        return Ok(None);
    }
    let entry = archive.by_index(index).map_err(|error| unreadable(&error))?;
    // The declared size is only a claim: count while reading, one byte beyond the limit.
    let limit = u64::try_from(room).unwrap_or(u64::MAX).saturating_add(1);
    let mut content = Vec::new();
    entry.take(limit).read_to_end(&mut content).map_err(|error| unreadable(&error))?;
    if content.len() > room { Err(too_large()) } else { Ok(Some((path, content))) }
}

fn too_large() -> Problem {
    Problem::new("archive_too_large", format!("the archive is larger than {MAX_UNPACKED_BYTES} bytes"))
}

/// A relative path of plain names.
fn is_safe(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(is_plain) && !path.contains(['\\', ':']) && !path.chars().any(char::is_control)
}
