//! NATS between relay and pusher: `NATS_…`.

use std::path::PathBuf;

use honoken_service::pushing::options::{NatsOptions, NatsTls};
use openssl::x509::X509;
use url::Url;

use super::variable::{ConfigError, Variable, Variables, read, secret};

pub(super) const VARIABLES: &[Variable] = &[
    secret(
        "NATS_URL",
        "the address of a NATS server with JetStream between relay and pusher ([its messages](nats.md)): `nats://USER:PASSWORD@HOST:4222`, or `tls://…`; commas separate several servers of one cluster",
        "none: messages stay in the process",
    ),
    read(
        "NATS_CREDS_FILE",
        "a `.creds` file with the JWT and the seed of a NATS user, or a file with the seed of an nkey (`SU…`), instead of a password in `NATS_URL`",
        "none",
    ),
    read(
        "NATS_CA_FILE",
        "a PEM file with the roots that the certificates of the NATS servers are checked with; every server must speak TLS then. It is read again for every connection, as are the next two",
        "with `tls://` the roots of the operating system",
    ),
    read(
        "NATS_CLIENT_CERT_FILE",
        "a PEM file with the certificate that is shown to the NATS servers, and its chain; set it together with the next",
        "none",
    ),
    read("NATS_CLIENT_KEY_FILE", "a PEM file with the private key of that certificate", "none"),
];

pub(super) fn nats(variable: Variables<'_>) -> Result<Option<NatsOptions>, ConfigError> {
    // A URL may hold a password and is not repeated; neither is the parser's message about it.
    let refuse = || {
        ConfigError {
        variable: "NATS_URL",
        problem: "must be one URL or several with commas between them, such as nats://localhost:4222 or tls://nats.example.com"
            .to_owned(),
    }
    };
    let Some(text) = variable("NATS_URL")? else {
        for name in FILES {
            if variable(name)?.is_some() {
                let problem = format!("is missing: {name} is set and has no effect without it");
                return Err(ConfigError { variable: "NATS_URL", problem });
            }
        }
        return Ok(None);
    };
    for url in text.split(',') {
        let url = Url::parse(url.trim()).map_err(|_| refuse())?;
        if !matches!(url.scheme(), "nats" | "tls") || url.host_str().is_none_or(str::is_empty) {
            return Err(refuse());
        }
    }
    let creds_file = file(variable, "NATS_CREDS_FILE")?;
    let tls = tls(variable)?;
    Ok(Some(NatsOptions { url: text.into(), creds_file, tls }))
}

/// The variables that name a file.
const FILES: [&str; 4] = ["NATS_CREDS_FILE", "NATS_CA_FILE", "NATS_CLIENT_CERT_FILE", "NATS_CLIENT_KEY_FILE"];

fn file(variable: Variables<'_>, name: &'static str) -> Result<Option<PathBuf>, ConfigError> {
    let file = variable(name)?.map(PathBuf::from);
    if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
        let problem = format!("names a file that does not exist: {}", file.display());
        return Err(ConfigError { variable: name, problem });
    }
    Ok(file)
}

fn tls(variable: Variables<'_>) -> Result<NatsTls, ConfigError> {
    let ca_file = file(variable, "NATS_CA_FILE")?;
    if let Some(file) = &ca_file {
        let is_usable =
            std::fs::read(file).is_ok_and(|pem| X509::stack_from_pem(&pem).is_ok_and(|all| !all.is_empty()));
        if !is_usable {
            let problem = format!("names a file without a certificate in PEM: {}", file.display());
            return Err(ConfigError { variable: "NATS_CA_FILE", problem });
        }
    }
    let certificate = file(variable, "NATS_CLIENT_CERT_FILE")?;
    let key = file(variable, "NATS_CLIENT_KEY_FILE")?;
    let missing = |variable| ConfigError {
        variable,
        problem: "is missing: set NATS_CLIENT_CERT_FILE and NATS_CLIENT_KEY_FILE together, or neither"
            .to_owned(),
    };
    let client_files = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => return Err(missing("NATS_CLIENT_KEY_FILE")),
        (None, Some(_)) => return Err(missing("NATS_CLIENT_CERT_FILE")),
    };
    Ok(NatsTls { ca_file, client_files })
}
