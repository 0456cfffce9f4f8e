//! Mistakes in how a pass was packed, which explain everything else that is wrong with it.

use crate::finding::quoted;
use crate::manifest::PASS;
use crate::reader::Problem;
use crate::reader::paths::is_junk;
use crate::reader::unpack::Files;

/// The one thing to say about an archive whose kind of mistake is clear.
pub(super) fn mistake(files: &Files) -> Option<Problem> {
    if files.contains_key(PASS) {
        return None;
    }
    bundle(files).or_else(|| in_folder(files))
}

fn bundle(files: &Files) -> Option<Problem> {
    let passes = files.keys().filter(|path| is_pass(path)).count();
    (passes > 0).then(|| {
        let detail = format!("this is a bundle of {passes} passes (.pkpasses), and one pass was expected");
        Problem::new("bundle", detail)
    })
}

/// Whether a file of an archive is a pass of a bundle.
pub(super) fn is_pass(path: &str) -> bool {
    let is_named_so = path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("pkpass"));
    is_named_so && !is_junk(path)
}

fn in_folder(files: &Files) -> Option<Problem> {
    let inside = files.keys().find(|path| path.rsplit('/').next() == Some(PASS) && !is_junk(path))?;
    let folder = inside.strip_suffix(PASS)?;
    let all_inside = files.keys().filter(|path| !is_junk(path)).all(|path| path.starts_with(folder));
    all_inside.then(|| {
        let detail = format!(
            "everything is inside the folder {}: pass.json has to be at the root of the archive. Pack what is in the folder, not the \
             folder: `cd` into it and `zip -r ../pass.pkpass .`",
            quoted(folder)
        );
        Problem::new("in_folder", detail)
    })
}

/// What is said about a file that has to be there and is not.
pub(super) fn missing(files: &Files, path: &str) -> String {
    let similar = files.keys().find(|other| {
        let name = other.rsplit('/').next().unwrap_or_default();
        let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
        name.eq_ignore_ascii_case(path) || (!path.contains('.') && stem.eq_ignore_ascii_case(path))
    });
    match similar {
        Some(other) => {
            format!("{path} is missing: there is {}, but the name has to be exactly this", quoted(other))
        }
        None => format!("{path} is missing"),
    }
}
