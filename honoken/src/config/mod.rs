//! The configuration, read once, at start, from the environment. No other code reads it.
//!
//! A value that is missing or malformed stops the start with a sentence that names the variable. Variables that an earlier service used and
//! this one does not are named in a warning, and so are unknown ones that begin like ours. Each file is a section: its rows give the meaning of a variable
//! and its default, and the functions below them read it. The tables of `docs/configuration.md` are generated from the rows.

mod apns;
mod doctor;
mod encryption_keys;
mod http;
mod images;
mod import;
mod load;
mod logging;
mod nats;
mod pushing;
mod rate_limits;
mod sections;
mod storage;
#[cfg(test)]
mod tests;
mod unknown;
mod variable;
mod without_effect;

use std::env::VarError;
use std::net::SocketAddr;

use honoken_api::auth::admin_credentials::AdminCredentials;
use honoken_api::auth::signing::SigningKey;
use honoken_api::layers::load_shedding;
use honoken_api::layers::rate_limits::Options as RateLimits;
use honoken_api::server::options::Connections;
use honoken_api::server::tls::TlsFiles;
use honoken_domain::sealed::SealingKeys;
use honoken_pkpass::reader::Trust;
use honoken_service::event_store::EventStore;
use honoken_service::image_store::{Credentials, ImageOptions, Place};
use honoken_service::pushing::options;
use honoken_service::retention::RetentionDays;
use honoken_service::storage::Database;
use honoken_telemetry::Identity;
use honoken_telemetry::logging::Logging;
use secrecy::SecretString;
use url::Url;

use sections::variables;
use variable::{Effect, Variable, Variables};

pub use doctor::Doctor;
pub use storage::{LogPlace, database_url, log_url};
pub use variable::ConfigError;

/// The configuration from the environment.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `HONOKEN_PUBLIC_URL`: the URL under which phones reach this service; the `webServiceURL` of every pass. Default: the address it
    /// listens on.
    pub public_url: Option<Url>,
    /// `HONOKEN_ADMIN_USERNAME` and `HONOKEN_ADMIN_PASSWORD`, both or neither. `dev` generates them where they are missing.
    pub admin: Option<AdminCredentials>,
    /// `HONOKEN_ADMIN_SIGNING_KEY`: the key under which operators sign their requests. Default: they need not.
    pub admin_signing_key: Option<SigningKey>,
    /// `DATABASE_URL`: where event log, read model and deliveries are. Default: in the data folder.
    pub database: Option<Database>,
    /// `HONOKEN_EVENT_STORE_URL`: where the event log is. Default: in the database.
    pub event_store: Option<EventStore>,
    /// `HONOKEN_ASSETS_URL` and `HONOKEN_ASSETS_CACHE_MIB`: where images are, and how much of them is kept here.
    pub images: ImageOptions,
    /// The secrets that open image stores on other machines.
    pub image_credentials: Credentials,
    /// `HONOKEN_RETENTION_DAYS`: the days for which rows of devices and registrations that left are kept.
    pub retention: RetentionDays,
    /// `HONOKEN_ENCRYPTION_KEY_V1` and so on, and `HONOKEN_ENCRYPTION_KEY_CURRENT`: the keys under which private keys are sealed. Default:
    /// a key in the data folder, if only one process uses it.
    pub encryption_keys: Option<SealingKeys>,
    /// The log output.
    pub logging: Logging,
    /// The identity of this process, in every line of log output and in the metrics.
    pub identity: Identity,
    /// `HONOKEN_METRICS_LISTEN`: where `/metrics` is answered. Default: in production nowhere, else at the address of all other routes.
    pub metrics: Option<MetricsPlace>,
    /// `HONOKEN_ADMIN_LISTEN`: a separate address for the routes of operators.
    pub admin_listen: Option<SocketAddr>,
    /// `HONOKEN_TLS_CERT_FILE` and `HONOKEN_TLS_KEY_FILE`: the files with which the service speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// The limits on concurrent requests.
    pub load: load_shedding::Options,
    /// `HONOKEN_BUILDS_WAITING`: requests that may wait for a pass to be built and signed.
    pub builds_waiting: u32,
    /// How many connections one address may have.
    pub connections: Connections,
    /// The rate limits. `dev` has none.
    pub rates: RateLimits,
    /// How pushes are sent.
    pub pushing: options::Options,
    /// How APNs is reached.
    pub apns: options::ApnsOptions,
    /// `NATS_URL` and `NATS_CREDS_FILE`: NATS between relay and pusher. Default: none, messages stay in the process.
    pub nats: Option<options::NatsOptions>,
    /// How passes are inspected.
    pub doctor: Doctor,
    /// Sentences about variables that are set and have no effect.
    pub warnings: Vec<String>,
}

/// Where `/metrics` is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsPlace {
    /// At the address of all other routes.
    Public,
    /// At an address of its own.
    At(SocketAddr),
}

impl Config {
    /// Whether `ENVIRONMENT` is production: `production` or `prod`, in any case.
    pub fn is_production(&self) -> bool {
        let environment = self.identity.environment.as_deref().unwrap_or_default().trim();
        ["production", "prod"].iter().any(|name| name.eq_ignore_ascii_case(environment))
    }

    /// Whether `/metrics` is answered at the address of all other routes.
    pub fn has_public_metrics(&self) -> bool {
        match self.metrics {
            None => !self.is_production(),
            Some(MetricsPlace::Public) => true,
            Some(MetricsPlace::At(_)) => false,
        }
    }

    /// Reads the URL of an image store that an option has.
    ///
    /// # Errors
    /// [`ConfigError`] names the option, or a variable that the store needs.
    pub fn image_place(&self, option: &'static str, url: &str) -> Result<Place, ConfigError> {
        images::place(url, option, &self.image_credentials)
    }

    /// The place that an argument names: a URL as in `HONOKEN_ASSETS_URL`, else a folder.
    ///
    /// # Errors
    /// [`ConfigError`] names the argument, or the variable that the place needs.
    pub fn place(&self, argument: &'static str, text: &str) -> Result<Place, ConfigError> {
        if images::is_url(text) {
            return self.image_place(argument, text);
        }
        let folder = text.trim_end_matches('/');
        Ok(Place::Folder(if folder.is_empty() { text } else { folder }.into()))
    }

    /// Reads the environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the first variable that cannot be used.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let mut config = Self::read(&environment)?;
        config.warnings.extend(unknown::warnings(names().iter().map(String::as_str)));
        Ok(config)
    }

    fn read(variable: Variables<'_>) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        for Variable { name, effect } in variables() {
            match effect {
                Effect::None(sentence) if variable(name)?.is_some() => {
                    warnings.push(format!("{name} {sentence}"));
                }
                Effect::Read { .. } | Effect::None(_) => {}
            }
        }
        let rates = rate_limits::rates(variable)?;
        Ok(Self {
            public_url: http::public_url(variable)?,
            database: storage::database(variable)?,
            event_store: storage::event_store(variable)?,
            images: images::images(variable)?,
            image_credentials: images::credentials(variable)?,
            retention: storage::retention(variable)?,
            admin: http::admin(variable)?,
            admin_signing_key: http::admin_signing_key(variable)?,
            encryption_keys: encryption_keys::encryption_keys(variable)?,
            logging: logging::logging(variable)?,
            identity: logging::identity(variable)?,
            metrics: http::metrics(variable)?,
            admin_listen: http::admin_listen(variable)?,
            tls: http::tls(variable)?,
            load: load::load(variable)?,
            builds_waiting: load::builds_waiting(variable)?,
            connections: load::connections(variable, &rates)?,
            rates,
            pushing: pushing::pushing(variable)?,
            apns: apns::apns(variable)?,
            nats: nats::nats(variable)?,
            doctor: doctor::doctor(variable)?,
            warnings,
        })
    }
}

/// The certificates that `honoken inspect` trusts: the one thing that it takes from the environment.
///
/// # Errors
/// [`ConfigError`] when the variable names a file that cannot be used.
pub fn inspect_trust() -> Result<Trust, ConfigError> {
    doctor::trust(&environment)
}

/// What `honoken admin` sends: name and password of an operator, and the key to sign with, if requests are to be signed.
///
/// # Errors
/// [`ConfigError`] when a variable cannot be used.
pub fn admin_client() -> Result<(Option<AdminCredentials>, Option<SigningKey>), ConfigError> {
    Ok((http::admin(&environment)?, http::admin_signing_key(&environment)?))
}

/// The API key that `honoken import` sends: the one thing that it takes from the environment.
///
/// # Errors
/// [`ConfigError`] when the variable is no text.
pub fn api_key() -> Result<Option<SecretString>, ConfigError> {
    import::api_key(&environment)
}

/// The names of all variables that are set. One that is not UTF-8 is none of ours.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn names() -> Vec<String> {
    let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    set.filter_map(|(name, _)| name.into_string().ok()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn environment(name: &'static str) -> Result<Option<String>, ConfigError> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(ConfigError { variable: name, problem: "is not UTF-8: set it anew".to_owned() })
        }
    }
}
