//! What is inspected: a file, standard input, or the files of a folder. All of it is bounded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use honoken_pkpass::reader::{MAX_BUNDLE_BYTES, MAX_FILES, MAX_UNPACKED_BYTES};

/// Bytes that are read: a bundle of passes is the largest file there is.
const MOST_BYTES: usize = MAX_BUNDLE_BYTES;

/// Folders inside each other. A pass has the folders of its languages.
const DEEPEST: usize = 8;

/// What was read.
pub(super) enum Input {
    /// The bytes of a file, or of standard input.
    Bytes(Vec<u8>),
    /// The files of a folder, by their paths inside it.
    Folder(BTreeMap<String, Vec<u8>>),
}

/// Reads what the command line names.
///
/// # Errors
/// When it cannot be read, or is larger than a pass can be.
pub(super) fn read(file: &Path) -> anyhow::Result<Input> {
    if file == Path::new("-") {
        return bounded(std::io::stdin().lock(), "standard input", MOST_BYTES).map(Input::Bytes);
    }
    let about = || format!("could not read {}", file.display());
    if std::fs::metadata(file).with_context(about)?.is_dir() {
        return folder(file).map(Input::Folder);
    }
    read_file(file).map(Input::Bytes)
}

/// Reads a file.
///
/// # Errors
/// As [`read`].
pub(super) fn read_file(file: &Path) -> anyhow::Result<Vec<u8>> {
    let opened = File::open(file).with_context(|| format!("could not read {}", file.display()))?;
    bounded(opened, &file.display().to_string(), MOST_BYTES)
}

fn bounded(source: impl Read, name: &str, most: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(most as u64 + 1).read_to_end(&mut bytes).with_context(|| format!("could not read {name}"))?;
    anyhow::ensure!(bytes.len() <= most, "{name} has more than {most} bytes, which is more than is read");
    Ok(bytes)
}

fn folder(root: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut left = MAX_UNPACKED_BYTES;
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let about = || format!("could not read {}", folder.display());
        for entry in std::fs::read_dir(&folder).with_context(about)? {
            let entry = entry.with_context(about)?;
            let (path, kind) = (entry.path(), entry.file_type().with_context(about)?);
            if kind.is_dir() {
                let depth = depth + 1;
                anyhow::ensure!(depth <= DEEPEST, "{} is more than {DEEPEST} folders deep", path.display());
                // What a version control system keeps is no part of a pass.
                if entry.file_name() != ".git" {
                    folders.push((path, depth));
                }
            } else if kind.is_file() {
                anyhow::ensure!(
                    files.len() < MAX_FILES,
                    "{} has more than {MAX_FILES} files: name the folder of one pass",
                    root.display()
                );
                let bytes = bounded(File::open(&path)?, &path.display().to_string(), left)?;
                left -= bytes.len();
                files.insert(inside(root, &path)?, bytes);
            }
        }
    }
    Ok(files)
}

/// The path of a file inside its folder, with slashes.
fn inside(root: &Path, file: &Path) -> anyhow::Result<String> {
    let relative: PathBuf = file.strip_prefix(root)?.components().collect();
    let text = relative.to_str().with_context(|| format!("{} is not named in UTF-8", file.display()))?;
    Ok(text.to_owned())
}
