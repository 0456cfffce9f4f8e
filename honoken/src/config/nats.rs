//! NATS between relay and pusher: `NATS_…`.

use std::path::PathBuf;

use honoken_service::pushing::options::NatsOptions;
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
        "a `.creds` file with the JWT and the seed of a NATS user, instead of a password in `NATS_URL`",
        "none",
    ),
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
    let creds_file: Option<PathBuf> = variable("NATS_CREDS_FILE")?.map(PathBuf::from);
    let Some(text) = variable("NATS_URL")? else {
        if creds_file.is_some() {
            return Err(ConfigError {
                variable: "NATS_URL",
                problem: "is missing: NATS_CREDS_FILE is set and has no effect without it".to_owned(),
            });
        }
        return Ok(None);
    };
    for url in text.split(',') {
        let url = Url::parse(url.trim()).map_err(|_| refuse())?;
        if !matches!(url.scheme(), "nats" | "tls") || url.host_str().is_none_or(str::is_empty) {
            return Err(refuse());
        }
    }
    if let Some(file) = &creds_file
        && !file.is_file()
    {
        return Err(ConfigError {
            variable: "NATS_CREDS_FILE",
            problem: format!("names a file that does not exist: {}", file.display()),
        });
    }
    Ok(Some(NatsOptions { url: text.into(), creds_file }))
}
