//! Whether an event log that has refused a change takes changes again: tried with a row of about the size of the refused change, beside the
//! snapshots, which may hold anything. Only the writer tries, at most once a second, and only after a refusal.

use std::fmt::Write;

/// Writes the row, over one that was left there.
pub(crate) const PUT: &str = "\
    insert into snapshots (aggregate_type, aggregate_id, sequence, position, shape, state)
    values ('', 'write probe', 0, 0, 0, $1)
    on conflict (aggregate_type, aggregate_id) do update set state = excluded.state";

/// Deletes the row.
pub(crate) const CLEAR: &str =
    "delete from snapshots where aggregate_type = '' and aggregate_id = 'write probe'";

/// The bytes that are tried beyond the refused change, which also had to go into an index.
const MORE: usize = 64 * 1024;

/// The most that is tried.
const MOST: usize = 512 * 1024;

/// A text of about the size of the refused change, that hardly gets smaller when a database compresses it.
pub(crate) fn filler(refused: usize) -> String {
    let bytes = (refused + MORE).min(MOST);
    let mut text = String::with_capacity(bytes + 16);
    // The fractional part of the golden ratio: its multiples look like noise.
    let mut noise = 0_u64;
    while text.len() < bytes {
        noise = noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (noise ^ (noise >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        write!(text, "{mixed:016x}").expect("text takes any text");
    }
    text
}
