//! How long a command takes from the integrator to the moment when every reader sees it, beside the time that the disk takes for a sync.

use std::fs::File;
use std::time::Duration;

use honoken_tests::server::Home;
use honoken_tests::{Engine, Honoken};
use tempfile::TempDir;

use crate::rounds::{Spread, Stopwatch};
use crate::{FOLDER, PROGRAM, disk};

/// Commands in one round; between the rounds the disk is looked at.
const COMMANDS: usize = 200;
const ROUNDS: usize = 10;

pub(crate) async fn run() {
    for (engine, name) in [(Engine::Sqlite, "SQLite"), (Engine::Postgres, "Postgres")] {
        let honoken = Honoken::start_in(Home::on(engine, PROGRAM).await).await;
        let integrator = honoken.integrator();
        integrator.issues("VISIBLE").await;
        let folder = TempDir::new_in(FOLDER).expect("a folder");
        let mut probe = File::create(folder.path().join("probe")).expect("a file");
        let (mut times, mut syncs) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            syncs.push(1.0 / disk::syncs_per_second(&mut probe));
            for number in 0..COMMANDS {
                let watch = Stopwatch::start();
                let change = integrator.moves_to("VISIBLE", &format!("{round}-{number}")).await;
                let time = watch.elapsed();
                assert!(change.projected, "the answer came before readers saw the change");
                if round > 0 {
                    times.push(time);
                }
            }
        }
        let title = format!(
            "visible, {name}: a command over HTTP, answered when it is on disk and every reader sees it"
        );
        report(&title, &mut times, syncs);
        println!(
            "  boundary  from the request in the generator to the whole answer, {} commands, one at a time on one connection, the program \
             and the database on the same cores",
            times.len()
        );
    }
}

/// Prints how long something took in the middle and at the worst, beside the syncs of the disk between the rounds, in seconds.
pub(crate) fn report(title: &str, times: &mut [Duration], syncs: Vec<f64>) {
    times.sort_unstable();
    let sync = Spread::of(syncs).median;
    println!("\n{title}");
    for (share, label) in [(50, "p50"), (99, "p99")] {
        let time = percentile(times, share);
        println!(
            "  {label}       {:.2} ms, {:.1} syncs of the disk",
            millis(time),
            time.as_secs_f64() / sync
        );
    }
    println!("  sync      {:.3} ms, median of 4 KiB writes with fsync between the rounds", sync * 1e3);
}

/// Of sorted times, the one that this share of them does not exceed.
fn percentile(sorted: &[Duration], share: usize) -> Duration {
    sorted[(sorted.len() * share).div_ceil(100).saturating_sub(1)]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
