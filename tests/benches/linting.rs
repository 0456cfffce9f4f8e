//! One of the benchmarks of `ratios`, alone: `cargo bench --locked -p honoken-tests --bench linting`.
#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

// For its allocator, so that what is measured here allocates as the program does.
use honoken as _;

#[path = "ratios/linting.rs"]
mod linting;
#[path = "ratios/rounds.rs"]
mod rounds;

fn main() {
    if std::env::args().any(|argument| argument == "--bench") {
        linting::run();
    }
}
