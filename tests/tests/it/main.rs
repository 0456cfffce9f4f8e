//! What the service promises, told by those who use it. One module per theme; each test is a sentence.

mod admin;
mod crash;
mod device;
mod disk;
mod first_steps;
mod hostile;
mod house_rules;
mod manage;
mod parked;
mod pkpass;
mod rebuild;
mod shutdown;
mod six_changes;

use honoken_tests::Honoken;

/// The program as cargo built it.
const PROGRAM: &str = env!("CARGO_BIN_EXE_honoken-under-test");

/// Where cargo lets these tests keep something between runs.
const CACHE: &str = env!("CARGO_TARGET_TMPDIR");

/// A service of one's own, in an empty folder.
async fn a_fresh_service() -> Honoken {
    Honoken::start(PROGRAM).await
}

/// A service of one's own that found its development certificates in its folder: making the keys takes longer than most
/// tests do.
async fn a_service() -> Honoken {
    Honoken::start_with_certificates(PROGRAM, CACHE.as_ref()).await
}
