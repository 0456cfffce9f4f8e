//! `honoken certs request`: a key and its certificate signing request for Apple (RFC 2986).

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use honoken_domain::ids::PassTypeIdentifier;
use honoken_service::data_dir;
use honoken_service::operations::requests::{self, MadeRequest};

use crate::operator::print::print_line;

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken certs request --pass-type pass.com.example.ticket --out certificates

Then upload the .certSigningRequest at https://developer.apple.com/account/resources/identifiers/list/passTypeId, download the .cer,
and hand both to `honoken certs install`. docs/certificates.md has every step.";

/// The pass type, and the folder for the files.
#[derive(Debug, Args)]
pub struct Options {
    /// The pass type identifier, as registered with Apple.
    #[arg(long, value_name = "IDENTIFIER", value_parser = |text: &str| PassTypeIdentifier::parse(text))]
    pass_type: PassTypeIdentifier,
    /// The folder for the two files. Only their owner can read the key.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let Options { pass_type, out } = options;
    let key_file = out.join(format!("{pass_type}.key"));
    let request_file = out.join(format!("{pass_type}.certSigningRequest"));
    // A request that was uploaded already is worth nothing without its key.
    for file in [&key_file, &request_file] {
        anyhow::ensure!(
            !file.try_exists().with_context(|| format!("could not check {}", file.display()))?,
            "{} exists already and is not replaced: choose another folder with --out, or move the file away",
            file.display()
        );
    }
    let MadeRequest { private_key, request } =
        requests::make(pass_type).context("OpenSSL could not make a key")?;
    data_dir::make_folder(out)?;
    write(&key_file, &private_key)?;
    write(&request_file, &request)?;
    let (key, request) = (key_file.display(), request_file.display());
    print_line(&format!(
        "wrote {key} (the private key: keep it, and keep it secret)
wrote {request}

Upload the request at https://developer.apple.com/account/resources/identifiers/list/passTypeId under {pass_type},
download the certificate, and install it with the intermediate that Apple names (https://www.apple.com/certificateauthority/):

  honoken certs install --certificate pass.cer --key {key} --intermediate AppleWWDRCAG4.cer --organization ID"
    ))
}

fn write(file: &Path, content: &str) -> anyhow::Result<()> {
    data_dir::write_secret(file, content).with_context(|| format!("could not write {}", file.display()))
}
