//! The rate limits: `RATE_LIMIT_…`.

use std::num::NonZeroU32;

use honoken_api::layers::rate_limits::{Failures, Options};
use honoken_api::layers::registration_limits::REGISTRATIONS_PER_MINUTE;

use super::variable::{ConfigError, POSITIVE, Variable, Variables, parsed, read};

pub(super) const VARIABLES: &[Variable] = &[
    read(
        "RATE_LIMIT_MANAGE_PER_SECOND",
        "requests to `/manage` that one organisation may make in a second; further ones are answered 429 with `Retry-After`. Each process counts for itself; in `dev` no `RATE_LIMIT_…` has an effect",
        "no limit",
    ),
    read(
        "RATE_LIMIT_MANAGE_BURST",
        "requests to `/manage` that may arrive at once after a pause",
        "the requests of one second",
    ),
    read(
        "RATE_LIMIT_FAILURES_PER_MINUTE",
        "wrong passwords of the operator, and separately wrong API keys, that one client address (IPv6: one /64) may send in a minute. After that a wrong key is answered 429 (a right one always passes), and one attempt a second with a password is compared, right or wrong; all other attempts are answered 429",
        "`10` for passwords, `60` for keys",
    ),
    read(
        "RATE_LIMIT_REGISTRATIONS",
        "new devices that one client address may register for one pass in a minute; further ones are answered 429 with `Retry-After`. `off`: no limit. Devices that are registered for the pass already do not count; [other limits](operating.md#what-phones-may-write) apply to them",
        "`600`",
    ),
    read(
        "RATE_LIMIT_PERSONALIZATIONS",
        "requests to enrol a person with a pass that one client address (IPv6: one /64) may send in a minute, whatever their answer; further ones are answered 429 with `Retry-After`. `off`: no limit",
        "`60`",
    ),
    read(
        "RATE_LIMIT_PROXIES",
        "the number of proxies in front of the service: the client's address is that many entries from the end of `X-Forwarded-For`. Earlier entries come from the client and are never believed",
        "`0`: the client's address is the address that connects",
    ),
];

const REGISTRATIONS: &str = "RATE_LIMIT_REGISTRATIONS";
const PERSONALIZATIONS: &str = "RATE_LIMIT_PERSONALIZATIONS";

/// Persons who enrol from one client address in a minute, unless configured otherwise: many phones share an address, and few enrol at once.
const PERSONALIZATIONS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("it is not zero");

pub(super) fn rates(variable: Variables<'_>) -> Result<Options, ConfigError> {
    let failures: Option<NonZeroU32> = parsed(variable, "RATE_LIMIT_FAILURES_PER_MINUTE", POSITIVE)?;
    let rates = Options {
        manage_per_second: parsed(variable, "RATE_LIMIT_MANAGE_PER_SECOND", POSITIVE)?,
        manage_burst: parsed(variable, "RATE_LIMIT_MANAGE_BURST", POSITIVE)?,
        failures: Some(
            failures.map_or_else(Failures::default, |most| Failures { passwords: most, keys: most }),
        ),
        registrations_per_minute: or_off(variable, REGISTRATIONS, REGISTRATIONS_PER_MINUTE)?,
        personalizations_per_minute: or_off(variable, PERSONALIZATIONS, PERSONALIZATIONS_PER_MINUTE)?,
        proxies: parsed(variable, "RATE_LIMIT_PROXIES", "a whole number")?.unwrap_or_default(),
    };
    if rates.manage_burst.is_some() && rates.manage_per_second.is_none() {
        return Err(ConfigError {
            variable: "RATE_LIMIT_MANAGE_PER_SECOND",
            problem: "is missing: RATE_LIMIT_MANAGE_BURST is set and has no effect without it".to_owned(),
        });
    }
    Ok(rates)
}

fn or_off(
    variable: Variables<'_>,
    name: &'static str,
    usual: NonZeroU32,
) -> Result<Option<NonZeroU32>, ConfigError> {
    match variable(name)?.as_deref() {
        None => Ok(Some(usual)),
        Some("off") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| ConfigError { variable: name, problem: format!("must be {POSITIVE}, or `off`") }),
    }
}
