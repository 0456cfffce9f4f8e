//! Configuration: read once, at start, from the environment. Nothing else reads it.
//!
//! A value that is missing or malformed stops the start with a sentence that names the variable. Variables that an earlier service used and
//! this one does not are named in a warning; unknown variables are ignored. [`VARIABLES`] is all of them; the table of `docs/configuration.md` is
//! made from it.

mod rates;

use std::collections::BTreeMap;
use std::env::VarError;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use honoken_database::postgres;
use honoken_domain::ids::{ApnsKeyId, InvalidId, KeyIdentifier, TeamIdentifier};
use honoken_domain::sealed::SealingKeys;
use honoken_pushers::apns::PushType;
use openssl::error::ErrorStack;
use openssl::x509::X509;
use secrecy::SecretString;
use url::Url;
use zeroize::Zeroizing;

use crate::apns_keys::file::KeyFile;
use crate::{keyring, limits, path, release};

pub use rates::{Failures, REGISTRATIONS_PER_MINUTE, Rates};

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `HONOKEN_PUBLIC_URL`: what phones reach this service under; the `webServiceURL` of every pass. Default: the address it listens on.
    pub public_url: Option<Url>,
    /// `HONOKEN_ADMIN_USERNAME` and `HONOKEN_ADMIN_PASSWORD`, both or neither. `dev` makes its own where they are missing.
    pub admin: Option<AdminCredentials>,
    /// `DATABASE_URL`: where the log and the read model are. Default: in the data folder.
    pub database: Option<Database>,
    /// `HONOKEN_ENCRYPTION_KEY_V1` and so on, and `HONOKEN_ENCRYPTION_KEY_CURRENT`: what private keys are sealed under. Default: a key in the
    /// data folder, where one process has it for itself.
    pub encryption_keys: Option<SealingKeys>,
    /// What is logged, and how.
    pub logging: Logging,
    /// Who this process is, in every line of its log and in its metrics.
    pub identity: Identity,
    /// `HONOKEN_METRICS_LISTEN`: where `/metrics` is answered instead of beside everything else.
    pub metrics_listen: Option<SocketAddr>,
    /// How much is done at a time.
    pub load: Load,
    /// How many connections one address may have.
    pub connections: Connections,
    /// How often a caller may ask. `dev` has none.
    pub rates: Rates,
    /// How phones are woken.
    pub pushing: Pushing,
    /// How APNs is reached.
    pub apns: Apns,
    /// `NATS_URL` and `NATS_CREDS_FILE`: the broker between relay and pusher. Default: none, messages stay in the process.
    pub nats: Option<Nats>,
    /// Sentences about variables that are set and have no effect.
    pub warnings: Vec<String>,
}

/// Where the log and the read model are.
#[derive(Debug, Clone)]
pub enum Database {
    /// `sqlite:FOLDER`: in the files of this folder: event log, read model and deliveries.
    Folder(PathBuf),
    /// `postgres://USER:PASSWORD@HOST/DATABASE`: in a Postgres database. The URL may hold a password.
    Postgres(SecretString),
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logging {
    /// `LOG_FORMAT`; `None`: for people on a terminal, else for machines.
    pub format: Option<LogFormat>,
    /// `VERBOSE_LOGGING`: `true` shows what is for digging as well.
    pub verbose: bool,
    /// `LOG_SAMPLE_SUCCESS_RATE`: the share of successful requests that get a line, 0 to 1. Failures and slow ones always do, but for those of callers without
    /// credentials beyond their share.
    pub sample_success_rate: f64,
}

impl Default for Logging {
    fn default() -> Self {
        Self { format: None, verbose: false, sample_success_rate: 1.0 }
    }
}

/// What a line of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// For people.
    Pretty,
}

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `SERVICE_NAME`
    pub service: String,
    /// `HONOKEN_RELEASE_VERSION`; default: the version of the program.
    pub version: String,
    /// `GIT_SHA`; default: the commit that was built.
    pub git_sha: String,
    /// `ENVIRONMENT`, where one was named; the command decides otherwise.
    pub environment: Option<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            service: "honoken".to_owned(),
            version: release::VERSION.to_owned(),
            git_sha: release::COMMIT.to_owned(),
            environment: None,
        }
    }
}

impl Identity {
    /// What every line of the log and `honoken_build_info` say of it.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let members = [
            ("service.name", Some(&self.service)),
            ("service.version", Some(&self.version)),
            ("git.sha", Some(&self.git_sha)),
            ("environment", self.environment.as_ref()),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name, value?.as_str())))
    }
}

/// How much is done at a time. More than that waits, and more than may wait is answered 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// `HONOKEN_REQUESTS_AT_WORK`: in each of the areas for phones, integrators and operators.
    pub requests_at_work: NonZeroU32,
    /// `HONOKEN_REQUESTS_WAITING`: likewise.
    pub requests_waiting: u32,
    /// `HONOKEN_BUILDS_WAITING`: requests for passes that have to be built and signed first.
    pub builds_waiting: u32,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            requests_at_work: limits::REQUESTS_AT_WORK,
            requests_waiting: limits::REQUESTS_WAITING,
            builds_waiting: limits::BUILDS_WAITING,
        }
    }
}

/// How many connections one address may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// `HONOKEN_CONNECTIONS_PER_ADDRESS`; default: half of all.
    pub per_address: Option<NonZeroU32>,
    /// Behind proxies, whose connections are everybody's, an address has no limit.
    pub behind_proxies: bool,
}

impl Connections {
    /// How many of all connections one address may have.
    pub fn per_address_of(self, all: usize) -> Option<usize> {
        let most = self.per_address.map_or(all / 2, |most| most.get() as usize);
        (!self.behind_proxies).then_some(most)
    }
}

/// How phones are woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushing {
    /// `OUTBOX_BATCH_SIZE`: phones taken from the ledger, and messages from the feed, at a time.
    pub batch_size: NonZeroU32,
    /// `OUTBOX_RETRY_ATTEMPTS`: requests to APNs for one delivery before it is given up.
    pub retry_attempts: NonZeroU32,
    /// `OUTBOX_RETENTION_DAYS`: how long deliveries that have come to their end are kept.
    pub retention_days: NonZeroU32,
    /// `HONOKEN_PUSH_WINDOW_SECONDS`: a phone is woken at most once in so many seconds for a pass type; 0: for every change. The command decides
    /// where nothing is said.
    pub window_seconds: Option<u32>,
    /// `HONOKEN_PUSHES_AT_WORK`: pushes of this process that have no answer yet.
    pub at_work: NonZeroU32,
    /// `HONOKEN_APNS_PUSH_TYPE`
    pub push_type: PushType,
    /// `HONOKEN_APNS_CONNECTIONS`: connections to APNs for one credential.
    pub connections: NonZeroU32,
}

impl Default for Pushing {
    fn default() -> Self {
        Self {
            batch_size: NonZeroU32::new(500).expect("it is no zero"),
            retry_attempts: NonZeroU32::new(100).expect("it is no zero"),
            retention_days: NonZeroU32::new(30).expect("it is no zero"),
            window_seconds: None,
            at_work: NonZeroU32::new(200).expect("it is no zero"),
            push_type: PushType::default(),
            connections: NonZeroU32::new(4).expect("it is no zero"),
        }
    }
}

/// How long a phone is left alone after a wake-up, where nothing else is said. `dev` wakes it for every change.
pub const PUSH_WINDOW_SECONDS: u32 = 30;

/// How APNs is reached.
#[derive(Debug, Clone, Default)]
pub struct Apns {
    /// `HONOKEN_APNS_ENDPOINT`: another server than Apple's; scheme, host and port.
    pub endpoint: Option<Url>,
    /// `HONOKEN_APNS_CA_FILE`: what its certificate is checked with, PEM; it was readable at start. Default: the roots of the system.
    pub ca_file: Option<PathBuf>,
    /// `APNS_TEAM_ID`, `APNS_KEY_ID` and `APNS_AUTH_KEY_P8`: a key that is installed if there never was one of its name.
    pub key: Option<ConfiguredKey>,
}

/// An APNs key from the environment.
#[derive(Debug, Clone)]
pub struct ConfiguredKey {
    /// Its name and its team.
    pub id: ApnsKeyId,
    /// The private key.
    pub file: Arc<KeyFile>,
}

/// The broker.
#[derive(Debug, Clone)]
pub struct Nats {
    /// Where it is. The URL may hold a password or a token.
    pub url: SecretString,
    /// A file of NATS' own format with a user's JWT and seed.
    pub creds_file: Option<PathBuf>,
}

/// Name and password of the operator.
#[derive(Debug, Clone)]
pub struct AdminCredentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

impl AdminCredentials {
    /// Those of an operator who chose none.
    pub fn generated(password: SecretString) -> Self {
        Self { username: "admin".to_owned(), password }
    }
}

/// A variable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// A variable that means something here, or did elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub effect: Effect,
}

/// What a variable does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is read.
    Read {
        /// What it means, in Markdown.
        meaning: &'static str,
        /// What is done without it, in Markdown.
        default: &'static str,
        /// Whether it holds a secret.
        secret: bool,
    },
    /// It does nothing, and the sentence says what to use instead: a warning.
    None(&'static str),
    /// It says where data goes, for engines that this release does not have. To go on would be to keep it elsewhere: the start is refused.
    Refused(&'static str),
}

const fn read(name: &'static str, meaning: &'static str, default: &'static str) -> Variable {
    Variable { name, effect: Effect::Read { meaning, default, secret: false } }
}

const fn secret(name: &'static str, meaning: &'static str, default: &'static str) -> Variable {
    Variable { name, effect: Effect::Read { meaning, default, secret: true } }
}

const fn without_effect(name: &'static str, sentence: &'static str) -> Variable {
    Variable { name, effect: Effect::None(sentence) }
}

const fn refused(name: &'static str, sentence: &'static str) -> Variable {
    Variable { name, effect: Effect::Refused(sentence) }
}

/// Every variable that means something.
pub const VARIABLES: &[Variable] = &[
    read(
        "HONOKEN_PUBLIC_URL",
        "what phones reach the service under: the `webServiceURL` of every pass, and the origin that pages with the operator's routes have in a browser. `https://` in production; may have a path, but not one that begins like another area of the service (`/manage`, `/admin`, …)",
        "the address listened on",
    ),
    secret(
        "DATABASE_URL",
        "where the event log, the read model and the deliveries are: `postgres://USER:PASSWORD@HOST/DATABASE` (PostgreSQL 13 or newer; `?sslmode=require` and the like as libpq has them), or `sqlite:FOLDER` for three SQLite files (event log, read model, deliveries) in another folder than the data folder",
        "three SQLite files in the data folder",
    ),
    read(
        "HONOKEN_ADMIN_USERNAME",
        "the operator's name, without a colon; together with the password or not at all",
        "in `dev`: `admin`; in `serve`: nobody can use the admin routes",
    ),
    secret(
        "HONOKEN_ADMIN_PASSWORD",
        "the operator's password, of at least 12 characters: `serve` refuses a shorter one (`openssl rand -base64 24` makes a good one)",
        "in `dev`: a generated one in `secrets/admin-password`; in `serve`: none",
    ),
    secret(
        "HONOKEN_ENCRYPTION_KEY_V1",
        "what private keys of certificates and of APNs are sealed under: 32 bytes as base64 or 64 hex digits, the same for every process ([how to change it](certificates.md#where-the-private-keys-are))",
        "with SQLite files and in `dev`: `secrets/encryption-key`; on Postgres `serve` signs nothing without one",
    ),
    secret("HONOKEN_ENCRYPTION_KEY_V2", "the next one, likewise", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V3", "the next one, likewise", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V4", "the next one, likewise", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V5", "the next one, likewise", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V6", "the next one, likewise", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V7", "the next one, likewise", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V8", "the next one, likewise", "none"),
    secret("HONOKEN_ENCRYPTION_KEY_V9", "the next one, likewise", "none"),
    read(
        "HONOKEN_ENCRYPTION_KEY_CURRENT",
        "the number of the encryption key that seals, such as `2`; the others open what they sealed",
        "that of the only one",
    ),
    read(
        "LOG_FORMAT",
        "`json`: one object a line; `pretty`: for people",
        "`pretty` on a terminal, else `json`",
    ),
    read("VERBOSE_LOGGING", "`true` logs what is for digging as well", "`false`"),
    read(
        "LOG_SAMPLE_SUCCESS_RATE",
        "share of successful requests that are logged, `0` to `1`; failures and requests of more than a second always are, but for those of callers without credentials [beyond their share](operating.md#what-callers-without-credentials-can-make-it-log)",
        "`1`",
    ),
    read("SERVICE_NAME", "this service's name, in every JSON line and in `honoken_build_info`", "`honoken`"),
    read("HONOKEN_RELEASE_VERSION", "its release, likewise", "the version of the program"),
    read("GIT_SHA", "the commit it was built from, likewise", "the one that was built, else `unknown`"),
    read(
        "ENVIRONMENT",
        "where it runs, likewise: `production`, `staging`, …",
        "in `dev`: `development`; else `production`",
    ),
    read(
        "HONOKEN_METRICS_LISTEN",
        "address and port (`127.0.0.1:9464`) where `/metrics` is answered, and then only there",
        "with everything else, for anybody",
    ),
    read(
        "HONOKEN_REQUESTS_AT_WORK",
        "requests that are worked on at a time, in each of the areas for phones, integrators and operators; the next ones wait their turn",
        "`512`",
    ),
    read(
        "HONOKEN_REQUESTS_WAITING",
        "requests that may wait, in each area, for five seconds at most; more are answered 503 with `Retry-After` at once",
        "`16384`",
    ),
    read(
        "HONOKEN_BUILDS_WAITING",
        "requests for a pass that has to be built and signed first that may wait for that, twenty seconds at most; more are answered 503 with `Retry-After` at once",
        "`16384`",
    ),
    read(
        CONNECTIONS_PER_ADDRESS,
        "connections that one client address (IPv6: one /64) may have at a time; more are accepted and closed at once. Also in `dev`; with `RATE_LIMIT_PROXIES` there is no such limit, since a proxy's connections are everybody's",
        "half of all: `8192`, or less where the system allows fewer open files",
    ),
    read(
        "RATE_LIMIT_MANAGE_PER_SECOND",
        "requests to `/manage` that one organisation may make in a second; more are answered 429 with `Retry-After`. Each process counts for itself; in `dev` no `RATE_LIMIT_…` has an effect",
        "no limit",
    ),
    read("RATE_LIMIT_MANAGE_BURST", "so many of them may come at once after a pause", "those of one second"),
    read(
        "RATE_LIMIT_FAILURES_PER_MINUTE",
        "wrong operator's passwords, and apart from these wrong API keys, that one client address (of IPv6: a /64) may send in a minute. After that a wrong key is answered 429 (a right one always passes), and of the attempts with a password one a second is compared, right or wrong, every other one is answered 429",
        "`10` for passwords, `60` for keys",
    ),
    read(
        "RATE_LIMIT_REGISTRATIONS",
        "devices that one client address may newly register for one pass in a minute; more are answered 429 with `Retry-After`, or with `off` none. For devices that are registered for the pass already this is no limit: what is [limited besides](operating.md#what-phones-may-write)",
        "`600`",
    ),
    read(
        "RATE_LIMIT_PROXIES",
        "how many proxies stand before the service: the client's address is then that many entries from the end of `X-Forwarded-For`. Entries before it are the client's own words and never believed",
        "`0`: the address that connects",
    ),
    secret(
        "NATS_URL",
        "a NATS server with JetStream between relay and pusher ([what goes over it](nats.md)): `nats://USER:PASSWORD@HOST:4222`, or `tls://…`; several servers of one cluster are separated by commas",
        "none: messages stay in the process",
    ),
    read(
        "NATS_CREDS_FILE",
        "a `.creds` file with the JWT and the seed of a NATS user, instead of a password in `NATS_URL`",
        "none",
    ),
    read(
        "HONOKEN_PUSH_WINDOW_SECONDS",
        "a phone is woken once in so many seconds for all passes of a type: the first change wakes it at once, further ones together at the end; `0`: every change does, which phones punish. In `dev`: `0`",
        "`30`",
    ),
    read(
        "APNS_TEAM_ID",
        "the developer team of an APNs key that is installed at the first start ([what else can be pushed with](certificates.md#what-is-pushed-with)); with the next two, or not at all",
        "none",
    ),
    read("APNS_KEY_ID", "its name, ten characters, as Apple shows it", "none"),
    secret(
        "APNS_AUTH_KEY_P8",
        "the key itself: the text of the `.p8` (with `\\n` for line breaks, if need be), or the path of the file. Installed unless there is or was one of that team and name: after that it is not needed any more",
        "none",
    ),
    read(
        "HONOKEN_APNS_ENDPOINT",
        "another server than Apple's to push to, `https://HOST:PORT`: for tests",
        "`https://api.push.apple.com`; in `dev` nothing is sent",
    ),
    read(
        "HONOKEN_APNS_CA_FILE",
        "a PEM file with the roots that its certificate is checked with",
        "the roots of the system",
    ),
    read("HONOKEN_PUSHES_AT_WORK", "pushes that one process sends at a time", "`200`"),
    read(
        "HONOKEN_APNS_CONNECTIONS",
        "connections to APNs that one process opens at most for an APNs key or a certificate, `1` to `32`",
        "`4`",
    ),
    read(
        "HONOKEN_APNS_PUSH_TYPE",
        "what `apns-push-type` says: `background`, or `none` to leave the header out",
        "`background`",
    ),
    read(
        "OUTBOX_BATCH_SIZE",
        "phones that are taken from the ledger of deliveries at a time, `1` to `5000`",
        "`500`",
    ),
    read(
        "OUTBOX_RETRY_ATTEMPTS",
        "requests to APNs for one delivery, before it is given up as failed",
        "`100`",
    ),
    read(
        "OUTBOX_RETENTION_DAYS",
        "days that deliveries are kept after their end, for `deliveries` in the state of a pass",
        "`30`",
    ),
    refused("HONOKEN_EVENT_STORE_URL", "is set, but this release keeps its log in the database: unset it"),
    refused("HONOKEN_ASSETS_URL", "is set, but this release keeps images in --data-dir: unset it"),
    without_effect("POSTHOG_API_KEY", "has no effect yet: this release reports to nobody"),
    without_effect("POSTHOG_HOST", "has no effect yet: this release reports to nobody"),
    without_effect(
        "HONOKEN_IMAGES_READ_WRITE_TOKEN",
        "has no effect yet: this release keeps images in --data-dir",
    ),
    without_effect("DEV_DATABASE_URL", "is obsolete: use DATABASE_URL"),
    without_effect("UPSTASH_REDIS_REST_URL", "is obsolete, and images stay in --data-dir: unset it"),
    without_effect("UPSTASH_REDIS_REST_TOKEN", "is obsolete, and images stay in --data-dir: unset it"),
    without_effect("APNS_MODE", "is obsolete: passes are pushed through Apple's production host only"),
    without_effect("APNS_ENV", "is obsolete: passes are pushed through Apple's production host only"),
    without_effect("UPDATE_TAG_STRATEGY", "is obsolete: update tags are positions of the log"),
];

/// [`VARIABLES`] as the tables of `docs/configuration.md`.
pub fn table() -> String {
    let mut read = String::from("| Variable | Meaning | Default |\n| --- | --- | --- |\n");
    let mut others = String::from("| Variable | What happens when it is set |\n| --- | --- |\n");
    for Variable { name, effect } in VARIABLES {
        let written = match effect {
            Effect::Read { meaning, default, secret } => {
                let secret = if *secret { " (secret)" } else { "" };
                writeln!(read, "| `{name}`{secret} | {meaning} | {default} |")
            }
            Effect::None(sentence) => writeln!(others, "| `{name}` | a warning: it {sentence} |"),
            Effect::Refused(sentence) => {
                writeln!(others, "| `{name}` | the start is refused: it {sentence} |")
            }
        };
        written.expect("a string takes everything");
    }
    format!("{read}\nThese are known, and do nothing:\n\n{others}")
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the first variable that cannot be used.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::read(|name| {
            #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
            match std::env::var(name) {
                Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
                Err(VarError::NotPresent) => Ok(None),
                Err(VarError::NotUnicode(_)) => {
                    Err(ConfigError { variable: name, problem: "is not UTF-8: set it anew".to_owned() })
                }
            }
        })
    }

    fn read(
        variable: impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        for Variable { name, effect } in VARIABLES {
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
        let rates = rates::rates(&variable)?;
        Ok(Self {
            public_url: variable("HONOKEN_PUBLIC_URL")?.map(|text| public_url(&text)).transpose()?,
            database: variable("DATABASE_URL")?.map(|text| database(&text)).transpose()?,
            admin: admin(variable("HONOKEN_ADMIN_USERNAME")?, variable("HONOKEN_ADMIN_PASSWORD")?)?,
            encryption_keys: encryption_keys(&variable)?,
            logging: logging(&variable)?,
            identity: identity(&variable)?,
            metrics_listen: parsed(
                &variable,
                "HONOKEN_METRICS_LISTEN",
                "an address and a port, such as 127.0.0.1:9464",
            )?,
            load: load(&variable)?,
            connections: connections(&variable, &rates)?,
            rates,
            pushing: pushing(&variable)?,
            apns: apns(&variable)?,
            nats: nats(&variable)?,
            warnings,
        })
    }
}

/// Reads a variable that parses, or says what it must be.
fn parsed<T: FromStr>(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
    name: &'static str,
    must_be: &str,
) -> Result<Option<T>, ConfigError> {
    let Some(text) = variable(name)? else { return Ok(None) };
    let refused = || ConfigError { variable: name, problem: format!("must be {must_be}") };
    text.parse().map(Some).map_err(|_| refused())
}

const POSITIVE: &str = "a whole number from 1 on";

fn logging(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<Logging, ConfigError> {
    let default = Logging::default();
    let share: Option<f64> = parsed(variable, "LOG_SAMPLE_SUCCESS_RATE", A_SHARE)?;
    if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        let problem = format!("must be {A_SHARE}");
        return Err(ConfigError { variable: "LOG_SAMPLE_SUCCESS_RATE", problem });
    }
    Ok(Logging {
        format: variable("LOG_FORMAT")?.map(|text| log_format(&text)).transpose()?,
        verbose: variable("VERBOSE_LOGGING")?.map_or(Ok(default.verbose), |text| verbose(&text))?,
        sample_success_rate: share.unwrap_or(default.sample_success_rate),
    })
}

const A_SHARE: &str = "a share from 0 to 1, such as 0.1";

fn log_format(text: &str) -> Result<LogFormat, ConfigError> {
    match text {
        "json" => Ok(LogFormat::Json),
        "pretty" => Ok(LogFormat::Pretty),
        _ => Err(ConfigError { variable: "LOG_FORMAT", problem: "must be `json` or `pretty`".to_owned() }),
    }
}

fn identity(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<Identity, ConfigError> {
    let default = Identity::default();
    Ok(Identity {
        service: variable("SERVICE_NAME")?.unwrap_or(default.service),
        version: variable("HONOKEN_RELEASE_VERSION")?.unwrap_or(default.version),
        git_sha: variable("GIT_SHA")?.unwrap_or(default.git_sha),
        environment: variable("ENVIRONMENT")?,
    })
}

fn load(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<Load, ConfigError> {
    let default = Load::default();
    let waiting = "a whole number";
    Ok(Load {
        requests_at_work: parsed(variable, "HONOKEN_REQUESTS_AT_WORK", POSITIVE)?
            .unwrap_or(default.requests_at_work),
        requests_waiting: parsed(variable, "HONOKEN_REQUESTS_WAITING", waiting)?
            .unwrap_or(default.requests_waiting),
        builds_waiting: parsed(variable, "HONOKEN_BUILDS_WAITING", waiting)?
            .unwrap_or(default.builds_waiting),
    })
}

const CONNECTIONS_PER_ADDRESS: &str = "HONOKEN_CONNECTIONS_PER_ADDRESS";

fn connections(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
    rates: &Rates,
) -> Result<Connections, ConfigError> {
    let per_address = parsed(variable, CONNECTIONS_PER_ADDRESS, POSITIVE)?;
    Ok(Connections { per_address, behind_proxies: rates.proxies > 0 })
}

fn pushing(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<Pushing, ConfigError> {
    let default = Pushing::default();
    let up_to = |name, most: u32, must_be| {
        let refused = || ConfigError { variable: name, problem: format!("must be {must_be}") };
        let value: Option<NonZeroU32> = parsed(variable, name, must_be)?;
        if value.is_some_and(|value| value.get() > most) { Err(refused()) } else { Ok(value) }
    };
    Ok(Pushing {
        batch_size: up_to("OUTBOX_BATCH_SIZE", 5000, "a whole number from 1 to 5000")?
            .unwrap_or(default.batch_size),
        retry_attempts: parsed(variable, "OUTBOX_RETRY_ATTEMPTS", POSITIVE)?
            .unwrap_or(default.retry_attempts),
        retention_days: up_to("OUTBOX_RETENTION_DAYS", 36_500, "a number of days from 1 to 36500")?
            .unwrap_or(default.retention_days),
        window_seconds: window(variable)?,
        at_work: up_to("HONOKEN_PUSHES_AT_WORK", 10_000, "a whole number from 1 to 10000")?
            .unwrap_or(default.at_work),
        push_type: variable("HONOKEN_APNS_PUSH_TYPE")?
            .map_or(Ok(default.push_type), |text| push_type(&text))?,
        connections: up_to("HONOKEN_APNS_CONNECTIONS", 32, "a whole number from 1 to 32")?
            .unwrap_or(default.connections),
    })
}

fn apns(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<Apns, ConfigError> {
    Ok(Apns {
        endpoint: variable(ENDPOINT)?.map(|text| apns_endpoint(&text)).transpose()?,
        ca_file: variable(CA_FILE)?.map(|text| ca_file(&text)).transpose()?,
        key: apns_key([variable(TEAM_ID)?, variable(KEY_ID)?, variable(AUTH_KEY)?])?,
    })
}

const ENDPOINT: &str = "HONOKEN_APNS_ENDPOINT";
const CA_FILE: &str = "HONOKEN_APNS_CA_FILE";
const TEAM_ID: &str = "APNS_TEAM_ID";
const KEY_ID: &str = "APNS_KEY_ID";
const AUTH_KEY: &str = "APNS_AUTH_KEY_P8";

fn apns_endpoint(text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).ok().filter(|url| {
        url.scheme() == "https"
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.path() == "/"
            && (url.query(), url.fragment(), url.password()) == (None, None, None)
            && url.username().is_empty()
    });
    url.ok_or_else(|| ConfigError {
        variable: ENDPOINT,
        problem: "must be https://, a host and perhaps a port, such as https://localhost:8443".to_owned(),
    })
}

fn ca_file(text: &str) -> Result<PathBuf, ConfigError> {
    let refuse = |problem: String| ConfigError { variable: CA_FILE, problem };
    let file = PathBuf::from(text);
    let bytes = file_of(&file)
        .map_err(|fault| refuse(format!("names a file that cannot be read: {} ({fault})", file.display())))?;
    let holds_one = X509::stack_from_pem(&bytes).is_ok_and(|found| !found.is_empty());
    if !holds_one {
        // Whatever OpenSSL noted would be taken for the reason of the next failure.
        drop(ErrorStack::get());
        return Err(refuse(format!(
            "names a file without a certificate in it: {} must be PEM",
            file.display()
        )));
    }
    Ok(file)
}

fn apns_key([team, key, text]: [Option<String>; 3]) -> Result<Option<ConfiguredKey>, ConfigError> {
    let all = "is missing: set APNS_TEAM_ID, APNS_KEY_ID and APNS_AUTH_KEY_P8 together, or none of them";
    let (team, key, text) = match (team, key, text) {
        (None, None, None) => return Ok(None),
        (Some(team), Some(key), Some(text)) => (team, key, Zeroizing::new(text)),
        (None, _, _) => return Err(ConfigError { variable: TEAM_ID, problem: all.to_owned() }),
        (_, None, _) => return Err(ConfigError { variable: KEY_ID, problem: all.to_owned() }),
        (_, _, None) => return Err(ConfigError { variable: AUTH_KEY, problem: all.to_owned() }),
    };
    let refused = |variable| move |InvalidId { rule, .. }| ConfigError { variable, problem: rule.to_owned() };
    let id = ApnsKeyId {
        team_identifier: TeamIdentifier::parse(team).map_err(refused(TEAM_ID))?,
        key_identifier: KeyIdentifier::parse(key).map_err(refused(KEY_ID))?,
    };
    Ok(Some(ConfiguredKey { id, file: Arc::new(auth_key(&text)?) }))
}

/// The text of a key, or the file it is in. Neither is repeated: a text that lacks its first line would be taken for a path.
fn auth_key(text: &str) -> Result<KeyFile, ConfigError> {
    let refuse = |problem: String| ConfigError { variable: AUTH_KEY, problem };
    let bytes = if text.contains("-----BEGIN") {
        Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n").into_bytes())
    } else {
        file_of(Path::new(text)).map_err(|fault| {
            refuse(format!(
                "is neither the text of a .p8 file, which begins with -----BEGIN PRIVATE KEY-----, nor the path of a file that can be read ({fault})"
            ))
        })?
    };
    KeyFile::read(&bytes).map_err(|fault| refuse(format!("is not usable: {fault}")))
}

/// More than any file has that a variable names.
const FILE_BYTES: u64 = 1024 * 1024;

fn file_of(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(file)?.take(FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn window(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<Option<u32>, ConfigError> {
    let name = "HONOKEN_PUSH_WINDOW_SECONDS";
    let must_be = "a number of seconds from 0 to 86400";
    let window: Option<u32> = parsed(variable, name, must_be)?;
    if window.is_some_and(|window| window > 86_400) {
        return Err(ConfigError { variable: name, problem: format!("must be {must_be}") });
    }
    Ok(window)
}

fn push_type(text: &str) -> Result<PushType, ConfigError> {
    text.parse().map_err(|_| ConfigError {
        variable: "HONOKEN_APNS_PUSH_TYPE",
        problem: "must be `background` or `none`".to_owned(),
    })
}

fn nats(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<Option<Nats>, ConfigError> {
    // A URL may hold a password and is not repeated, nor is what the parser says about it.
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
                problem: "is missing: NATS_CREDS_FILE says who connects there".to_owned(),
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
            problem: format!("names no file: there is none at {}", file.display()),
        });
    }
    Ok(Some(Nats { url: text.into(), creds_file }))
}

fn public_url(text: &str) -> Result<Url, ConfigError> {
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

fn database(text: &str) -> Result<Database, ConfigError> {
    // The text may hold a password and is not repeated, nor is what the driver says about it.
    let refuse = |problem: &str| ConfigError { variable: "DATABASE_URL", problem: problem.to_owned() };
    if let Some(folder) = text.strip_prefix("sqlite:") {
        let folder = folder.strip_prefix("//").unwrap_or(folder);
        let folder = folder.split_once('?').map_or(folder, |(folder, _)| folder);
        if folder.is_empty() {
            return Err(refuse("must name a folder: use one like sqlite:/var/lib/honoken"));
        }
        return Ok(Database::Folder(folder.into()));
    }
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(refuse(
            "must begin with postgres:// or sqlite: — use one like postgres://honoken@localhost/honoken, or sqlite:/var/lib/honoken",
        ));
    }
    if postgres::options(text).is_err() {
        return Err(refuse(
            "is no URL of a Postgres database: use one like postgres://honoken@localhost/honoken",
        ));
    }
    Ok(Database::Postgres(text.into()))
}

fn admin(
    username: Option<String>,
    password: Option<String>,
) -> Result<Option<AdminCredentials>, ConfigError> {
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

/// The variables with the keys, in the order of their numbers.
const ENCRYPTION_KEYS: [&str; 9] = [
    "HONOKEN_ENCRYPTION_KEY_V1",
    "HONOKEN_ENCRYPTION_KEY_V2",
    "HONOKEN_ENCRYPTION_KEY_V3",
    "HONOKEN_ENCRYPTION_KEY_V4",
    "HONOKEN_ENCRYPTION_KEY_V5",
    "HONOKEN_ENCRYPTION_KEY_V6",
    "HONOKEN_ENCRYPTION_KEY_V7",
    "HONOKEN_ENCRYPTION_KEY_V8",
    "HONOKEN_ENCRYPTION_KEY_V9",
];

const CURRENT_ENCRYPTION_KEY: &str = "HONOKEN_ENCRYPTION_KEY_CURRENT";

fn encryption_keys(
    variable: impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<Option<SealingKeys>, ConfigError> {
    let mut keys = BTreeMap::new();
    for (version, name) in (1..).zip(ENCRYPTION_KEYS) {
        let Some(text) = variable(name)? else { continue };
        let problem = "must be 32 bytes as base64, or as 64 hex digits: `openssl rand -base64 32` makes some";
        let key = keyring::read(&text)
            .ok_or_else(|| ConfigError { variable: name, problem: problem.to_owned() })?;
        keys.insert(version, key);
    }
    let refuse =
        |problem: &str| ConfigError { variable: CURRENT_ENCRYPTION_KEY, problem: problem.to_owned() };
    let current = match variable(CURRENT_ENCRYPTION_KEY)? {
        Some(text) => {
            let digits = text.trim_start_matches(['v', 'V']);
            digits.parse().map_err(|_| refuse("must be the number of a key, such as 1"))?
        }
        None if keys.len() > 1 => {
            return Err(refuse("is missing: of several encryption keys it says which one seals, such as 2"));
        }
        None => match keys.keys().next() {
            Some(only) => *only,
            None => return Ok(None),
        },
    };
    let named = SealingKeys::new(keys, current);
    named
        .map(Some)
        .ok_or_else(|| refuse("names a key that is not set: set HONOKEN_ENCRYPTION_KEY_V… of that number"))
}

fn verbose(text: &str) -> Result<bool, ConfigError> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => {
            Err(ConfigError { variable: "VERBOSE_LOGGING", problem: "must be `true` or `false`".to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;
    use crate::apns_keys::file::tests::a_p8;
    use crate::generated;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| {
            assert!(VARIABLES.iter().any(|known| known.name == name), "{name} is not among VARIABLES");
            Ok(variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        })
    }

    #[track_caller]
    fn refused(variables: &[(&str, &str)], variable: &str) {
        assert_eq!(read(variables).map(|_| ()).unwrap_err().variable, variable);
    }

    #[test]
    fn nothing_needs_to_be_configured() {
        let config = read(&[]).unwrap();
        assert!(config.public_url.is_none() && config.admin.is_none() && config.warnings.is_empty());
    }

    #[test]
    fn a_malformed_value_names_its_variable() {
        for url in
            ["passes.example.com", "ftp://a", "https://a?b", "https://a#b", "https://user@a", "http://"]
        {
            refused(&[("HONOKEN_PUBLIC_URL", url)], "HONOKEN_PUBLIC_URL");
        }
        for (variable, value) in [
            ("VERBOSE_LOGGING", "yes please"),
            ("LOG_FORMAT", "xml"),
            ("LOG_SAMPLE_SUCCESS_RATE", "2"),
            ("LOG_SAMPLE_SUCCESS_RATE", "-0.1"),
            ("LOG_SAMPLE_SUCCESS_RATE", "NaN"),
            ("HONOKEN_METRICS_LISTEN", "localhost"),
            ("HONOKEN_REQUESTS_AT_WORK", "0"),
            ("HONOKEN_REQUESTS_WAITING", "-1"),
            ("HONOKEN_BUILDS_WAITING", "many"),
            ("RATE_LIMIT_MANAGE_PER_SECOND", "0"),
            ("RATE_LIMIT_FAILURES_PER_MINUTE", "x"),
            ("RATE_LIMIT_FAILURES_PER_MINUTE", "0"),
            ("RATE_LIMIT_REGISTRATIONS", "0"),
            ("RATE_LIMIT_REGISTRATIONS", "none"),
            ("RATE_LIMIT_PROXIES", "yes"),
            ("OUTBOX_BATCH_SIZE", "0"),
            ("OUTBOX_BATCH_SIZE", "5001"),
            ("OUTBOX_RETRY_ATTEMPTS", "0"),
            ("OUTBOX_RETENTION_DAYS", "for ever"),
            ("HONOKEN_PUSH_WINDOW_SECONDS", "-1"),
            ("HONOKEN_PUSH_WINDOW_SECONDS", "86401"),
            ("HONOKEN_PUSHES_AT_WORK", "0"),
            ("HONOKEN_APNS_PUSH_TYPE", "alert"),
            ("HONOKEN_APNS_CONNECTIONS", "33"),
            ("NATS_URL", "localhost:4222"),
            ("NATS_URL", "http://localhost:4222"),
            ("NATS_URL", "nats://"),
        ] {
            refused(&[(variable, value)], variable);
        }
        refused(&[("RATE_LIMIT_MANAGE_BURST", "5")], "RATE_LIMIT_MANAGE_PER_SECOND");
        refused(
            &[("HONOKEN_ADMIN_USERNAME", "a:b"), ("HONOKEN_ADMIN_PASSWORD", "x")],
            "HONOKEN_ADMIN_USERNAME",
        );
    }

    #[test]
    fn failures_and_registrations_are_limited_unless_something_else_is_said() {
        let rates = read(&[]).unwrap().rates;
        assert_eq!(rates.failures, Some(Failures::default()));
        assert_eq!(rates.registrations_per_minute, Some(REGISTRATIONS_PER_MINUTE));
        let rates = [("RATE_LIMIT_FAILURES_PER_MINUTE", "3"), ("RATE_LIMIT_REGISTRATIONS", "off")];
        let rates = read(&rates).unwrap().rates;
        let three = NonZeroU32::new(3).unwrap();
        assert_eq!(rates.failures, Some(Failures { passwords: three, keys: three }));
        assert_eq!(rates.registrations_per_minute, None);
    }

    #[test]
    fn a_public_url_may_have_a_path_of_its_own() {
        for url in ["https://a", "https://a:8443/", "https://a/wallet", "https://a/b/c/", "https://a/api"] {
            assert!(read(&[("HONOKEN_PUBLIC_URL", url)]).is_ok(), "{url}");
        }
    }

    #[test]
    fn half_a_pair_of_credentials_names_the_other_half() {
        refused(&[("HONOKEN_ADMIN_USERNAME", "admin")], "HONOKEN_ADMIN_PASSWORD");
        refused(&[("HONOKEN_ADMIN_PASSWORD", "secret")], "HONOKEN_ADMIN_USERNAME");
    }

    #[test]
    fn a_place_for_data_that_does_not_exist_yet_stops_the_start() {
        refused(&[("HONOKEN_EVENT_STORE_URL", "esdb://localhost")], "HONOKEN_EVENT_STORE_URL");
    }

    #[test]
    fn a_database_is_a_folder_or_a_server() {
        let database = |url| read(&[("DATABASE_URL", url)]).unwrap().database.unwrap();
        for url in ["sqlite:/var/lib/h", "sqlite:///var/lib/h", "sqlite:/var/lib/h?mode=rwc"] {
            assert!(
                matches!(database(url), Database::Folder(folder) if folder == Path::new("/var/lib/h")),
                "{url}"
            );
        }
        for url in ["postgres://localhost/h", "postgresql://u:p@[::1]:5433/h?sslmode=require"] {
            assert!(matches!(database(url), Database::Postgres(_)), "{url}");
        }
        for url in ["mysql://localhost/h", "honoken.sqlite", "sqlite:", "postgres://localhost:x/h"] {
            refused(&[("DATABASE_URL", url)], "DATABASE_URL");
        }
    }

    #[test]
    fn the_password_of_a_database_is_never_repeated() {
        for url in ["postgres://u:hunter2@localhost:x/h", "mysql://u:hunter2@localhost/h"] {
            let fault = read(&[("DATABASE_URL", url)]).unwrap_err().to_string();
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        let config = read(&[("DATABASE_URL", "postgres://u:hunter2@localhost/h")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_broker_may_be_several_servers_and_its_password_is_never_repeated() {
        let config = read(&[("NATS_URL", "nats://u:hunter2@one:4222, tls://two")]).unwrap();
        assert!(config.nats.is_some() && !format!("{config:?}").contains("hunter2"));
        let fault = read(&[("NATS_URL", "nats://u:hunter2@one:x")]).unwrap_err().to_string();
        assert!(!fault.contains("hunter2"), "{fault}");
        refused(&[("NATS_CREDS_FILE", "/etc/honoken.creds")], "NATS_URL");
        let nowhere = [("NATS_URL", "nats://one"), ("NATS_CREDS_FILE", "/nowhere/honoken.creds")];
        refused(&nowhere, "NATS_CREDS_FILE");
    }

    #[test]
    fn obsolete_variables_are_named_and_unknown_ones_ignored() {
        let config = read(&[("APNS_ENV", "sandbox"), ("SOMETHING_ELSE", "1")]).unwrap();
        assert_eq!(config.warnings.len(), 1);
        assert!(config.warnings[0].starts_with("APNS_ENV is obsolete"));
    }

    #[test]
    fn an_encryption_key_is_named_when_it_is_none() {
        let (one, two) = ("ab".repeat(32), "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=".to_owned());
        let current =
            |variables: &[(&str, &str)]| read(variables).unwrap().encryption_keys.unwrap().current();
        let (v1, v2) = (("HONOKEN_ENCRYPTION_KEY_V1", &*one), ("HONOKEN_ENCRYPTION_KEY_V2", &*two));
        let named = |text| ("HONOKEN_ENCRYPTION_KEY_CURRENT", text);
        assert!(read(&[]).unwrap().encryption_keys.is_none());
        assert_eq!(current(&[v2]), 2);
        assert_eq!(current(&[v1, v2, named("1")]), 1);
        assert_eq!(current(&[v1, v2, named("v2")]), 2);
        refused(&[v1, v2], "HONOKEN_ENCRYPTION_KEY_CURRENT");
        for wrong in ["3", "two", "-1"] {
            refused(&[v1, named(wrong)], "HONOKEN_ENCRYPTION_KEY_CURRENT");
        }
        refused(&[named("1")], "HONOKEN_ENCRYPTION_KEY_CURRENT");
        let fault = read(&[v1, ("HONOKEN_ENCRYPTION_KEY_V9", "hunter2hunter2")]).unwrap_err();
        assert_eq!(fault.variable, "HONOKEN_ENCRYPTION_KEY_V9");
        assert!(!fault.to_string().contains("hunter2"));
    }

    #[test]
    fn apns_is_reached_where_the_variables_say() {
        let endpoint = |text| read(&[("HONOKEN_APNS_ENDPOINT", text)]).unwrap().apns.endpoint.unwrap();
        assert_eq!(endpoint("https://localhost:8443").as_str(), "https://localhost:8443/");
        for wrong in
            ["localhost:8443", "http://localhost", "https://a/3/device", "https://u:p@a", "https://a?b"]
        {
            refused(&[("HONOKEN_APNS_ENDPOINT", wrong)], "HONOKEN_APNS_ENDPOINT");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let ca = file("ca.pem", &a_certificate());
        let found = read(&[("HONOKEN_APNS_CA_FILE", &ca)]).unwrap().apns.ca_file;
        assert_eq!(found.as_deref(), Some(Path::new(&ca)));
        for wrong in [file("empty.pem", b""), file("key.pem", &a_p8()), "/nowhere/ca.pem".to_owned()] {
            refused(&[("HONOKEN_APNS_CA_FILE", &wrong)], "HONOKEN_APNS_CA_FILE");
        }
    }

    fn a_certificate() -> Vec<u8> {
        use openssl::asn1::Asn1Time;
        use openssl::hash::MessageDigest;
        let key = openssl::pkey::PKey::private_key_from_pem(&a_p8()).unwrap();
        let mut certificate = X509::builder().unwrap();
        certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        certificate.build().to_pem().unwrap()
    }

    #[test]
    fn an_apns_key_is_a_text_or_a_file_and_comes_with_its_names() {
        let p8 = String::from_utf8(a_p8()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("AuthKey_KEY1234567.p8");
        std::fs::write(&file, &p8).unwrap();
        let (team, key) = (("APNS_TEAM_ID", "ABCDE12345"), ("APNS_KEY_ID", "KEY1234567"));
        let configured =
            |text: &str| read(&[team, key, ("APNS_AUTH_KEY_P8", text)]).unwrap().apns.key.unwrap();
        let fingerprint = KeyFile::read(p8.as_bytes()).unwrap().fingerprint;
        for text in [&p8, &p8.replace('\n', "\\n"), &p8.replace('\n', "\\r\\n"), file.to_str().unwrap()] {
            let found = configured(text);
            assert_eq!(
                (found.id.to_string(), &found.file.fingerprint),
                ("ABCDE12345/KEY1234567".to_owned(), &fingerprint)
            );
        }
        assert!(read(&[]).unwrap().apns.key.is_none());

        let text = ("APNS_AUTH_KEY_P8", p8.as_str());
        refused(&[key, text], "APNS_TEAM_ID");
        refused(&[team, text], "APNS_KEY_ID");
        refused(&[team, key], "APNS_AUTH_KEY_P8");
        refused(&[("APNS_TEAM_ID", "abcde12345"), key, text], "APNS_TEAM_ID");
        refused(&[team, ("APNS_KEY_ID", "KEY123"), text], "APNS_KEY_ID");
    }

    #[test]
    fn an_apns_key_is_never_repeated() {
        let p8 = String::from_utf8(a_p8()).unwrap();
        let body = p8.lines().nth(1).unwrap();
        let (team, key) = (("APNS_TEAM_ID", "ABCDE12345"), ("APNS_KEY_ID", "KEY1234567"));
        let config = read(&[team, key, ("APNS_AUTH_KEY_P8", &p8)]).unwrap();
        assert!(!format!("{config:?}").contains(body));
        let cut_off = p8.replace(body, &body[..20]);
        for text in [body, &cut_off, "/nowhere/secret-name.p8", &body.repeat(200)] {
            let fault = read(&[team, key, ("APNS_AUTH_KEY_P8", text)]).unwrap_err();
            assert_eq!(fault.variable, "APNS_AUTH_KEY_P8");
            assert!(
                !fault.to_string().contains(&body[..20]) && !fault.to_string().contains("secret-name"),
                "{fault}"
            );
        }
    }

    #[test]
    fn every_variable_that_the_table_says_is_read_is_read() {
        let asked = RefCell::new(BTreeSet::new());
        Config::read(|name| {
            asked.borrow_mut().insert(name);
            Ok(None)
        })
        .unwrap();
        let known: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
        assert_eq!(asked.into_inner(), known);
        assert_eq!(known.len(), VARIABLES.len(), "a variable is declared twice");
    }

    #[test]
    fn defaults_in_the_table_are_those_of_the_code() {
        for (name, default) in [
            ("HONOKEN_REQUESTS_AT_WORK", Load::default().requests_at_work.to_string()),
            ("HONOKEN_REQUESTS_WAITING", Load::default().requests_waiting.to_string()),
            ("HONOKEN_BUILDS_WAITING", Load::default().builds_waiting.to_string()),
            ("RATE_LIMIT_REGISTRATIONS", REGISTRATIONS_PER_MINUTE.to_string()),
            ("OUTBOX_BATCH_SIZE", Pushing::default().batch_size.to_string()),
            ("OUTBOX_RETRY_ATTEMPTS", Pushing::default().retry_attempts.to_string()),
            ("OUTBOX_RETENTION_DAYS", Pushing::default().retention_days.to_string()),
            ("HONOKEN_PUSH_WINDOW_SECONDS", PUSH_WINDOW_SECONDS.to_string()),
            ("HONOKEN_PUSHES_AT_WORK", Pushing::default().at_work.to_string()),
            ("HONOKEN_APNS_CONNECTIONS", Pushing::default().connections.to_string()),
            ("LOG_SAMPLE_SUCCESS_RATE", Logging::default().sample_success_rate.to_string()),
            ("VERBOSE_LOGGING", Logging::default().verbose.to_string()),
            ("SERVICE_NAME", Identity::default().service),
        ] {
            let declared = VARIABLES.iter().find(|variable| variable.name == name).unwrap();
            assert!(
                matches!(declared.effect, Effect::Read { default: said, .. } if said == format!("`{default}`")),
                "{name}"
            );
        }
    }

    #[test]
    fn the_documented_variables_are_those_of_the_code() {
        generated::check("docs/configuration.md", "variables", &table());
    }

    #[test]
    fn secrets_are_not_shown_by_debug() {
        let config = read(&[("HONOKEN_ENCRYPTION_KEY_V1", &"ab".repeat(32))]).unwrap();
        assert!(!format!("{config:?}").contains("abab") && !format!("{config:?}").contains("171"));
        let config =
            read(&[("HONOKEN_ADMIN_USERNAME", "admin"), ("HONOKEN_ADMIN_PASSWORD", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
