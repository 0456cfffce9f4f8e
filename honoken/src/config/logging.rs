//! The log output, and the identity of this process.

use honoken_telemetry::Identity;
use honoken_telemetry::logging::{LogFormat, Logging};

use super::variable::{ConfigError, Variable, Variables, parsed, read};
use crate::release;

pub(super) const VARIABLES: &[Variable] = &[
    read(
        "LOG_FORMAT",
        "`json`: one JSON object on each line; `pretty`: text for people",
        "`pretty` on a terminal, else `json`",
    ),
    read("VERBOSE_LOGGING", "`true` also logs debug messages", "`false`"),
    read(
        "LOG_SAMPLE_SUCCESS_RATE",
        "the share of successful requests that are logged, `0` to `1`; failures and requests of more than a second are always logged, except those of callers without credentials [beyond their share](operating.md#what-callers-without-credentials-can-make-it-log)",
        "`1`",
    ),
    read(
        "SERVICE_NAME",
        "the name of this service in every JSON line and in `honoken_build_info`",
        "`honoken`",
    ),
    read(
        "HONOKEN_RELEASE_VERSION",
        "the release of this service, in the same places",
        "the version of the program",
    ),
    read(
        "GIT_SHA",
        "the commit that the program was built from, in the same places",
        "the commit recorded in the build, else `unknown`",
    ),
    read(
        "ENVIRONMENT",
        "the environment that the service runs in, in the same places: `production`, `staging`, … `production` and `prod`, in any case, mean production, where some calls and settings are refused",
        "in `dev`: `development`; else `production`",
    ),
];

pub(super) fn logging(variable: Variables<'_>) -> Result<Logging, ConfigError> {
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

fn verbose(text: &str) -> Result<bool, ConfigError> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => {
            Err(ConfigError { variable: "VERBOSE_LOGGING", problem: "must be `true` or `false`".to_owned() })
        }
    }
}

pub(super) fn identity(variable: Variables<'_>) -> Result<Identity, ConfigError> {
    let default = Identity::default();
    Ok(Identity {
        service: variable("SERVICE_NAME")?.unwrap_or(default.service),
        version: variable("HONOKEN_RELEASE_VERSION")?.unwrap_or(default.version),
        git_sha: variable("GIT_SHA")?.unwrap_or_else(|| release::COMMIT.to_owned()),
        environment: variable("ENVIRONMENT")?,
    })
}
