//! `honoken phone` and `honoken phones`: simulated phones against any web service. `honoken_simulator` judges the answers; this module
//! holds the command line and the printing.

mod fleet;
mod passes;
mod trial;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use honoken_service::ids::{IdSource, secret_bytes};
use honoken_simulator::{Identities, Trust};
use url::Url;

pub use self::fleet::{FLEET_EXAMPLES, FleetOptions, measure};
pub use self::trial::{TRIAL_EXAMPLES, TrialOptions, try_out};

/// The exit code of a command that could not do its work: wrong arguments, no pass, or no answer.
const NOT_CARRIED_OUT: u8 = 2;

/// The options that say how to reach the web service.
#[derive(Debug, Args)]
struct Reach {
    /// The address of the web service, as in the `webServiceURL` of a pass, without `/v1/…`. By default it is read from the pass.
    #[arg(long, value_name = "URL", value_parser = web_service_url)]
    server: Option<String>,
    /// Trust this root certificate (PEM) besides those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The time to wait for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl Reach {
    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    fn trust(&self) -> anyhow::Result<Trust> {
        trust(self.ca.as_deref())
    }
}

/// The certificate authorities of the system, and that of `--ca`.
///
/// # Errors
/// When the file cannot be used.
pub(crate) fn trust(ca: Option<&Path>) -> anyhow::Result<Trust> {
    let pem = ca.map(read_certificates).transpose()?;
    let about = || match ca {
        Some(file) => format!("--ca {}", file.display()),
        None => "https is not available".to_owned(),
    };
    Trust::system_and(pem.as_deref()).with_context(about)
}

fn read_certificates(file: &Path) -> anyhow::Result<Vec<u8>> {
    passes::read_limited(file, passes::FILE_BYTES)
}

/// Parses an address to which `/v1/…` can be added, and which holds no secret.
fn web_service_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|fault| format!("{fault}; an example: https://passes.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("an http or https address is needed, such as https://passes.example.com".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("phones send no name and no password: take them out of the address".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("/v1/… is appended to the address, so it must end with its path".to_owned());
    }
    Ok(text.to_owned())
}

fn identities(ids: &dyn IdSource) -> Identities {
    Identities::new(secret_bytes(ids))
}

/// Ends with 2 and prints the reason when there is nothing to judge.
pub(crate) fn exit_code_of(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|fault| {
        print_error(&fault);
        ExitCode::from(NOT_CARRIED_OUT)
    })
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed belongs on the terminal")]
fn print_error(fault: &anyhow::Error) {
    eprintln!("honoken: {fault:#}");
}

/// Prints progress on standard error. Standard output is for the report.
#[expect(clippy::print_stderr, reason = "progress for people, not for programs")]
pub(crate) fn print_progress(sentence: &str) {
    eprintln!("{sentence}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_v1_can_follow() {
        for good in ["https://passes.example.com", "http://127.0.0.1:8080/", "https://[::1]:8443/wallet/api"]
        {
            assert_eq!(web_service_url(good), Ok(good.to_owned()));
        }
        for (bad, hint) in [
            ("passes.example.com", "https://"),
            ("ftp://passes.example.com", "https"),
            ("https://user:hunter2@passes.example.com", "password"),
            ("https://passes.example.com/?a=b", "path"),
            ("https://passes.example.com/#a", "path"),
            ("", "https://"),
        ] {
            let refusal = web_service_url(bad).expect_err(bad);
            assert!(refusal.contains(hint) && !refusal.contains("hunter2"), "{bad}: {refusal}");
        }
    }
}
