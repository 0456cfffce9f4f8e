//! How often a caller may ask, and be wrong: `RATE_LIMIT_…`.

use std::num::NonZeroU32;

use super::{ConfigError, POSITIVE, parsed};

/// How often a caller may ask. The default is without limits, as in `dev`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// `RATE_LIMIT_MANAGE_PER_SECOND`: requests of one organisation.
    pub manage_per_second: Option<NonZeroU32>,
    /// `RATE_LIMIT_MANAGE_BURST`: so many of them at once; default: those of a second.
    pub manage_burst: Option<NonZeroU32>,
    /// `RATE_LIMIT_FAILURES_PER_MINUTE`: failed logins of one client address.
    pub failures: Option<Failures>,
    /// `RATE_LIMIT_REGISTRATIONS`: new devices of one pass from one client address in a minute.
    pub registrations_per_minute: Option<NonZeroU32>,
    /// `RATE_LIMIT_PROXIES`: how many proxies stand before this process.
    pub proxies: u32,
}

/// How often one client address may be wrong in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// About the operator's password.
    pub passwords: NonZeroU32,
    /// About an API key.
    pub keys: NonZeroU32,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            passwords: NonZeroU32::new(10).expect("it is no zero"),
            keys: NonZeroU32::new(60).expect("it is no zero"),
        }
    }
}

/// New devices of one pass from one client address in a minute, where nothing else is said.
pub const REGISTRATIONS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).expect("it is no zero");

const REGISTRATIONS: &str = "RATE_LIMIT_REGISTRATIONS";

pub(super) fn rates(
    variable: &impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
) -> Result<Rates, ConfigError> {
    let failures: Option<NonZeroU32> = parsed(variable, "RATE_LIMIT_FAILURES_PER_MINUTE", POSITIVE)?;
    let rates = Rates {
        manage_per_second: parsed(variable, "RATE_LIMIT_MANAGE_PER_SECOND", POSITIVE)?,
        manage_burst: parsed(variable, "RATE_LIMIT_MANAGE_BURST", POSITIVE)?,
        failures: Some(
            failures.map_or_else(Failures::default, |most| Failures { passwords: most, keys: most }),
        ),
        registrations_per_minute: registrations(variable(REGISTRATIONS)?.as_deref())?,
        proxies: parsed(variable, "RATE_LIMIT_PROXIES", "a whole number")?.unwrap_or_default(),
    };
    if rates.manage_burst.is_some() && rates.manage_per_second.is_none() {
        return Err(ConfigError {
            variable: "RATE_LIMIT_MANAGE_PER_SECOND",
            problem: "is missing: RATE_LIMIT_MANAGE_BURST says how it may be used".to_owned(),
        });
    }
    Ok(rates)
}

fn registrations(text: Option<&str>) -> Result<Option<NonZeroU32>, ConfigError> {
    match text {
        None => Ok(Some(REGISTRATIONS_PER_MINUTE)),
        Some("off") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| ConfigError {
            variable: REGISTRATIONS,
            problem: format!("must be {POSITIVE}, or `off`"),
        }),
    }
}
