//! The binary `honoken`.

use std::process::ExitCode;

fn main() -> ExitCode {
    honoken::cli::main()
}
