//! `honoken inspect FILE`: the reader of `pkpass` on the command line.

mod input;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use honoken_pkpass::reader::{self, Inspected, Trust};

use crate::config;
use input::Input;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  honoken inspect ticket.pkpass
  honoken inspect --root honoken-data/certificates/root.pem sample.pkpass
  honoken inspect ticket.pass/                        # a folder that is not signed yet
  honoken inspect pass.json
  curl -s https://example.com/ticket.pkpass | honoken inspect -
  honoken inspect --json ticket.pkpass | jq '.problems, .findings'

Ends with 0 when a phone would take the file, with or without warnings; with 1 when not, or when it cannot be read; with 2 when the command
line cannot be. A pass that was not signed under one of Apple's certificates is taken by no phone: `--root` says whose are meant instead, and
so does HONOKEN_INSPECT_ROOTS, for good.

The JSON has always the same keys: `valid`, `problems`, `files`, `missingFiles`, `signature`, `pass`, `findings`; what is not there is null
or empty. That of a bundle (.pkpasses) has `valid`, `problems` and `passes`, a list of these.";

/// What to inspect.
#[derive(Debug, Args)]
pub struct Options {
    /// A .pkpass, a .pkpasses, a pass.json, or a folder with the files of a pass; `-` reads one of the first three from standard input.
    file: PathBuf,
    /// Trust the certificates of this PEM file besides Apple's: the root of a development service, or an intermediate that Apple has
    /// published since this release. May be given several times.
    #[arg(long, value_name = "FILE")]
    root: Vec<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Inspects the file and prints what was found. Ends with 0 when a phone would take it, with 1 when not.
///
/// # Errors
/// When the file or a root cannot be read.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let trust = trust(options)?;
    let inspected = match input::read(&options.file)? {
        Input::Folder(files) => Inspected::Pass(Box::new(reader::inspect_files(&files, &trust))),
        Input::Bytes(bytes) => reader::inspect_file(&bytes, &trust),
    };
    print(&inspected, options)?;
    Ok(if inspected.is_valid() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Apple's certificates, those of the environment, and those of the command line.
fn trust(options: &Options) -> anyhow::Result<Trust> {
    let mut trust = config::inspect_trust()?;
    for file in &options.root {
        let pem = input::read_file(file)?;
        trust = trust.and(&pem).with_context(|| format!("could not use {}", file.display()))?;
    }
    Ok(trust)
}

fn print(inspected: &Inspected, options: &Options) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if options.json {
        serde_json::to_writer_pretty(&mut out, inspected)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{inspected}")?;
    }
    Ok(())
}
