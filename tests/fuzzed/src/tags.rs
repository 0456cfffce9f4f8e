//! `passesUpdatedSince`, as phones send it back.

use honoken_conditional::update_tag::{Seen, read};

const EPOCH: &str = "00c0ffee";
const HEAD: u64 = 1_000_000;

/// Reads an update tag.
///
/// # Panics
/// When a tag hides changes that the phone cannot have seen.
pub fn tags(bytes: &[u8]) {
    let tag = String::from_utf8_lossy(bytes);
    if let Seen::Position(position) = read(&tag, EPOCH, HEAD) {
        assert!(position <= HEAD && tag.starts_with(EPOCH), "{tag:?} is read as {position}");
        assert_eq!(read(&format!("{EPOCH}-{position}"), EPOCH, HEAD), Seen::Position(position), "{tag:?}");
    }
    let of_another_log = read(&tag, "00c0ffef", HEAD);
    let is_of_this_log = matches!(read(&tag, EPOCH, HEAD), Seen::Position(_));
    assert!(!is_of_this_log || of_another_log == Seen::Nothing, "{tag:?} counts in two logs");
}
