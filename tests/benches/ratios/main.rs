//! How far each part of the service is from the most that the machine gives: benchmarks whose results are ratios.
//!
//! Every benchmark alternates short rounds of two sides inside one run, so that whatever else the machine does slows both. `docs/benchmarks.md`
//! says how to read them. In reading order:
//!
//! - [`rounds`]: pairs of rounds, their ratios, and how they are printed.
//! - [`processor`]: processor time, for what shares a core with others.
//! - [`tickets`]: what is issued, changed and built here.
//! - [`append`]: commands made durable, beside plain inserts.
//! - [`snapshots`]: a pass with a long life, beside one with a short life.
//! - [`projecting`]: the read model filled from the log, beside the log leaving the server.
//! - [`copying`]: the event log on the way to another engine, beside the database's own `COPY`.
//! - [`visible`]: from a command to its readers, beside a sync of the disk.
//! - [`signing`]: passes built, beside bare RSA operations.
//! - [`building`]: the same with ten images.
//! - [`images`]: the same with its images on another machine.
//! - [`linting`]: the content of a pass checked, beside reading its JSON.
//! - [`inspecting`]: a pass of 2 MB inspected, beside `unzip` and `openssl`.
//! - [`asking`]: a load generator that costs little; [`service`] and [`nginx`] are what it asks.
//! - [`peers`]: passes built by other libraries, where those are installed.
//! - [`not_modified`]: a 304 from the running program, beside an answer that asks no store, a file server's 304, and bare selects.
//! - [`download`]: a pass that is built already, beside a file server.
//! - [`waking`]: from a change to the phones, beside the client of APNs alone; and an outage of APNs.
//! - [`phones`]: ten thousand phones that come at once.
//! - [`apns`]: pushes to Apple, beside the fastest that speaks HTTP/2.
//! - [`memory`]: what callers without credentials take of it; [`crowds`] is who they are.
//! - [`crowded`]: newcomers beside half requests on all connections.
//!
//! Nothing here judges a figure: a benchmark fails only when an answer is wrong.
#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

// For its allocator, so that what is measured here allocates as the program does.
use honoken as _;

mod apns;
mod append;
mod asking;
mod building;
mod copying;
mod crowded;
mod crowds;
mod disk;
mod download;
mod images;
mod inspecting;
mod linting;
mod memory;
mod nginx;
mod not_modified;
mod peers;
mod phones;
mod processor;
mod projecting;
mod rounds;
mod service;
mod signing;
mod snapshots;
mod tickets;
mod visible;
mod waking;

/// The program as cargo built it, optimised like these benchmarks.
const PROGRAM: &str = env!("CARGO_BIN_EXE_honoken-under-test");

/// Where cargo lets benchmarks keep files: beside what it builds, which is hardly ever in memory.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` says so; `cargo test --all-targets` starts this program as well, and means to be quick.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("benchmarks run with `cargo bench`");
        return;
    }
    // As in the program, where somebody listens who wants nothing of what libraries say about each frame.
    let subscriber = tracing::subscriber::NoSubscriber::default();
    tracing::subscriber::set_global_default(subscriber).expect("the first one");
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name| names.is_empty() || names.contains(&name);
    if wanted("append") {
        append::run().await;
    }
    if wanted("snapshots") {
        snapshots::run().await;
    }
    if wanted("projecting") {
        projecting::run().await;
    }
    if wanted("copying") {
        copying::run().await;
    }
    if wanted("visible") {
        visible::run().await;
    }
    if wanted("signing") {
        signing::run().await;
    }
    if wanted("building") {
        building::run().await;
    }
    if wanted("images") {
        images::run().await;
    }
    if wanted("linting") {
        linting::run();
    }
    if wanted("inspecting") {
        inspecting::run().await;
    }
    if wanted("not_modified") {
        not_modified::run().await;
    }
    if wanted("download") {
        download::run().await;
    }
    if wanted("phones") {
        phones::run().await;
    }
    if wanted("apns") {
        apns::run().await;
    }
    if wanted("waking") {
        waking::run().await;
    }
    if wanted("memory") {
        memory::run().await;
    }
    if wanted("crowded") {
        crowded::run().await;
    }
    let peers = arguments.iter().find_map(|argument| argument.strip_prefix("--peers="));
    if let Some(installed) = peers {
        peers::run(installed.as_ref()).await;
    }
}
