//! The stand-in as a program, for clients in other languages: prints its connection string, and ends at SIGTERM.

use std::process::ExitCode;

use honoken_test_kurrentdb::StandIn;
use tokio::signal::unix::{SignalKind, signal};

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "whoever started it reads these")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let port = std::env::args().nth(1);
    let Ok(port) = port.as_deref().unwrap_or("0").parse() else {
        eprintln!("usage: kurrentdb-stand-in [PORT]");
        return ExitCode::from(2);
    };
    let stand_in = match StandIn::at(port) {
        Ok(stand_in) => stand_in,
        Err(fault) => {
            eprintln!("kurrentdb-stand-in: port {port}: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let mut end = signal(SignalKind::terminate()).expect("the system has signals");
    println!("{}", stand_in.connection_string());
    end.recv().await;
    ExitCode::SUCCESS
}
