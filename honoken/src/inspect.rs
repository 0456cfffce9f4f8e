//! `honoken inspect FILE`: the reader of `pkpass` on the command line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use honoken_pkpass::reader;

/// The limit on the size of a file: Wallet would refuse a larger one too.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  honoken inspect ticket.pkpass
  honoken inspect --root honoken-data/certificates/root.pem sample.pkpass
  honoken inspect --json ticket.pkpass | jq '.problems, .findings'

Ends with 0 when a phone would take the file, with 1 when not, or when it cannot be read. The JSON has always the same keys: `valid`,
`problems`, `files`, `missingFiles`, `signature`, `pass`, `findings`; what is not there is null or empty.";

/// The file to inspect.
#[derive(Debug, Args)]
pub struct Options {
    /// The .pkpass file.
    file: PathBuf,
    /// Check the signature up to this root certificate (PEM) as well.
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Inspects the file and prints what was found. Ends with 0 when a phone would take it, with 1 when not.
///
/// # Errors
/// When the file cannot be read.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let bytes = read(&options.file)?;
    let root = options.root.as_deref().map(read).transpose()?;
    let inspection = reader::inspect_with_root(&bytes, root.as_deref());
    let mut out = std::io::stdout().lock();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &inspection)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{inspection}")?;
    }
    Ok(if inspection.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let about = || format!("could not read {}", file.display());
    let size = std::fs::metadata(file).with_context(about)?.len();
    anyhow::ensure!(size <= FILE_BYTES, "{} has {size} bytes; at most {FILE_BYTES} are read", file.display());
    std::fs::read(file).with_context(about)
}
