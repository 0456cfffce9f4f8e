//! The addresses of the service, and the operator's credentials: `HONOKEN_PUBLIC_URL`, `HONOKEN_METRICS_LISTEN`, `HONOKEN_ADMIN_…`.

use std::net::SocketAddr;

use honoken_api::auth::admin_credentials::AdminCredentials;
use honoken_api::auth::signing::SigningKey;
use honoken_api::extractors::path;
use honoken_api::server::tls::TlsFiles;
use url::Url;
use zeroize::Zeroizing;

use super::MetricsPlace;
use super::variable::{ConfigError, Variable, Variables, parsed, read, secret};

pub(super) const VARIABLES: &[Variable] = &[
    read(
        "HONOKEN_PUBLIC_URL",
        "the address under which phones reach the service: the `webServiceURL` of every pass, and the origin of the operator's pages in a browser. `https://` in production, where `http://` is refused; may have a path, but none that begins like another area of the service (`/manage`, `/admin`, …)",
        "the address that the service listens on",
    ),
    read(
        "HONOKEN_ADMIN_USERNAME",
        "the name of the operator of the configuration, without a colon; set it together with the password or not at all",
        "in `dev`: `admin`; in `serve`: none, and only [stored operators](operating.md#operators) can use the admin routes",
    ),
    secret(
        "HONOKEN_ADMIN_PASSWORD",
        "the operator's password, at least 12 characters long: `serve` refuses a shorter one (`openssl rand -base64 24` makes a good one)",
        "in `dev`: generated, in `secrets/admin-password`; in `serve`: none",
    ),
    secret(
        "HONOKEN_ADMIN_SIGNING_KEY",
        "base64 of at least 32 bytes (`openssl rand -base64 32`), the same for all processes: every request of an operator has to be [signed](operating.md#signed-requests) with it; `honoken admin` signs with it",
        "none: requests of operators need no signature",
    ),
    read(
        "HONOKEN_METRICS_LISTEN",
        "the address and port (such as `127.0.0.1:9464`) at which `/metrics` is answered, and then only there; or `public`: at the address of all other routes, without credentials",
        "in production `/metrics` is not answered; else `public`",
    ),
    read(
        "HONOKEN_ADMIN_LISTEN",
        "the address and port (such as `127.0.0.1:9443`) at which the routes of operators are answered, and then only there: at the address of all other routes `/admin` and `/api/admin` are 404",
        "the address of all other routes",
    ),
    read(
        "HONOKEN_TLS_CERT_FILE",
        "a PEM file with the certificate of the service and its intermediates: the service speaks TLS itself then, at the main address and at that of operators. Both files are read again when they change; set it together with the next",
        "none: a proxy ends TLS",
    ),
    read("HONOKEN_TLS_KEY_FILE", "a PEM file with the private key of that certificate", "none"),
];

pub(super) fn public_url(variable: Variables<'_>) -> Result<Option<Url>, ConfigError> {
    variable("HONOKEN_PUBLIC_URL")?.map(|text| parse(&text)).transpose()
}

fn parse(text: &str) -> Result<Url, ConfigError> {
    let refuse = |problem: &str| ConfigError { variable: "HONOKEN_PUBLIC_URL", problem: problem.to_owned() };
    let url = Url::parse(text).map_err(|fault| {
        refuse(&format!("is not a URL ({fault}): use one like https://passes.example.com"))
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse("must begin with https:// (or http:// while testing) and name a host"));
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(refuse("must not have a user, a query or a fragment: phones append /v1/… to it"));
    }
    if !path::leads_to_device_routes(url.path()) {
        return Err(refuse(
            "has a path that belongs to another area of this service: choose one like /wallet, or none",
        ));
    }
    Ok(url)
}

pub(super) fn metrics(variable: Variables<'_>) -> Result<Option<MetricsPlace>, ConfigError> {
    const NAME: &str = "HONOKEN_METRICS_LISTEN";
    if variable(NAME)?.as_deref() == Some("public") {
        return Ok(Some(MetricsPlace::Public));
    }
    let address = parsed(variable, NAME, "`public`, or an address and a port, such as 127.0.0.1:9464")?;
    Ok(address.map(MetricsPlace::At))
}

pub(super) fn tls(variable: Variables<'_>) -> Result<Option<TlsFiles>, ConfigError> {
    let [certificate, key] = ["HONOKEN_TLS_CERT_FILE", "HONOKEN_TLS_KEY_FILE"];
    let missing = |variable| ConfigError {
        variable,
        problem: "is missing: set HONOKEN_TLS_CERT_FILE and HONOKEN_TLS_KEY_FILE together, or neither"
            .to_owned(),
    };
    match (variable(certificate)?, variable(key)?) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing(key)),
        (None, Some(_)) => Err(missing(certificate)),
        (Some(certificate), Some(key)) => {
            Ok(Some(TlsFiles { certificate: certificate.into(), key: key.into() }))
        }
    }
}

pub(super) fn admin_listen(variable: Variables<'_>) -> Result<Option<SocketAddr>, ConfigError> {
    parsed(variable, "HONOKEN_ADMIN_LISTEN", "an address and a port, such as 127.0.0.1:9443")
}

pub(super) fn admin_signing_key(variable: Variables<'_>) -> Result<Option<SigningKey>, ConfigError> {
    const NAME: &str = "HONOKEN_ADMIN_SIGNING_KEY";
    let parse = |text: String| {
        let text = Zeroizing::new(text);
        SigningKey::parse(&text).map_err(|fault| ConfigError { variable: NAME, problem: fault.to_string() })
    };
    variable(NAME)?.map(parse).transpose()
}

pub(super) fn admin(variable: Variables<'_>) -> Result<Option<AdminCredentials>, ConfigError> {
    let (username, password) = (variable("HONOKEN_ADMIN_USERNAME")?, variable("HONOKEN_ADMIN_PASSWORD")?);
    let both = "is missing: set HONOKEN_ADMIN_USERNAME and HONOKEN_ADMIN_PASSWORD together, or neither";
    match (username, password) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError { variable: "HONOKEN_ADMIN_PASSWORD", problem: both.to_owned() }),
        (None, Some(_)) => Err(ConfigError { variable: "HONOKEN_ADMIN_USERNAME", problem: both.to_owned() }),
        (Some(username), Some(_)) if username.contains(':') => Err(ConfigError {
            variable: "HONOKEN_ADMIN_USERNAME",
            problem: "must not contain a colon: Basic authentication (RFC 7617) cannot carry it".to_owned(),
        }),
        (Some(username), Some(password)) => {
            Ok(Some(AdminCredentials { username, password: password.into() }))
        }
    }
}
