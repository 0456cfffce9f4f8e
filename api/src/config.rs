//! Configuration: read once, at start, from the environment. Nothing else reads it.
//!
//! A value that is missing or malformed stops the start with a sentence that names the variable. Variables that an earlier service used and
//! this one does not are named in a warning; unknown variables are ignored.

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::PathBuf;

use honoken_domain::sealed::SealingKeys;
use honoken_event_store::database::postgres;
use secrecy::SecretString;
use url::Url;

use crate::{keyring, path};

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `HONOKEN_PUBLIC_URL`: what phones reach this service under; the `webServiceURL` of every pass. Default: the address it listens on.
    pub public_url: Option<Url>,
    /// `HONOKEN_ADMIN_USERNAME` and `HONOKEN_ADMIN_PASSWORD`, both or neither. `dev` makes its own where they are missing.
    pub admin: Option<AdminCredentials>,
    /// `DATABASE_URL`: where the log and the read model are. Default: in the data folder.
    pub database: Option<Database>,
    /// `VERBOSE_LOGGING`: `true` shows what is for digging as well.
    pub verbose_logging: bool,
    /// `HONOKEN_ENCRYPTION_KEY_V1` and so on, and `HONOKEN_ENCRYPTION_KEY_CURRENT`: what private keys are sealed under. Default: a key in the
    /// data folder, where one process has it for itself.
    pub encryption_keys: Option<SealingKeys>,
    /// Sentences about variables that are set and have no effect.
    pub warnings: Vec<String>,
}

/// Where the log and the read model are.
#[derive(Debug, Clone)]
pub enum Database {
    /// `sqlite:FOLDER`: in two files of this folder.
    Folder(PathBuf),
    /// `postgres://USER:PASSWORD@HOST/DATABASE`: in a Postgres database. The URL may hold a password.
    Postgres(SecretString),
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

/// Variables that are set for nothing, and what to use instead.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("DEV_DATABASE_URL", "is obsolete: use DATABASE_URL"),
    ("UPSTASH_REDIS_REST_URL", "is obsolete: use the Redis URL in HONOKEN_ASSETS_URL"),
    ("UPSTASH_REDIS_REST_TOKEN", "is obsolete: use the Redis URL in HONOKEN_ASSETS_URL"),
    ("APNS_MODE", "is obsolete: passes are pushed through Apple's production host only"),
    ("APNS_ENV", "is obsolete: passes are pushed through Apple's production host only"),
    ("UPDATE_TAG_STRATEGY", "is obsolete: update tags are positions of the log"),
    ("NATS_URL", "has no effect yet: this release does not push"),
    ("HONOKEN_APNS_ENDPOINT", "has no effect yet: this release does not push"),
    ("HONOKEN_APNS_CA_FILE", "has no effect yet: this release does not push"),
];

/// Variables that say where data goes, for engines that this release does not have: to go on would be to keep it elsewhere.
const REFUSED: &[(&str, &str)] = &[
    ("HONOKEN_EVENT_STORE_URL", "is set, but this release keeps its log in the database: unset it"),
    ("HONOKEN_ASSETS_URL", "is set, but this release keeps images in --data-dir: unset it"),
];

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
        for (name, sentence) in REFUSED {
            if variable(name)?.is_some() {
                return Err(ConfigError { variable: name, problem: (*sentence).to_owned() });
            }
        }
        let mut warnings = Vec::new();
        for (name, sentence) in WITHOUT_EFFECT {
            if variable(name)?.is_some() {
                warnings.push(format!("{name} {sentence}"));
            }
        }
        Ok(Self {
            public_url: variable("HONOKEN_PUBLIC_URL")?.map(|text| public_url(&text)).transpose()?,
            database: variable("DATABASE_URL")?.map(|text| database(&text)).transpose()?,
            admin: admin(variable("HONOKEN_ADMIN_USERNAME")?, variable("HONOKEN_ADMIN_PASSWORD")?)?,
            verbose_logging: variable("VERBOSE_LOGGING")?
                .map(|text| verbose(&text))
                .transpose()?
                .unwrap_or_default(),
            encryption_keys: encryption_keys(&variable)?,
            warnings,
        })
    }
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
const ENCRYPTION_KEYS: [&str; 16] = [
    "HONOKEN_ENCRYPTION_KEY_V1",
    "HONOKEN_ENCRYPTION_KEY_V2",
    "HONOKEN_ENCRYPTION_KEY_V3",
    "HONOKEN_ENCRYPTION_KEY_V4",
    "HONOKEN_ENCRYPTION_KEY_V5",
    "HONOKEN_ENCRYPTION_KEY_V6",
    "HONOKEN_ENCRYPTION_KEY_V7",
    "HONOKEN_ENCRYPTION_KEY_V8",
    "HONOKEN_ENCRYPTION_KEY_V9",
    "HONOKEN_ENCRYPTION_KEY_V10",
    "HONOKEN_ENCRYPTION_KEY_V11",
    "HONOKEN_ENCRYPTION_KEY_V12",
    "HONOKEN_ENCRYPTION_KEY_V13",
    "HONOKEN_ENCRYPTION_KEY_V14",
    "HONOKEN_ENCRYPTION_KEY_V15",
    "HONOKEN_ENCRYPTION_KEY_V16",
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
    use std::path::Path;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| {
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
        refused(&[("VERBOSE_LOGGING", "yes please")], "VERBOSE_LOGGING");
        refused(
            &[("HONOKEN_ADMIN_USERNAME", "a:b"), ("HONOKEN_ADMIN_PASSWORD", "x")],
            "HONOKEN_ADMIN_USERNAME",
        );
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
        let fault = read(&[v1, ("HONOKEN_ENCRYPTION_KEY_V16", "hunter2hunter2")]).unwrap_err();
        assert_eq!(fault.variable, "HONOKEN_ENCRYPTION_KEY_V16");
        assert!(!fault.to_string().contains("hunter2"));
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
