//! The configuration, read once, at start, from the environment. No other code reads it.
//!
//! A value that is missing or malformed stops the start with a sentence that names the variable. Variables that an earlier service used and
//! this one does not are named in a warning; unknown variables are ignored. Each file is a section: its rows give the meaning of a variable
//! and its default, and the functions below them read it. The tables of `docs/configuration.md` are generated from the rows.

mod apns;
mod doctor;
mod encryption_keys;
mod http;
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
mod variable;
mod without_effect;

use std::env::VarError;
use std::net::SocketAddr;

use honoken_api::auth::admin_credentials::AdminCredentials;
use honoken_api::layers::load_shedding;
use honoken_api::layers::rate_limits::Options as RateLimits;
use honoken_api::server::options::Connections;
use honoken_domain::sealed::SealingKeys;
use honoken_pkpass::reader::Trust;
use honoken_service::pushing::options;
use honoken_service::storage::Database;
use honoken_telemetry::Identity;
use honoken_telemetry::logging::Logging;
use secrecy::SecretString;
use url::Url;

use sections::variables;
use variable::{Effect, Variable, Variables};

pub use doctor::Doctor;
pub use variable::ConfigError;

/// The configuration from the environment.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `HONOKEN_PUBLIC_URL`: the URL under which phones reach this service; the `webServiceURL` of every pass. Default: the address it
    /// listens on.
    pub public_url: Option<Url>,
    /// `HONOKEN_ADMIN_USERNAME` and `HONOKEN_ADMIN_PASSWORD`, both or neither. `dev` generates them where they are missing.
    pub admin: Option<AdminCredentials>,
    /// `DATABASE_URL`: where event log, read model and deliveries are. Default: in the data folder.
    pub database: Option<Database>,
    /// `HONOKEN_ENCRYPTION_KEY_V1` and so on, and `HONOKEN_ENCRYPTION_KEY_CURRENT`: the keys under which private keys are sealed. Default:
    /// a key in the data folder, if only one process uses it.
    pub encryption_keys: Option<SealingKeys>,
    /// The log output.
    pub logging: Logging,
    /// The identity of this process, in every line of log output and in the metrics.
    pub identity: Identity,
    /// `HONOKEN_METRICS_LISTEN`: a separate address for `/metrics`.
    pub metrics_listen: Option<SocketAddr>,
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

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the first variable that cannot be used.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::read(&environment)
    }

    fn read(variable: Variables<'_>) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        for Variable { name, effect } in variables() {
            match effect {
                Effect::Refused(sentence) if variable(name)?.is_some() => {
                    return Err(ConfigError { variable: name, problem: (*sentence).to_owned() });
                }
                Effect::None(sentence) if variable(name)?.is_some() => {
                    warnings.push(format!("{name} {sentence}"));
                }
                Effect::Read { .. } | Effect::None(_) | Effect::Refused(_) => {}
            }
        }
        let rates = rate_limits::rates(variable)?;
        Ok(Self {
            public_url: http::public_url(variable)?,
            database: storage::database(variable)?,
            admin: http::admin(variable)?,
            encryption_keys: encryption_keys::encryption_keys(variable)?,
            logging: logging::logging(variable)?,
            identity: logging::identity(variable)?,
            metrics_listen: http::metrics_listen(variable)?,
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

/// The API key that `honoken import` sends: the one thing that it takes from the environment.
///
/// # Errors
/// [`ConfigError`] when the variable is no text.
pub fn api_key() -> Result<Option<SecretString>, ConfigError> {
    import::api_key(&environment)
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
