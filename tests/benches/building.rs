//! One of the benchmarks of `ratios`, alone: `cargo bench --locked -p honoken-tests --bench building`.
#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

// For its allocator, so that what is measured here allocates as the program does.
use honoken as _;

#[path = "ratios/building.rs"]
mod building;
#[path = "ratios/processor.rs"]
#[expect(dead_code, reason = "other benchmarks use more of it")]
mod processor;
#[path = "ratios/rounds.rs"]
#[expect(dead_code, reason = "other benchmarks use more of it")]
mod rounds;
#[path = "ratios/signing.rs"]
#[expect(dead_code, reason = "other benchmarks use more of it")]
mod signing;
#[path = "ratios/tickets.rs"]
#[expect(dead_code, reason = "other benchmarks use more of it")]
mod tickets;

/// The program as cargo built it, optimised like these benchmarks.
const PROGRAM: &str = env!("CARGO_BIN_EXE_honoken-under-test");

/// Where cargo lets benchmarks keep files: beside what it builds, which is hardly ever in memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--bench") {
        building::run().await;
    }
}
