//! Unpacks an archive that may have been made to hurt.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use memchr::memmem;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::finding::quoted;
use crate::reader::container;
use crate::reader::notes::Notes;
use crate::reader::paths;

/// The most entries an archive may have.
pub const MAX_FILES: usize = 200;

/// The most bytes an archive may have, packed and unpacked: 32 MiB.
pub const MAX_UNPACKED_BYTES: usize = 32 * 1024 * 1024;

/// The files of a pass by path.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// An archive that was opened.
pub(super) type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// How an entry could not be read.
pub(super) struct EntryFault {
    code: &'static str,
    detail: String,
}

impl EntryFault {
    pub(super) fn note(self, notes: &mut Notes) {
        notes.problem(self.code, self.detail);
    }
}

/// Opens an archive, without a limit on its size. Problems are noted, and the archive may come all the same.
pub(super) fn open<'a>(bytes: &'a [u8], notes: &mut Notes) -> Option<Archive<'a>> {
    if has_too_many_entries(bytes) {
        notes.problem(
            "archive_too_many_files",
            format!("the archive has far more than the {MAX_FILES} entries that are read"),
        );
        return None;
    }
    let mut archive = match ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => archive,
        Err(error) => {
            notes.problem("archive_unreadable", not_an_archive(bytes, &error));
            return None;
        }
    };
    if archive.is_empty() {
        notes.problem(
            "archive_unreadable",
            "the archive is empty: a pass is a ZIP archive of pass.json, images, manifest and signature",
        );
        return None;
    }
    if archive.len() > MAX_FILES {
        let detail = format!("the archive has {} entries; at most {MAX_FILES} are read", archive.len());
        notes.problem("archive_too_many_files", detail);
        return None;
    }
    if archive.has_duplicate_names() {
        notes.problem("archive_ambiguous", "the archive has two files of the same name");
    }
    // Readers disagree about which of two overlapping files there is.
    if archive.has_overlapping_entries().unwrap_or(true) {
        notes.problem("archive_ambiguous", "files of the archive overlap");
    }
    if archive.offset() > 0 {
        let detail = format!(
            "{} bytes stand before the archive: readers differ on whether that is one",
            archive.offset()
        );
        notes.warning("archive_odd", "", detail);
    }
    Some(archive)
}

/// Each entry of the directory takes memory before it can be counted, so its mark is counted in the bytes. Passes of a bundle that are stored
/// as they are have marks of their own.
fn has_too_many_entries(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, b"PK\x01\x02").nth(MOST_MARKS).is_some()
}

/// Ten passes of as many files as are read, and as many again.
const MOST_MARKS: usize = 20 * MAX_FILES;

fn not_an_archive(bytes: &[u8], error: &ZipError) -> String {
    match container::kind_of(bytes) {
        Some(kind) => format!("this is not a pass but {kind}; a pass is a ZIP archive"),
        None => format!("this is not a ZIP archive, which a pass is: {error}"),
    }
}

/// All files. One that cannot be unpacked is a problem and left out.
pub(super) fn unpack(archive: &mut Archive<'_>, packed: usize, notes: &mut Notes) -> Files {
    let mut files = Files::new();
    let mut room = MAX_UNPACKED_BYTES;
    if packed > room {
        notes.problem("archive_too_large", too_large().detail);
        return files;
    }
    let mut odd = paths::Oddities::default();
    for index in 0..archive.len() {
        match unpack_entry(archive, index, room) {
            Ok(None) => {}
            Ok(Some((name, content))) => {
                let path = match paths::normal(&name) {
                    Ok(path) => path,
                    Err(why) => {
                        notes.problem("path_unsafe", format!("{} {why}", quoted(&name)));
                        continue;
                    }
                };
                odd.note(&name, &path);
                room -= content.len();
                if files.insert(path.clone(), content).is_some() && !notes.has("archive_ambiguous") {
                    let detail = format!("the archive has two files that are {} to a phone", quoted(&path));
                    notes.problem("archive_ambiguous", detail);
                }
            }
            Err(EntryFault { code, detail }) => {
                notes.problem(code, detail);
                if code == "archive_too_large" {
                    break;
                }
            }
        }
    }
    odd.warn(notes);
    files
}

/// One entry and its name as it was written; folders are nothing.
pub(super) fn unpack_entry(
    archive: &mut Archive<'_>,
    index: usize,
    room: usize,
) -> Result<Option<(String, Vec<u8>)>, EntryFault> {
    let (name, is_folder) = entry_name(archive, index)?;
    if is_folder {
        return Ok(None);
    }
    let unreadable = |error: &dyn std::fmt::Display| EntryFault {
        code: "file_unreadable",
        detail: format!(
            "{} cannot be unpacked: {error}; phones read what is stored or deflated",
            quoted(&name)
        ),
    };
    let entry = archive.by_index(index).map_err(|error| unreadable(&error))?;
    // The declared size is only a claim: count while reading, one byte beyond the limit.
    let limit = u64::try_from(room).unwrap_or(u64::MAX).saturating_add(1);
    let claimed = usize::try_from(entry.size()).unwrap_or(usize::MAX);
    let mut content = Vec::with_capacity(claimed.min(room).min(MOST_RESERVED));
    entry.take(limit).read_to_end(&mut content).map_err(|error| unreadable(&error))?;
    if content.len() > room { Err(too_large()) } else { Ok(Some((name, content))) }
}

/// Memory that a claim about a size is believed for.
const MOST_RESERVED: usize = 1024 * 1024;

/// The name of an entry as it was written, and whether it is a folder.
pub(super) fn entry_name(archive: &mut Archive<'_>, index: usize) -> Result<(String, bool), EntryFault> {
    let unreadable = |error: &dyn std::fmt::Display| EntryFault {
        code: "file_unreadable",
        detail: format!("file {} of the archive cannot be read: {error}", index + 1),
    };
    let entry = archive.by_index_data(index).map_err(|error| unreadable(&error))?;
    let name = entry.name().map_err(|error| unreadable(&error))?.into_owned();
    if entry.encrypted() {
        let detail = format!("{} is encrypted: a phone has no password for it", quoted(&name));
        return Err(EntryFault { code: "file_encrypted", detail });
    }
    if entry.is_symlink() {
        let detail = format!("{} is a link; a pass has files only", quoted(&name));
        return Err(EntryFault { code: "path_unsafe", detail });
    }
    // Tools of Windows end the names of folders with a backslash.
    Ok((name.clone(), entry.is_dir() || name.ends_with('\\')))
}

fn too_large() -> EntryFault {
    let detail = format!("the archive is larger than {MAX_UNPACKED_BYTES} bytes");
    EntryFault { code: "archive_too_large", detail }
}
