//! The projection of this crate: its name, the version of its tables, its lease and its channel.

use honoken_database::lease::Lease;

/// The name of the projection, under which its checkpoint is stored. It never changes.
pub const WALLET: &str = "wallet";

/// The version of the tables, to be raised when their meaning changes: a release fills a copy of its own version beside those of others, and reads it
/// once it has caught up. A build with `HONOKEN_PROJECTION_VERSION` has that one, for tests of two releases beside each other.
pub const VERSION: i64 = match option_env!("HONOKEN_PROJECTION_VERSION") {
    Some(text) => number(text.as_bytes()),
    None => 9,
};

/// Digits as a number.
const fn number(digits: &[u8]) -> i64 {
    let (mut number, mut at) = (0, 0);
    while at < digits.len() {
        assert!(digits[at].is_ascii_digit(), "HONOKEN_PROJECTION_VERSION is a number");
        number = number * 10 + (digits[at] - b'0') as i64;
        at += 1;
    }
    number
}

/// The right to write the tables, in the row of the checkpoint. A release with an older version of the tables does not take it, since it would empty
/// those of a newer release.
pub(crate) const LEASE: Lease =
    Lease::new("projection_checkpoint", "projection", WALLET, 5).of_version(VERSION);

/// The channel of `NOTIFY` on which processes tell each other how far the projection is.
pub(crate) const CHANNEL: &str = "honoken_read_model";
