//! The stand-in as a program, for clients in other languages: prints its connection string, and ends at SIGTERM.

use std::process::ExitCode;

use honoken_test_kurrentdb::StandIn;
use tokio::signal::unix::{SignalKind, signal};

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "whoever started it reads these")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let stand_in = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(StandIn::start()),
        ["--tls"] => Ok(StandIn::secured()),
        [port] if port.parse::<u16>().is_ok() => StandIn::at(port.parse().expect("read before")),
        _ => {
            eprintln!("usage: kurrentdb-stand-in [PORT | --tls]");
            return ExitCode::from(2);
        }
    };
    let stand_in = match stand_in {
        Ok(stand_in) => stand_in,
        Err(fault) => {
            eprintln!("kurrentdb-stand-in: the port cannot be had: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let mut end = signal(SignalKind::terminate()).expect("the system has signals");
    println!("{}", stand_in.connection_string());
    end.recv().await;
    ExitCode::SUCCESS
}
