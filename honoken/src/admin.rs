//! `honoken admin`: one request of an operator to a running service, signed where a key is set.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use honoken_api::auth::admin_credentials::AdminCredentials;
use honoken_api::auth::signing::SigningKey;
use honoken_service::clock::Clock;
use honoken_service::ids::{self, IdSource};
use honoken_simulator::{Answer, HttpClient};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::config;
use crate::phone::{exit_code_of, print_progress, trust};
use crate::server_address;

/// For `--help`.
pub const EXAMPLES: &str = "\
Examples:
  export HONOKEN_ADMIN_USERNAME=vera HONOKEN_ADMIN_PASSWORD=…       # of any operator, also a stored one
  export HONOKEN_ADMIN_SIGNING_KEY=…                                # if the service demands signed requests
  honoken admin GET /admin/projections
  honoken admin GET '/admin/audit?actor=vera' --server https://passes.example.com
  honoken admin POST /admin/relay/pause
  honoken admin PUT /admin/brand-assets/icon.png --file icon.png --content-type image/png
  honoken admin POST /admin/operators --file - < operator.json      # a secret in --data would be seen by other users of the machine

The answer is printed as it came. Ends with 0 if the service carried the request out, with 1 if it refused, and with 2 if there was no answer.";

/// The longest time for the request: longer than the service takes to say that it takes too long.
const PATIENCE: Duration = Duration::from_secs(40);

/// The limit on the size of an answer.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// The limit on the size of a body, far beyond those of the service.
const BODY_BYTES: u64 = 16 * 1024 * 1024;

/// The options of `honoken admin`.
#[derive(Debug, Args)]
pub struct Options {
    /// The method, such as `GET`.
    #[arg(value_name = "METHOD", value_parser = method)]
    method: Method,
    /// The path, with a query if there is one, such as `/admin/projections`.
    #[arg(value_name = "PATH", value_parser = path)]
    path: String,
    /// The body.
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    data: Option<String>,
    /// A file with the body; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The type of the body.
    #[arg(long, value_name = "TYPE", default_value = "application/json", value_parser = content_type)]
    content_type: HeaderValue,
    /// The address of the service, without `/admin/…`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = server)]
    server: String,
    /// Trust this root certificate (PEM) besides those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Sends the request and prints the answer.
pub async fn run(
    options: &Options,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
    stop: &CancellationToken,
) -> ExitCode {
    exit_code_of(send(options, ids, clock, stop).await)
}

async fn send(
    options: &Options,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let sign = OperatorSign::from_environment(ids, clock)?.context(
        "the name and the password of an operator are needed: set HONOKEN_ADMIN_USERNAME and HONOKEN_ADMIN_PASSWORD",
    )?;
    let body = options.body()?;
    warn_of_plain_http(&options.server);
    let url = format!("{}{}", options.server, options.path);
    let uri: Uri = url.parse().with_context(|| format!("{} is no path that can be sent", options.path))?;
    let mut headers = sign.headers(&options.method, &uri, &body);
    if options.has_body() {
        headers.insert(header::CONTENT_TYPE, options.content_type.clone());
    }
    let client = HttpClient::with_limits(PATIENCE, ANSWER_BYTES).with_trust(trust(options.ca.as_deref())?);
    let answer = tokio::select! {
        answer = client.request(options.method.clone(), &url, headers, body) => answer,
        () = stop.cancelled() => anyhow::bail!("interrupted: the request may or may not have been carried out"),
    };
    print(&answer.map_err(|fault| anyhow::anyhow!("no answer from {}: {}", options.server, fault.told()))?)
}

/// What shows that an operator sends a request.
pub(crate) struct OperatorSign {
    authorization: HeaderValue,
    key: Option<SigningKey>,
    ids: Arc<dyn IdSource>,
    clock: Arc<dyn Clock>,
}

impl OperatorSign {
    /// That of the operator whom the environment names, if it names one.
    ///
    /// # Errors
    /// When a variable cannot be used.
    pub(crate) fn from_environment(
        ids: Arc<dyn IdSource>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Option<Self>> {
        let (operator, key) = config::admin_client()?;
        let sign = |operator: AdminCredentials| {
            Ok(Self { authorization: authorization(&operator)?, key, ids, clock })
        };
        operator.map(sign).transpose()
    }

    /// The headers of a request: the credentials, and its signature where a key is set.
    pub(crate) fn headers(&self, method: &Method, uri: &Uri, body: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(header::AUTHORIZATION, self.authorization.clone())]);
        if let Some(key) = &self.key {
            let (created, nonce) = (self.clock.unix_seconds().0, ids::secret(&*self.ids));
            headers.extend(key.sign((method, uri.path(), uri.query()), body, created, &nonce));
        }
        headers
    }
}

fn print(answer: &Answer) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    out.write_all(&answer.body)?;
    if answer.header("content-type").is_some_and(|kind| kind.contains("json")) {
        writeln!(out)?;
    }
    out.flush()?;
    if answer.status.is_success() {
        return Ok(ExitCode::SUCCESS);
    }
    print_progress(&format!("the service answers {}", answer.status));
    Ok(ExitCode::FAILURE)
}

impl Options {
    fn has_body(&self) -> bool {
        self.data.is_some() || self.file.is_some()
    }

    fn body(&self) -> anyhow::Result<Vec<u8>> {
        let Some(file) = &self.file else { return Ok(self.data.clone().unwrap_or_default().into_bytes()) };
        let about = || format!("--file {}", file.display());
        let mut bytes = Vec::new();
        let limit = BODY_BYTES + 1;
        if file == Path::new("-") {
            std::io::stdin().lock().take(limit).read_to_end(&mut bytes).with_context(about)?;
        } else {
            File::open(file).with_context(about)?.take(limit).read_to_end(&mut bytes).with_context(about)?;
        }
        ensure!(bytes.len() as u64 <= BODY_BYTES, "{} has more than {BODY_BYTES} bytes", file.display());
        Ok(bytes)
    }
}

/// The Basic scheme (RFC 7617).
fn authorization(operator: &AdminCredentials) -> anyhow::Result<HeaderValue> {
    let pair = Zeroizing::new(format!("{}:{}", operator.username, operator.password.expose_secret()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
        .context("the credentials cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}

fn method(text: &str) -> Result<Method, String> {
    Method::from_bytes(text.to_ascii_uppercase().as_bytes())
        .map_err(|_| "a method is needed, such as GET".to_owned())
}

fn path(text: &str) -> Result<String, String> {
    let is_one = ["/admin/", "/api/admin/"].iter().any(|root| text.starts_with(root)) && !text.contains('#');
    is_one
        .then(|| text.to_owned())
        .ok_or_else(|| "a path below /admin/ is needed, such as /admin/projections".to_owned())
}

fn content_type(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::try_from(text).map_err(|_| "a type is needed, such as image/png".to_owned())
}

/// Parses the address of a service.
fn server(text: &str) -> Result<String, String> {
    server_address::parse(
        text,
        "name and password are read from HONOKEN_ADMIN_USERNAME and HONOKEN_ADMIN_PASSWORD",
    )
}

fn warn_of_plain_http(server: &str) {
    if server_address::is_open_to_others(server) {
        print_progress("the password goes over the network unencrypted: use https");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_of_operators() {
        assert_eq!(method("get"), Ok(Method::GET));
        assert!(method("G T").is_err() && method("").is_err());
        for good in ["/admin/audit?actor=vera", "/api/admin/jobs/1"] {
            assert_eq!(path(good), Ok(good.to_owned()));
        }
        for bad in ["admin/audit", "/admin", "/manage/v1/passes", "https://a/admin/audit", "/admin/audit#x"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
