//! The program under test: `honoken` itself, under a name that cargo builds for these tests.

fn main() -> std::process::ExitCode {
    honoken::cli::main()
}
