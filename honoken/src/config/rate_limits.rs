//! The rate limits: `RATE_LIMIT_…`.

use std::num::NonZeroU32;
use std::time::Duration;

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
        "wrong passwords of the operator, and separately wrong API keys and wrong tokens of passes, that one client address (IPv6: one /64) may send in a minute. After that a wrong key or token is answered 429 (a right one always passes), and one attempt a second with a password is compared, right or wrong; all other attempts are answered 429",
        "`10` for passwords, `60` for keys, `60` for tokens",
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
        "RATE_LIMIT_GENERAL",
        "requests that one client address (IPv6: one /64) may send in a window, but those of phones (`/v1`), of health and of metrics; further ones are answered 429 with `Retry-After`, and every answer has `RateLimit` and `RateLimit-Policy`. `off`: no limit ([recommended values](operating.md#limits-in-a-window))",
        "no limit",
    ),
    read(
        "RATE_LIMIT_PASSKIT",
        "registrations of one device, and downloads of one pass, that one client address may send in a window, likewise. The list of changed passes is never limited",
        "no limit",
    ),
    read(
        "RATE_LIMIT_WINDOW",
        "the length of a window of these two limits, in milliseconds, up to 86400000 (a day); it begins with the first request",
        "`60000`",
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
        failures: Some(failures.map_or_else(Failures::default, |most| Failures {
            passwords: most,
            keys: most,
            tokens: most,
        })),
        registrations_per_minute: or_off(variable, REGISTRATIONS, Some(REGISTRATIONS_PER_MINUTE))?,
        personalizations_per_minute: or_off(variable, PERSONALIZATIONS, Some(PERSONALIZATIONS_PER_MINUTE))?,
        general: or_off(variable, "RATE_LIMIT_GENERAL", None)?,
        passkit: or_off(variable, "RATE_LIMIT_PASSKIT", None)?,
        window: window(variable)?,
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

/// The longest window, in milliseconds: a day.
const LONGEST_WINDOW: u64 = 86_400_000;

fn window(variable: Variables<'_>) -> Result<Option<Duration>, ConfigError> {
    const MUST_BE: &str = "a number of milliseconds from 1 to 86400000";
    let milliseconds: Option<u64> = parsed(variable, "RATE_LIMIT_WINDOW", MUST_BE)?;
    match milliseconds {
        Some(other) if !(1..=LONGEST_WINDOW).contains(&other) => {
            Err(ConfigError { variable: "RATE_LIMIT_WINDOW", problem: format!("must be {MUST_BE}") })
        }
        in_bounds => Ok(in_bounds.map(Duration::from_millis)),
    }
}

fn or_off(
    variable: Variables<'_>,
    name: &'static str,
    usual: Option<NonZeroU32>,
) -> Result<Option<NonZeroU32>, ConfigError> {
    match variable(name)?.as_deref() {
        None => Ok(usual),
        Some("off") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| ConfigError { variable: name, problem: format!("must be {POSITIVE}, or `off`") }),
    }
}
