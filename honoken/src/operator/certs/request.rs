//! `honoken certs request`: a key and its certificate signing request for Apple (RFC 2986).

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use honoken_domain::ids::PassTypeIdentifier;
use honoken_service::data_dir;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::{X509NameBuilder, X509Req};
use zeroize::Zeroizing;

use crate::operator::print::print_line;

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken certs request --pass-type pass.com.example.ticket --out certificates

Then upload the .certSigningRequest at https://developer.apple.com/account/resources/identifiers/list/passTypeId, download the .cer,
and hand both to `honoken certs install`. docs/certificates.md has every step.";

/// Apple takes RSA keys of this size.
const KEY_BITS: u32 = 2048;

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
    let (key, request) = make(pass_type).context("OpenSSL could not make a key")?;
    data_dir::make_folder(out)?;
    write(&key_file, &key)?;
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

/// Private key and request, PEM.
fn make(pass_type: &PassTypeIdentifier) -> Result<(Zeroizing<String>, String), ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(KEY_BITS)?)?;
    // Apple takes the key and writes a subject of its own.
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, &common_name(pass_type))?;
    let mut request = X509Req::builder()?;
    request.set_version(0)?;
    request.set_subject_name(&name.build())?;
    request.set_pubkey(&key)?;
    request.sign(&key, MessageDigest::sha256())?;
    let key = Zeroizing::new(key.private_key_to_pem_pkcs8()?);
    let text = |pem: &[u8]| String::from_utf8_lossy(pem).into_owned();
    Ok((Zeroizing::new(text(&key)), text(&request.build().to_pem()?)))
}

/// A common name has 64 characters at the most (RFC 5280), fewer than an identifier may have.
fn common_name(pass_type: &PassTypeIdentifier) -> String {
    pass_type.as_str().chars().take(64).collect()
}
