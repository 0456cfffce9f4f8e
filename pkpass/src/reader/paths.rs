//! Names of files in an archive: what a phone makes of them, and what keeps it from that.

use crate::finding::quoted;
use crate::reader::notes::Notes;
use crate::reader::report::in_archive;

/// A path without `.` and with slashes.
///
/// # Errors
/// Why it is not a path inside the archive: words that follow the name.
pub(super) fn normal(name: &str) -> Result<String, &'static str> {
    if name.starts_with(['/', '\\']) {
        return Err("leaves the archive: it is an absolute path");
    }
    if name.contains(':') || name.chars().any(char::is_control) {
        return Err("is no name of a file on every system");
    }
    let parts: Vec<&str> = name.split(['/', '\\']).filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("leaves the archive");
    }
    if parts.is_empty() { Err("is no name of a file") } else { Ok(parts.join("/")) }
}

/// A file that some program left behind: the Finder, Windows, a version control system.
pub(super) fn is_junk(path: &str) -> bool {
    path.split('/').any(|part| {
        matches!(
            part,
            "__MACOSX" | ".DS_Store" | "Thumbs.db" | "desktop.ini" | ".git" | ".gitkeep" | ".gitignore"
        ) || part.starts_with("._")
    })
}

/// Names that were written otherwise than a phone needs them.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    count: usize,
    first: Option<(String, String)>,
}

impl Oddities {
    pub(super) fn note(&mut self, name: &str, path: &str) {
        if name != path {
            self.count += 1;
            self.first.get_or_insert_with(|| (name.to_owned(), path.to_owned()));
        }
    }

    pub(super) fn warn(self, notes: &mut Notes) {
        let Some((name, path)) = self.first else { return };
        let more = if self.count > 1 { format!(" (and {} more)", self.count - 1) } else { String::new() };
        let detail = format!(
            "{} is read as {}{more}: not every reader does that, so write names relative to the root, with slashes",
            quoted(&name),
            quoted(&path)
        );
        notes.warning("path_odd", &in_archive(&path), detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_normal_or_refused() {
        for (name, path) in [
            ("icon.png", "icon.png"),
            ("./icon.png", "icon.png"),
            ("././en.lproj//logo.png", "en.lproj/logo.png"),
            ("en.lproj\\logo.png", "en.lproj/logo.png"),
            (".\\icon.png", "icon.png"),
        ] {
            assert_eq!(normal(name).as_deref(), Ok(path), "{name}");
        }
        for name in ["../a", "a/../../b", "a\\..\\b", "/etc/passwd", "\\a", "C:/x", "a\nb", "", "./"] {
            assert!(normal(name).is_err(), "{name:?}");
        }
    }
}
